"""What the registry's endpoint declares: exactly what works on the FHIR server behind."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from fhir_gateway.domain.records import Resource
from fhir_gateway.registry.parameters import INCLUDE, SEARCHES

_SERVICE = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}]
}
_OAUTH = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_CHAINED = "."


def served_searches(declared: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Return which of a registry's parameters work: those that the server behind declares for the type.

    A person's identifier is resolved to a Patient first, so it needs no more than the server's own identifier search.
    """
    behind = {resource_type: set(names) | {"_id", "_lastUpdated"} for resource_type, names in declared.items()}
    needed = {"patient.identifier": "patient"}
    return {
        resource_type: frozenset(name for name in parameters if needed.get(name, name) in behind[resource_type])
        for resource_type, parameters in SEARCHES.items()
        if resource_type in behind
    }


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry endpoint: `served` is what served_searches returns, `started` when the gateway was.

    `histories` are the types whose history is told.
    """

    served: Mapping[str, Collection[str]]
    base: str
    token_url: str
    version: str
    started: datetime
    histories: Collection[str] = ()


def capability_statement(endpoint: Endpoint) -> Resource:
    """Return the CapabilityStatement of one environment's registry endpoint."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": endpoint.started.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "fhir-gateway", "version": endpoint.version},
        "implementation": {
            "description": "Immunizations and Patients of one environment, to be read",
            "url": endpoint.base,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Identifiers of persons belong into the body of POST _search.",
                "security": {
                    "cors": False,
                    "service": [_SERVICE],
                    "extension": [{"url": _OAUTH, "extension": [{"url": "token", "valueUri": endpoint.token_url}]}],
                },
                "resource": [_resource(one, endpoint) for one in sorted(endpoint.served)],
            }
        ],
    }


def _resource(resource_type: str, endpoint: Endpoint) -> Resource:
    names = endpoint.served[resource_type]
    parameters = [SEARCHES[resource_type][name] for name in sorted(names) if _CHAINED not in name]
    codes = ["read", "search-type"]
    if resource_type in endpoint.histories:
        codes += ["history-instance", "history-type"]
    declared: Resource = {
        "type": resource_type,
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned",
        "searchParam": [{"name": one.name, "type": one.type_code, "documentation": one.words} for one in parameters],
    }
    chained = [SEARCHES[resource_type][name] for name in sorted(names) if _CHAINED in name]
    if chained:
        declared["documentation"] = "Chained: " + "; ".join(f"{one.name} ({one.words})" for one in chained)
    if resource_type == "Immunization":
        declared["searchInclude"] = [INCLUDE]
    return declared
