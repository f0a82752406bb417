"""Plain FHIR JSON for the tests: invented people, written out by hand and not by the code under test."""

from typing import Any

PERSON = "urn:fhir-gateway:person"


def patient(value: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": PERSON, "value": value}],
        "name": [{"text": "Contoh Karangan"}],
        "gender": "female",
        "birthDate": "2020-02-29",
        **more,
    }


def immunization(patient_id: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "19"}], "text": "BCG"},
        "patient": {"reference": f"Patient/{patient_id}"},
        "occurrenceDateTime": "2020-03-30",
        "primarySource": True,
        **more,
    }


def conditional_create(resource: dict[str, Any]) -> dict[str, Any]:
    value = resource["identifier"][0]["value"]
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": f"identifier={PERSON}|{value}"}
    return {"resource": resource, "request": request}


def update(resource: dict[str, Any], *, version: str) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, "ifMatch": f'W/"{version}"'}}


def batch(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}
