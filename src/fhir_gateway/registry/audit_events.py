"""A pull as FHIR AuditEvents: one for each Patient whom it told of, one for an export as a whole.

IHE Basic Audit Log Patterns (BALP), https://profiles.ihe.net/ITI/BALP/: PatientQuery and PatientRead where a Patient was
told of, Query and Read where nobody was. BALP has no pattern for a history and a bulk export; the one is a RESTful
operation, the other DICOM's event "Export".
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Disclosure, PullKind

_PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_OBSERVER = "http://terminology.hl7.org/CodeSystem/security-source-type"

_FROM = {"system": _DICOM, "code": "110153", "display": "Source Role ID"}
_TO = {"system": _DICOM, "code": "110152", "display": "Destination Role ID"}
_SYSTEM_OBJECT = {"system": _ENTITY, "code": "2", "display": "System Object"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """How one kind of pull is told; `asks` says whether the client is the source, as it is of what it asks."""

    name: str
    type: Mapping[str, str]
    interaction: str
    action: str
    asks: bool


_REST = {"system": _EVENT, "code": "rest", "display": "Restful Operation"}
_PATTERNS = {
    PullKind.SEARCH: Pattern("Query", _REST, "search", "E", asks=True),
    PullKind.READ: Pattern("Read", _REST, "read", "R", asks=False),
    PullKind.HISTORY: Pattern("", _REST, "history", "R", asks=False),
    PullKind.EXPORT: Pattern(
        "", {"system": _DICOM, "code": "110106", "display": "Export"}, "operation", "E", asks=False
    ),
}


def event_id(disclosure: Disclosure) -> str:
    """Return the id of a disclosure's AuditEvent: always the same one, and it names nobody."""
    told = hashlib.blake2b(disclosure.patient.encode(), digest_size=8).hexdigest() if disclosure.patient else "0"
    return f"{disclosure.pull.id}-{told}"


def audit_event(disclosure: Disclosure, *, client_name: str, base: str, environment: str) -> Resource:
    """Return the AuditEvent of a disclosure; `base` is the address of the environment's registry endpoint."""
    request = disclosure.pull.request
    pattern = _PATTERNS[request.kind]
    profile = f"{_PROFILE}{'Patient' if disclosure.patient else ''}{pattern.name}" if pattern.name else ""
    client = _agent(
        _FROM if pattern.asks else _TO,
        {"identifier": {"value": request.client}} | ({"display": client_name} if client_name else {}),
        address=request.address,
        kind="2",
    )
    server = _agent(
        _TO if pattern.asks else _FROM,
        {"identifier": {"value": base}, "display": "fhir-gateway"},
        address=base,
        kind="5",
    )
    return {
        "resourceType": "AuditEvent",
        "id": event_id(disclosure),
        **({"meta": {"profile": [profile]}} if profile else {}),
        "type": dict(pattern.type),
        "subtype": [{"system": _INTERACTION, "code": pattern.interaction, "display": pattern.interaction}],
        "action": pattern.action,
        "recorded": request.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "outcome": "0",
        "agent": [client | {"requestor": True}, server | {"requestor": False}],
        "source": {
            "site": environment,
            "observer": {"display": "fhir-gateway"},
            "type": [{"system": _OBSERVER, "code": "4", "display": "Application Server"}],
        },
        "entity": [_asked(disclosure), *_patient(disclosure)],
    }


def _asked(disclosure: Disclosure) -> dict[str, Any]:
    """Return what was asked for: the raw query as it came, or the resource that was read."""
    request, count = disclosure.pull.request, disclosure.pull.count
    if request.kind is PullKind.READ:
        role = {"system": _ROLE, "code": "4", "display": "Domain Resource"}
        what = {"reference": request.query.decode()} if request.query else {"type": request.resource_type}
        return {"what": what, "type": _SYSTEM_OBJECT, "role": role}
    entity: dict[str, Any] = {
        "type": _SYSTEM_OBJECT,
        "role": {"system": _ROLE, "code": "24", "display": "Query"},
        "description": request.resource_type,
    }
    if request.query:
        entity["query"] = base64.b64encode(request.query).decode()
    if request.kind is PullKind.EXPORT:
        entity["detail"] = [{"type": "resources", "valueString": str(count)}]
    return entity


def _patient(disclosure: Disclosure) -> list[dict[str, Any]]:
    if not disclosure.patient:
        return []
    return [
        {
            "what": {"reference": f"Patient/{disclosure.patient}"},
            "type": {"system": _ENTITY, "code": "1", "display": "Person"},
            "role": {"system": _ROLE, "code": "1", "display": "Patient"},
        }
    ]


def _agent(role: Mapping[str, str], who: Mapping[str, Any], *, address: str, kind: str) -> dict[str, Any]:
    network = {"network": {"address": address, "type": kind}} if address else {}
    return {"type": {"coding": [dict(role)]}, "who": dict(who), **network}
