"""Invented people who stand several times on a server, with whatever refers to them."""

import json

from fhir_gateway.domain import systems

NIK = "3303121503200001"
OTHER_NIK = "3303021107190002"


def patient(number, nik=NIK, **changes):
    """Return one of the Patients of an invented person; each adds something of its own."""
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "active": True,
        "identifier": [
            {"use": "official", "system": systems.NIK, "value": nik},
            {"system": "urn:example:mrn", "value": f"m{number}"},
        ],
        "name": [{"use": "official", "text": "Rizki Pratama"}],
        "telecom": [{"system": "phone", "value": f"+62812000000{number:02d}"}],
        "gender": "male",
        "birthDate": "2020-03-15",
        **changes,
    }


def dose(number, of, **changes):
    """Return an Immunization; those with the same number are the same dose."""
    return {
        "resourceType": "Immunization",
        "id": f"d{number}-{of}",
        "identifier": [{"system": "urn:example:dose", "value": f"{number}-{of}"}],
        "status": "completed",
        "vaccineCode": {"coding": [{"system": systems.CVX, "code": "19"}], "text": "BCG"},
        "patient": {"reference": f"Patient/{of}"},
        "occurrenceDateTime": f"2020-04-{number:02d}",
        "primarySource": True,
        **changes,
    }


def observation(number, of, **changes):
    """Return an Observation about a Patient."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}-{of}",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{of}"},
        "effectiveDateTime": f"2021-01-{number:02d}",
        "valueQuantity": {"value": 10.50, "unit": "kg"},
        **changes,
    }


def family():
    """Return three Patients of one person, one of another, doses, and references at several depths."""
    return [
        patient(1, address=[{"use": "home", "line": ["Kalimanah"], "city": "Purbalingga"}]),
        patient(2, birthDate="2020-03-15", contact=[{"name": {"text": "Siti Aminah"}}]),
        patient(3),
        patient(9, nik=OTHER_NIK, name=[{"text": "Bayu Kusumo"}], gender="male", birthDate="2019-07-11"),
        dose(1, "p1"),
        dose(1, "p2", lotNumber="L7"),
        dose(2, "p2"),
        observation(1, "p1"),
        observation(1, "p2"),
        observation(2, "p2", performer=[{"reference": "Patient/p3"}]),
        observation(3, "p3", focus=[{"reference": "Patient/p2"}, {"reference": "Patient/p9"}]),
        {
            "resourceType": "List",
            "id": "shared",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": f"Patient/{one}"}} for one in ("p2", "p9", "p3")],
        },
        {
            "resourceType": "Appointment",
            "id": "a1",
            "status": "booked",
            "participant": [{"actor": {"reference": "Patient/p2"}, "status": "accepted"}],
        },
        observation(9, "p9"),
    ]


def put_all(server, resources, *, base="http://x/fhir"):
    """Write resources straight into an embedded server, in their order."""
    for resource in resources:
        body = json.dumps(resource).encode()
        answer = server.handle(
            "PUT",
            f"/{resource['resourceType']}/{resource['id']}",
            query="",
            headers={"content-type": "application/fhir+json"},
            body=body,
            base=base,
        )
        assert answer.status in {200, 201}, answer.body
