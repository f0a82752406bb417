"""What every AuditEvent of the gateway has, after IHE Basic Audit Log Patterns, https://profiles.ihe.net/ITI/BALP/."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fhir_gateway.domain.records import Resource

_PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_OBSERVER = "http://terminology.hl7.org/CodeSystem/security-source-type"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"

REST = {"system": _EVENT, "code": "rest", "display": "Restful Operation"}
EXPORT = {"system": _DICOM, "code": "110106", "display": "Export"}
SOURCE = {"system": _DICOM, "code": "110153", "display": "Source Role ID"}
DESTINATION = {"system": _DICOM, "code": "110152", "display": "Destination Role ID"}
SYSTEM_OBJECT = {"system": ENTITY, "code": "2", "display": "System Object"}
DOMAIN_RESOURCE = {"system": ROLE, "code": "4", "display": "Domain Resource"}
GATEWAY = "fhir-gateway"


def event(  # noqa: PLR0913 - an event is what its elements say
    event_id: str,
    *,
    profile: str,
    type: Mapping[str, str],  # noqa: A002 - the element's name
    interaction: str,
    action: str,
    recorded: datetime,
    agents: Sequence[Mapping[str, Any]],
    site: str,
    entities: Sequence[Mapping[str, Any]],
) -> Resource:
    """Return an AuditEvent of something that succeeded; `profile` is BALP's name of the pattern, "" where it has none."""
    return {
        "resourceType": "AuditEvent",
        "id": event_id,
        **({"meta": {"profile": [f"{_PROFILE}{profile}"]}} if profile else {}),
        "type": dict(type),
        "subtype": [{"system": _INTERACTION, "code": interaction, "display": interaction}],
        "action": action,
        "recorded": instant(recorded),
        "outcome": "0",
        "agent": [dict(one) for one in agents],
        "source": {
            "site": site,
            "observer": {"display": GATEWAY},
            "type": [{"system": _OBSERVER, "code": "4", "display": "Application Server"}],
        },
        "entity": [dict(one) for one in entities],
    }


def system_agent(
    role: Mapping[str, str], who: Mapping[str, Any], *, address: str, kind: str, requestor: bool
) -> dict[str, Any]:
    """Return a program that took part; `kind` says what its address is: "2" an IP address, "5" a URI."""
    network = {"network": {"address": address, "type": kind}} if address else {}
    return {"type": {"coding": [dict(role)]}, "who": dict(who), **network, "requestor": requestor}


def patient_entity(patient: str) -> dict[str, Any]:
    """Return the Patient (bare id) whom an event concerns."""
    return {
        "what": {"reference": f"Patient/{patient}"},
        "type": {"system": ENTITY, "code": "1", "display": "Person"},
        "role": {"system": ROLE, "code": "1", "display": "Patient"},
    }


def instant(moment: datetime) -> str:
    """Return a moment as FHIR writes an instant."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
