"""Invented people who stand several times on a server, with all kinds of resources: for tests of merging."""

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
    coded: dict[str, Any] = {"code": {"text": "rekaan"}}
    elements: dict[str, dict[str, Any]] = {
        "Observation": {
            "status": "final",
            **coded,
            "subject": this,
            "performer": [{"reference": "Practitioner/1"}, that],
            "note": [{"text": "x", "authorReference": that}, {"text": "y", "authorReference": this}],
            "effectiveDateTime": "2024-02-03",
        },
        "Appointment": {
            "status": "booked",
            "participant": [
                {"actor": this, "status": "accepted"},
                {"actor": that, "status": "needs-action"},
                {"actor": {"reference": "Practitioner/1"}, "status": "accepted"},
            ],
        },
        "Group": {
            "type": "person",
            "actual": True,
            "member": [{"entity": this}, {"entity": that, "inactive": True}, {"entity": {"reference": "Patient/else"}}],
        },
        "Task": {
            "status": "requested",
            "intent": "order",
            "for": this,
            "input": [{"type": {"text": "x"}, "valueReference": that}],
        },
        "QuestionnaireResponse": {
            "status": "completed",
            "subject": this,
            "item": [{"linkId": "1", "answer": [{"valueReference": that}]}],
        },
        "Basic": {
            **coded,
            "extension": [
                {"url": "urn:x", "extension": [{"url": "y", "valueReference": this}]},
                {"url": "urn:x", "valueReference": that},
            ],
        },
        "RelatedPerson": {"patient": this, "name": [{"text": "Ibu Rekaan"}]},
        "Encounter": {
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{one}/_history/1"},
            "contained": [
                {"resourceType": "Coverage", "id": "c", "status": "active", "beneficiary": that, "payor": [this]}
            ],
            "period": {"start": "2024-03-04"},
        },
        "List": {
            "status": "current",
            "mode": "working",
            "entry": [{"item": this}, {"item": this}, {"item": that}],
        },
        "Provenance": {"target": [this], "recorded": "2024-01-01T00:00:00Z", "agent": [{"who": that}]},
    }
    return {"resourceType": kind, "id": f"{kind.lower()}-{number}", "meta": dict(VERSION)} | elements[kind]


KINDS = (
    "Observation",
    "Appointment",
    "Group",
    "Task",
    "QuestionnaireResponse",
    "Basic",
    "RelatedPerson",
    "Encounter",
    "List",
    "Provenance",
)
"""What record() can return."""
