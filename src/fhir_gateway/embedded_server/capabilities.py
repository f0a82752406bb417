"""The CapabilityStatement: what the embedded server does, drawn from the same tables that it does it by."""

from functools import cache, lru_cache
from typing import Any

from fhir_gateway import __version__
from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.parameters import Kind, Parameter, parameters_of
from fhir_gateway.fhir.validation import resource_types

_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_SPECIAL = {"_id": "token", "_lastUpdated": "date"}
_RELEASED = "2026-01-01"


@lru_cache(maxsize=8)
def capability_statement(base: str) -> Resource:
    """Return the server's CapabilityStatement for the base URL that it is asked under."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _RELEASED,
        "kind": "instance",
        "software": {"name": "fhir-gateway embedded FHIR server", "version": __version__},
        "implementation": {"description": "A small strict FHIR R4 server for one machine", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(resource_type) for resource_type in sorted(resource_types())],
                "interaction": [{"code": code} for code in ("transaction", "batch", "history-system")],
            }
        ],
    }


def _resource(resource_type: str) -> dict[str, Any]:
    parameters = parameters_of(resource_type).values()
    references = sorted(p.name for p in parameters if p.kind is Kind.REFERENCE)
    includes = {"searchInclude": [f"{resource_type}:{name}" for name in references]} if references else {}
    referring = _referring().get(resource_type)
    return {
        "type": resource_type,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "enforced"],
        **includes,
        **({"searchRevInclude": referring} if referring else {}),
        "searchParam": [_parameter(parameter) for parameter in parameters],
    }


@cache
def _referring() -> dict[str, list[str]]:
    """Return for Patient, whom everything is about, which parameters of other types refer to it."""
    narrowed = {
        f"{resource_type}:{name}"
        for resource_type in resource_types()
        for name in ("patient", "subject")
        if name in parameters_of(resource_type)
    }
    return {"Patient": sorted(narrowed)}


def _parameter(parameter: Parameter) -> dict[str, str]:
    return {"name": parameter.name, "type": _SPECIAL.get(parameter.name, parameter.kind.value)}
