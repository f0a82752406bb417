"""Invented resources that tests begin with; each call gives a fresh one."""

from typing import Any

NIK = "https://fhir.kemkes.go.id/id/nik"
LOCAL = "urn:example:local"


def sample_patient(number: int = 1) -> dict[str, Any]:
    """Return a valid Patient with most of what the gateway writes."""
    return {
        "resourceType": "Patient",
        "meta": {"source": "urn:example:clinic"},
        "identifier": [
            {"use": "official", "system": NIK, "value": f"32010141019{number:05d}"},
            {"system": LOCAL, "value": f"p{number}"},
        ],
        "active": True,
        "name": [{"use": "official", "text": "Contoh Rekaan", "family": "Rekaan", "given": ["Contoh"]}],
        "telecom": [{"system": "phone", "value": "+628110000001", "use": "mobile"}],
        "gender": "female",
        "birthDate": "1990-01-01",
        "address": [
            {
                "use": "home",
                "line": ["Jalan Rekaan 1"],
                "city": "Kota Rekaan",
                "extension": [
                    {
                        "url": "https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode",
                        "extension": [{"url": "province", "valueCode": "32"}],
                    }
                ],
            }
        ],
        "multipleBirthInteger": 2,
        "contact": [{"relationship": [{"text": "mother"}], "name": {"text": "Ibu Rekaan"}}],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "id"}]}, "preferred": True}],
        "managingOrganization": {"display": "Klinik Rekaan"},
        "link": [{"other": {"display": "Rekaan lain"}, "type": "seealso"}],
    }


def sample_immunization(patient: str = "Patient/1", number: int = 1) -> dict[str, Any]:
    """Return a valid Immunization that refers to `patient`."""
    return {
        "resourceType": "Immunization",
        "identifier": [{"system": LOCAL, "value": f"d{number}"}],
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "08"}], "text": "HB0"},
        "patient": {"reference": patient},
        "occurrenceDateTime": "2024-01-02T08:30:00+07:00",
        "recorded": "2024-01-03",
        "primarySource": True,
        "location": {"display": "Posyandu Rekaan"},
        "lotNumber": "LOT-1",
        "expirationDate": "2025-12",
        "doseQuantity": {"value": 0.5, "unit": "mL", "system": "http://unitsofmeasure.org", "code": "mL"},
        "performer": [{"actor": {"display": "Bidan Rekaan"}}],
        "note": [{"text": "rekaan"}],
        "reaction": [{"date": "2024-01-04", "reported": False}],
        "protocolApplied": [{"doseNumberPositiveInt": 1, "seriesDosesPositiveInt": 3}],
    }
