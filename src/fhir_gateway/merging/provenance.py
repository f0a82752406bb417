"""The Provenance of a merge and of its undoing: who did what to which versions of which resources, when and why.

Codes: activity `merge` and `unmerge` of ISO 21089's lifecycle events, reason PATADMIN (HL7 v3 ActReason). Validated as
R4 by tests.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from fhir_gateway.domain.merges import GroupPlan, Merge
from fhir_gateway.domain.records import Resource

LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
USER = "urn:fhir-gateway:user"
"""The system of the identifiers under which the gateway names who did something."""


def provenance_of(  # noqa: PLR0913 - who, when and what are named
    plan: GroupPlan,
    versions: Mapping[str, str],
    *,
    merge: int,
    user: str,
    at: datetime,
    begun: datetime | None = None,
) -> Resource:
    """Return the Provenance of a merge that was applied.

    `versions` are the version ids after the merge of every resource that it changed, by `Type/id` ("" where the server
    names none); the survivor and the replaced are named in any case. `merge` is the merge's number in the journal, `at`
    its end and `begun` its beginning (both with a time zone).
    """
    people = (f"Patient/{plan.survivor}", *(f"Patient/{patient_id}" for patient_id in plan.replaced))
    rule = f"{plan.group.rule.value}, {plan.group.grade.value}; survivor: {plan.survivor_words}"
    sources = [
        {"role": "source", "what": {"reference": _versioned(change.resource, change.version)}}
        for change in plan.changes
        if change.resource in people
    ]
    return _provenance(
        (*people, *versions),
        versions,
        activity={"code": "merge", "display": "Merge Record Lifecycle Event"},
        reason=f"merge {merge}: {rule}",
        user=user,
        begun=begun or at,
        at=at,
    ) | ({"entity": sources} if sources else {})


def provenance_of_undo(  # noqa: PLR0913 - who, when and why are named
    merge: Merge,
    versions: Mapping[str, str],
    *,
    user: str,
    at: datetime,
    reason: str = "",
    begun: datetime | None = None,
) -> Resource:
    """Return the Provenance of a merge's undoing; `versions` are those after it of every resource that it changed."""
    people = (f"Patient/{merge.survivor}", *(f"Patient/{patient_id}" for patient_id in merge.replaced))
    return _provenance(
        (*people, *versions),
        versions,
        activity={"code": "unmerge", "display": "Unmerge Record Lifecycle Event"},
        reason=f"merge {merge.id} undone" + (f": {reason.strip()}" if reason.strip() else ""),
        user=user,
        begun=begun or at,
        at=at,
    )


def _provenance(  # noqa: PLR0913 - a Provenance has as many parts
    targets: Iterable[str],
    versions: Mapping[str, str],
    *,
    activity: dict[str, Any],
    reason: str,
    user: str,
    begun: datetime,
    at: datetime,
) -> Resource:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": _versioned(target, versions.get(target, ""))} for target in dict.fromkeys(targets)],
        "occurredPeriod": {"start": _instant(begun), "end": _instant(at)},
        "recorded": _instant(at),
        "reason": [{"coding": [{"system": ACT_REASON, "code": "PATADMIN"}], "text": reason}],
        "activity": {"coding": [{"system": LIFECYCLE, **activity}]},
        "agent": [
            {
                "type": {"coding": [{"system": PARTICIPANT, "code": "performer"}]},
                "who": {"identifier": {"system": USER, "value": user.strip() or "unknown"}},
            },
            {
                "type": {"coding": [{"system": PARTICIPANT, "code": "assembler"}]},
                "who": {"display": "fhir-gateway"},
            },
        ],
    }


def _versioned(resource: str, version: str) -> str:
    return f"{resource}/_history/{version}" if version else resource


def _instant(moment: datetime) -> str:
    """Return FHIR's instant; a moment without time zone is none: raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return moment.isoformat(timespec="milliseconds")
