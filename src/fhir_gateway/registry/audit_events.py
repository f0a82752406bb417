"""A pull as FHIR AuditEvents: one for each Patient whom it told of, one for an export as a whole.

PatientQuery and PatientRead (IHE BALP) where a Patient was told of, Query and Read where nobody was. BALP has no pattern
for a history and a bulk export; the one is a RESTful operation, the other DICOM's event "Export".
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Disclosure, PullKind
from fhir_gateway.registry import balp


@dataclass(frozen=True, slots=True)
class Pattern:
    """How one kind of pull is told; `asks` says whether the client is the source, as it is of what it asks."""

    name: str
    type: Mapping[str, str]
    interaction: str
    action: str
    asks: bool


_PATTERNS = {
    PullKind.SEARCH: Pattern("Query", balp.REST, "search", "E", asks=True),
    PullKind.READ: Pattern("Read", balp.REST, "read", "R", asks=False),
    PullKind.HISTORY: Pattern("", balp.REST, "history", "R", asks=False),
    PullKind.EXPORT: Pattern("", balp.EXPORT, "operation", "E", asks=False),
}


def event_id(disclosure: Disclosure) -> str:
    """Return the id of a disclosure's AuditEvent: always the same one, and it names nobody."""
    told = hashlib.blake2b(disclosure.patient.encode(), digest_size=8).hexdigest() if disclosure.patient else "0"
    return f"{disclosure.pull.id}-{told}"


def audit_event(disclosure: Disclosure, *, client_name: str, base: str, environment: str) -> Resource:
    """Return the AuditEvent of a disclosure; `base` is the address of the environment's registry endpoint."""
    request = disclosure.pull.request
    pattern = _PATTERNS[request.kind]
    client = balp.system_agent(
        balp.SOURCE if pattern.asks else balp.DESTINATION,
        {"identifier": {"value": request.client}} | ({"display": client_name} if client_name else {}),
        address=request.address,
        kind="2",
        requestor=True,
    )
    server = balp.system_agent(
        balp.DESTINATION if pattern.asks else balp.SOURCE,
        {"identifier": {"value": base}, "display": balp.GATEWAY},
        address=base,
        kind="5",
        requestor=False,
    )
    return balp.event(
        event_id(disclosure),
        profile=f"{'Patient' if disclosure.patient else ''}{pattern.name}" if pattern.name else "",
        type=pattern.type,
        interaction=pattern.interaction,
        action=pattern.action,
        recorded=request.at,
        agents=[client, server],
        site=environment,
        entities=[_asked(disclosure), *([balp.patient_entity(disclosure.patient)] if disclosure.patient else [])],
    )


def _asked(disclosure: Disclosure) -> dict[str, Any]:
    """Return what was asked for: the raw query as it came, or the resource that was read."""
    request, count = disclosure.pull.request, disclosure.pull.count
    if request.kind is PullKind.READ:
        what = {"reference": request.query.decode()} if request.query else {"type": request.resource_type}
        return {"what": what, "type": balp.SYSTEM_OBJECT, "role": balp.DOMAIN_RESOURCE}
    entity: dict[str, Any] = {
        "type": balp.SYSTEM_OBJECT,
        "role": {"system": balp.ROLE, "code": "24", "display": "Query"},
        "description": request.resource_type,
    }
    if request.query:
        entity["query"] = base64.b64encode(request.query).decode()
    if request.kind is PullKind.EXPORT:
        entity["detail"] = [{"type": "resources", "valueString": str(count)}]
    return entity
