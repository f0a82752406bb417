"""What the gateway changed on the FHIR server as FHIR AuditEvents, one for each resource: PatientCreate, PatientUpdate.

IHE BALP: the gateway is the client there, the FHIR server the server, and whoever ran the command or pressed the button
the user. Nothing of a person is told but references.
"""

from typing import Any

from fhir_gateway.domain.changes import Change, ChangeOrigin, ChangePlace
from fhir_gateway.domain.records import Resource
from fhir_gateway.registry import balp

_AUTHOR = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "AUT", "display": "Author"}
_JOB = {"system": balp.ROLE, "code": "20", "display": "Job"}
_JOBS = {ChangeOrigin.RUN: "run", ChangeOrigin.MERGE: "merge", ChangeOrigin.ANSWER: "review"}
_OTHER = {"system": balp.ENTITY, "code": "4", "display": "Other"}
_ADMINISTRATION = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
            "code": "PATADMIN",
            "display": "patient administration",
        }
    ]
}


def change_id(change: Change) -> str:
    """Return the id of a change's AuditEvent: always the same one."""
    place = change.place
    return f"{change.origin}-{place.first}-{place.second}-{place.third}"


def place_of(text: str) -> tuple[ChangeOrigin, ChangePlace] | None:
    """Return where the change of such an id stands, None for what is none."""
    origin, *numbers = text.split("-")
    if origin not in set(ChangeOrigin) or len(numbers) != 3:
        return None
    if not all(one.isascii() and one.isdigit() and len(one) < 18 for one in numbers):
        return None
    first, second, third = map(int, numbers)
    return ChangeOrigin(origin), ChangePlace(first, second, third)


def change_event(change: Change, *, base: str, server: str, environment: str) -> Resource:
    """Return the AuditEvent of a change; `base` is the gateway's own address, `server` the FHIR server's."""
    told = balp.event(
        change_id(change),
        profile="PatientCreate" if change.created else "PatientUpdate",
        type=balp.REST,
        interaction="create" if change.created else "update",
        action="C" if change.created else "U",
        recorded=change.at,
        agents=[*_user(change), *_systems(base, server, requested=not change.user)],
        site=environment,
        entities=[_written(change), balp.patient_entity(change.patient), _job(change)],
    )
    period = {"start": balp.instant(change.at)} | ({"end": balp.instant(change.until)} if change.until else {})
    purpose = {"purposeOfEvent": [_ADMINISTRATION]} if change.origin is ChangeOrigin.MERGE else {}
    return told | {"period": period} | purpose


def _user(change: Change) -> list[dict[str, Any]]:
    if not change.user:
        return []
    return [{"type": {"coding": [_AUTHOR]}, "who": {"display": change.user}, "name": change.user, "requestor": True}]


def _systems(base: str, server: str, *, requested: bool) -> list[dict[str, Any]]:
    gateway = {"identifier": {"value": base}, "display": balp.GATEWAY}
    return [
        balp.system_agent(balp.SOURCE, gateway, address=base, kind="5", requestor=requested),
        balp.system_agent(
            balp.DESTINATION, {"identifier": {"value": server}}, address=server, kind="5", requestor=False
        ),
    ]


def _written(change: Change) -> dict[str, Any]:
    version = f"/_history/{change.version}" if change.version else ""
    return {
        "what": {"reference": f"{change.resource}{version}"},
        "type": balp.SYSTEM_OBJECT,
        "role": balp.DOMAIN_RESOURCE,
    }


def _job(change: Change) -> dict[str, Any]:
    """Return what it was part of: a run, a review, or a merge, asked for by the command, the API or the console."""
    number = {ChangeOrigin.RUN: change.run, ChangeOrigin.MERGE: change.merge, ChangeOrigin.ANSWER: change.review}
    name = f"{_JOBS[change.origin]} {number[change.origin]}"
    said = [{"type": "via", "valueString": change.via}] if change.via else []
    return {
        "what": {"identifier": {"value": name}},
        "type": _OTHER,
        "role": _JOB,
        "description": change.why,
        **({"detail": said} if said else {}),
    }
