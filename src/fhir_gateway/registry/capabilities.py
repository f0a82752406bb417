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
_BULK = "http://hl7.org/fhir/uv/bulkdata"
_EXPORTS = {
    "Patient": ("patient-export", "everybody's Patient and doses, or (POST with patient) some people's"),
    "Group": ("group-export", "the members of a district or a clinic: Patients and doses"),
}
"""Type → name of its export operation, and what it exports."""


def served_searches(declared: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Return which of a registry's parameters work: those that the server behind declares for the type.

    A server that declares no parameter of a type, or no type at all, does not say that it has none: it is asked all the
    same, and what it finds is held against every parameter. A person's identifier is resolved to a Patient first, so it
    needs no more than the server's own identifier search.
    """
    declared = {one: declared.get(one) or SEARCHES[one] for one in SEARCHES if one in declared or not declared}
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
        "instantiates": [f"{_BULK}/CapabilityStatement/bulk-data"],
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
                "documentation": _words(endpoint),
                "security": {
                    "cors": False,
                    "service": [_SERVICE],
                    "extension": [{"url": _OAUTH, "extension": [{"url": "token", "valueUri": endpoint.token_url}]}],
                },
                "resource": [_group(), *(_resource(one, endpoint) for one in sorted(endpoint.served))],
                "operation": [_operation("export", "everything that the token permits")],
            }
        ],
    }


def _words(endpoint: Endpoint) -> str:
    words = "Identifiers of persons belong into the body of POST _search."
    without = sorted({"Immunization", "Patient"} - set(endpoint.histories))
    if not without:
        return f"{words} An export holds what was committed up to its transactionTime and nothing later, and tells deletions."
    return (
        f"{words} The FHIR server behind keeps no history of {', '.join(without)}: exports tell no deletions of these but"
        " those that the gateway makes itself (it makes none), and what is changed while an export runs comes with the next."
    )


def _operation(name: str, words: str) -> Resource:
    return {"name": name, "definition": f"{_BULK}/OperationDefinition/{name}", "documentation": words}


def _group() -> Resource:
    return {
        "type": "Group",
        "documentation": "Districts where people live and clinics that gave them doses; a Group lists no members.",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "searchParam": [{"name": "_id", "type": "token", "documentation": "the Group's id"}],
        "operation": [_operation(*_EXPORTS["Group"])],
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
    if resource_type in _EXPORTS:
        declared["operation"] = [_operation(*_EXPORTS[resource_type])]
    return declared
