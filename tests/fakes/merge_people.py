"""Invented people who stand several times on a server, with all kinds of resources: for tests of merging."""

from collections.abc import Callable
from typing import Any

from tests.fakes.fhir_samples import sample_immunization
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, patient

from fhir_gateway.domain.records import Resource

VERSION = {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z"}


def duplicate(patient_id: str, **other: Any) -> Resource:
    """Return a Patient of the invented boy with other values where given."""
    return patient(**{**RIZKI, "nik": RIZKIS_NIK, **other}) | {"id": patient_id, "active": True, "meta": dict(VERSION)}


def dose(dose_id: str, patient_id: str, **other: Any) -> Resource:
    """Return an Immunization of a Patient."""
    return sample_immunization(f"Patient/{patient_id}") | {"id": dose_id, "meta": dict(VERSION)} | other


def record(kind: str, number: int, one: str, other: str) -> Resource:
    """Return a valid resource of a kind that refers to Patient `one`, and in some places to `other` too."""
    this, that = {"reference": f"Patient/{one}"}, {"reference": f"Patient/{other}", "display": "Rekaan"}
    elements = _ELEMENTS[kind](this, that)
    return {"resourceType": kind, "id": f"{kind.lower()}-{number}", "meta": dict(VERSION)} | elements


def _account(this: Resource, that: Resource) -> Resource:
    return {"status": "active", "subject": [this, that, this], "guarantor": [{"party": that}]}


def _appointment(this: Resource, that: Resource) -> Resource:
    participants = [(this, "accepted"), (that, "needs-action"), ({"reference": "Practitioner/1"}, "accepted")]
    return {
        "status": "booked",
        "participant": [{"actor": actor, "status": status} for actor, status in participants],
    }


def _basic(this: Resource, that: Resource) -> Resource:
    extensions = [
        {"url": "urn:x", "extension": [{"url": "y", "valueReference": this}]},
        {"url": "urn:x", "valueReference": that},
    ]
    return {**_CODED, "extension": extensions}


def _composition(this: Resource, that: Resource) -> Resource:
    return {
        "status": "final",
        "type": {"text": "rekaan"},
        "title": "Rekaan",
        "date": "2024-01-01",
        "subject": this,
        "author": [that],
        "attester": [{"mode": "personal", "party": this}],
        "section": [
            {"title": "a", "entry": [that, {"reference": "Observation/1"}, this]},
            {"title": "b", "section": [{"title": "c", "focus": that, "section": [{"title": "d", "entry": [this]}]}]},
        ],
    }


def _condition(this: Resource, that: Resource) -> Resource:
    return {**_CODED, "subject": this, "asserter": that, "_recordedDate": {"extension": _extensions(that)}}


def _encounter(this: Resource, that: Resource) -> Resource:
    coverage = {"resourceType": "Coverage", "id": "c", "status": "active", "beneficiary": that, "payor": [this]}
    return {
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": f"{this['reference']}/_history/1"},
        "contained": [coverage],
        "period": {"start": "2024-03-04"},
    }


def _group(this: Resource, that: Resource) -> Resource:
    return {
        "type": "person",
        "actual": True,
        "characteristic": [{"code": {"text": "mother"}, "valueReference": that, "exclude": False}],
        "member": [{"entity": this}, {"entity": that, "inactive": True}, {"entity": {"reference": "Patient/else"}}],
    }


def _list(this: Resource, that: Resource) -> Resource:
    return {
        "status": "current",
        "mode": "working",
        "subject": that,
        "source": this,
        "entry": [{"item": this}, {"item": this}, {"item": that, "deleted": True}],
    }


def _medication_request(this: Resource, that: Resource) -> Resource:
    return {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "rekaan"},
        "reportedReference": that,
        "subject": this,
        "note": [{"text": "x", "authorReference": this}],
    }


def _observation(this: Resource, that: Resource) -> Resource:
    return {
        "status": "final",
        **_CODED,
        "subject": this,
        "focus": [that, this],
        "performer": [{"reference": "Practitioner/1"}, that],
        "note": [{"text": "x", "authorReference": that}, {"text": "y", "authorReference": this}],
        "component": [{**_CODED, "extension": _extensions(this)}],
        "effectiveDateTime": "2024-02-03",
    }


def _person(this: Resource, that: Resource) -> Resource:
    return {"link": [{"target": this, "assurance": "level2"}, {"target": that}]}


def _provenance(this: Resource, that: Resource) -> Resource:
    return {"target": [this], "recorded": "2024-01-01T00:00:00Z", "agent": [{"who": that}]}


def _questionnaire_response(this: Resource, that: Resource) -> Resource:
    deep = {"linkId": "1.1", "item": [{"linkId": "1.1.1", "answer": [{"valueReference": this}]}]}
    answers = [{"valueReference": that}, {"valueString": "rekaan", "item": [deep]}]
    return {"status": "completed", "subject": this, "source": that, "item": [{"linkId": "1", "answer": answers}]}


def _related_person(this: Resource, _: Resource) -> Resource:
    return {"patient": this, "name": [{"text": "Ibu Rekaan"}]}


def _task(this: Resource, that: Resource) -> Resource:
    return {
        "status": "requested",
        "intent": "order",
        "for": this,
        "owner": that,
        "input": [{"type": {"text": "x"}, "valueReference": that}, {"type": {"text": "y"}, "valueString": "rekaan"}],
        "output": [{"type": {"text": "x"}, "valueReference": this}],
    }


def _extensions(of: Resource) -> list[Resource]:
    return [{"url": "urn:x", "valueReference": of}]


_CODED: Resource = {"code": {"text": "rekaan"}}
_ELEMENTS: dict[str, Callable[[Resource, Resource], Resource]] = {
    "Account": _account,
    "Appointment": _appointment,
    "Basic": _basic,
    "Composition": _composition,
    "Condition": _condition,
    "Encounter": _encounter,
    "Group": _group,
    "List": _list,
    "MedicationRequest": _medication_request,
    "Observation": _observation,
    "Person": _person,
    "Provenance": _provenance,
    "QuestionnaireResponse": _questionnaire_response,
    "RelatedPerson": _related_person,
    "Task": _task,
}
KINDS = tuple(_ELEMENTS)
"""What record() can return."""
