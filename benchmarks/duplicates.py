"""Invented people who stand several times on a server, with what a clinic has of each of them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from fhir_gateway.domain import systems
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL

Resource = dict[str, Any]

BUNDLE = 100
_OBSERVATIONS = 20
_SUBJECT = (
    "CarePlan ClinicalImpression Composition Condition DeviceRequest DiagnosticReport DocumentReference Encounter Flag "
    "Goal ImagingStudy MedicationAdministration MedicationDispense MedicationRequest MedicationStatement Observation "
    "Procedure QuestionnaireResponse ServiceRequest"
)
_PATIENT = "AllergyIntolerance EpisodeOfCare FamilyMemberHistory Immunization NutritionOrder RelatedPerson Coverage Appointment"
TYPES = tuple(sorted(f"{_SUBJECT} {_PATIENT}".split()))
_STATUS = {
    "status": (
        "CarePlan=active ClinicalImpression=completed Composition=final DeviceRequest=active DiagnosticReport=final "
        "DocumentReference=current Encounter=finished Flag=active ImagingStudy=available "
        "MedicationAdministration=completed MedicationDispense=completed MedicationRequest=completed "
        "MedicationStatement=completed Observation=final Procedure=completed QuestionnaireResponse=completed "
        "ServiceRequest=completed EpisodeOfCare=finished FamilyMemberHistory=completed Immunization=completed "
        "NutritionOrder=completed Coverage=active Appointment=fulfilled"
    ),
    "intent": "CarePlan=plan DeviceRequest=order MedicationRequest=order NutritionOrder=order ServiceRequest=order",
    "lifecycleStatus": "Goal=completed",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A NIK and the ids of its Patients, the first of which is updated last."""

    nik: str
    patient_ids: tuple[str, ...]


def bundle_of(resources: Sequence[Resource]) -> bytes:
    """Return a batch bundle that puts resources."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})


def check_entries(answer: Resource) -> None:
    """Exit where a batch left an entry undone."""
    for entry in answer["entry"]:
        if entry["response"]["status"][:1] != "2":
            raise SystemExit(f"an entry was refused: {orjson.dumps(entry)[:600]!r}")


def make_people(sizes: Sequence[int]) -> list[Person]:
    """Return invented people with so many Patients each; no NIK ends in 0, as one that a spreadsheet has rounded."""
    return [
        Person(
            f"330302{_born(number):%d%m%y}{number:03d}1",
            tuple(f"n{number}-{which}" for which in range(size)),
        )
        for number, size in enumerate(sizes)
    ]


def fill(server: EmbeddedServer, people: Sequence[Person], chance: random.Random) -> None:
    """Put Patients on a server, then what refers to them."""
    patients = [one for number, person in enumerate(people) for one in _patients(number, person)]
    ids = [one["id"] for one in patients]
    resources = [*patients, *(one for patient_id in ids for one in _clinical(patient_id, chance))]
    for start in range(0, len(resources), BUNDLE):
        check_entries(_asked(server, "POST", body=bundle_of(resources[start : start + BUNDLE])))


def check(server: EmbeddedServer, people: Sequence[Person]) -> None:
    """Exit unless each NIK has one active Patient, and nothing refers to the others."""
    for number, person in enumerate(people):
        found = _asked(server, "GET", "/Patient", f"identifier={systems.NIK}|{person.nik}&active=true")
        (active,) = [entry["resource"]["id"] for entry in found["entry"]]
        others = ",".join(f"Patient/{one}" for one in person.patient_ids if one != active)
        for resource_type in TYPES:
            if _asked(server, "GET", f"/{resource_type}", f"patient={others}&_count=1").get("entry"):
                raise SystemExit(f"{resource_type} refers to a duplicate of person {number}")


def _asked(server: EmbeddedServer, method: str, path: str = "", query: str = "", body: bytes = b"") -> Resource:
    answer = server.handle(
        method, path, query=query, headers={"content-type": "application/fhir+json"}, body=body, base=BASE_URL
    )
    return dict(orjson.loads(answer.body))


def duplicates_of(people: Sequence[Person]) -> int:
    """Return how many Patients are too many."""
    return sum(len(person.patient_ids) - 1 for person in people)


def _born(number: int) -> date:
    return date(2019, 1, 1) + timedelta(days=number)


def _patients(number: int, person: Person) -> Iterator[Resource]:
    for which, patient_id in enumerate(person.patient_ids):
        yield {
            "resourceType": "Patient",
            "id": patient_id,
            "active": True,
            "identifier": [
                {"use": "official", "system": systems.NIK, "value": person.nik},
                {"system": "urn:example:mrn", "value": f"{number}-{which}"},
            ],
            "name": [{"use": "official", "text": "Bayu Kusumo"}],
            "gender": "male",
            "birthDate": _born(number).isoformat(),
        }


def _clinical(patient_id: str, chance: random.Random) -> Iterator[Resource]:
    """Yield about 20 Observations and 1 or 2 of each other type."""
    reference = {"reference": f"Patient/{patient_id}"}
    for resource_type in TYPES:
        wanted = _OBSERVATIONS + chance.randint(-3, 3) if resource_type == "Observation" else chance.randint(1, 2)
        for which in range(wanted):
            yield {
                "resourceType": resource_type,
                "id": f"{resource_type[:30]}-{patient_id}-{which}",
                **_codes(resource_type),
                **_particulars(resource_type, reference, which),
            }


def _codes(resource_type: str) -> dict[str, str]:
    return {
        element: value
        for element, listed in _STATUS.items()
        for name, value in (one.split("=") for one in listed.split())
        if name == resource_type
    }


def _particulars(resource_type: str, reference: Resource, which: int) -> Resource:
    """Return the elements that a type demands, and the reference to the Patient."""
    concept = {"text": f"invented {which}"}
    when = datetime(2021, 1, 1 + which, tzinfo=UTC).isoformat()
    own: dict[str, Resource] = {
        "Appointment": {"participant": [{"actor": reference, "status": "accepted"}]},
        "Coverage": {"beneficiary": reference, "payor": [{"display": "BPJS"}]},
        "Composition": {"type": concept, "date": when, "author": [{"display": "clinic"}], "title": "visit"},
        "DeviceRequest": {"codeCodeableConcept": concept},
        "DiagnosticReport": {"code": concept},
        "DocumentReference": {"content": [{"attachment": {"title": "letter"}}]},
        "Encounter": {"class": {"code": "AMB"}, "period": {"start": when}},
        "FamilyMemberHistory": {"relationship": concept},
        "Flag": {"code": concept},
        "Goal": {"description": concept},
        "Immunization": {"vaccineCode": concept, "occurrenceDateTime": when},
        "MedicationAdministration": {"medicationCodeableConcept": concept, "effectiveDateTime": when},
        "MedicationDispense": {"medicationCodeableConcept": concept},
        "MedicationRequest": {"medicationCodeableConcept": concept},
        "MedicationStatement": {"medicationCodeableConcept": concept},
        "NutritionOrder": {"dateTime": when},
        "Observation": {"code": concept, "effectiveDateTime": when, "valueQuantity": {"value": 10 + which}},
    }
    referring = {} if resource_type in {"Appointment", "Coverage"} else {_element(resource_type): reference}
    return own.get(resource_type, {}) | referring


def _element(resource_type: str) -> str:
    return "subject" if resource_type in _SUBJECT.split() else "patient"
