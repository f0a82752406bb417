"""Whether a resource is what a search asks for: the server behind may read a parameter otherwise, or ignore it."""

from typing import Any

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.date_ranges import range_of
from fhir_gateway.registry.parameters import SEARCHES, Filter, Kind, RegistrySearch, reference_id, split_date


def fits(resource: Resource, search: RegistrySearch) -> bool:
    """Say whether a resource agrees with every filter of a search but those that name a person.

    Persons have been resolved to ids by then. Dates without a zone are read as UTC.
    """
    return all(_fits(resource, one, SEARCHES[search.resource_type][one.name].kind) for one in search.filters)


def _fits(resource: Resource, asked: Filter, kind: Kind) -> bool:
    match kind:
        case Kind.ID:
            return resource.get("id") in asked.values
        case Kind.DATE:
            written = _date(resource, asked.name)
            return bool(written) and any(_in_range(written, value) for value in asked.values)
        case Kind.TOKEN:
            tokens = _tokens(resource, asked.name)
            return any(_is_token(value, token) for value in asked.values for token in tokens)
        case Kind.STRING:
            written = str(resource.get("lotNumber", "")).casefold()
            return any(written.startswith(value.casefold()) for value in asked.values)
        case Kind.REFERENCE:
            return _target(resource, asked.name) in asked.values
        case Kind.PERSON:
            return True


def _date(resource: Resource, name: str) -> str:
    meta = resource.get("meta")
    value = (
        (meta.get("lastUpdated") if isinstance(meta, dict) else None)
        if name == "_lastUpdated"
        else resource.get("occurrenceDateTime")
    )
    return value if isinstance(value, str) else ""


def _in_range(written: str, value: str) -> bool:
    prefix, date = split_date(value)
    try:
        own, asked = range_of(written), range_of(date)
    except ValueError:
        return False
    within = asked.low <= own.low and own.high <= asked.high
    match prefix:
        case "eq":
            return within
        case "gt":
            return own.high > asked.high
        case "ge":
            return own.high > asked.high or within
        case "lt":
            return own.low < asked.low
        case _:
            return own.low < asked.low or within


def _tokens(resource: Resource, name: str) -> list[tuple[str, str]]:
    if name == "status":
        return [("http://hl7.org/fhir/event-status", str(resource.get("status", "")))]
    concept: Any = resource.get("vaccineCode")
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [
        (str(coding.get("system", "")), str(coding.get("code", "")))
        for coding in (codings if isinstance(codings, list) else [])
        if isinstance(coding, dict)
    ]


def _is_token(asked: str, token: tuple[str, str]) -> bool:
    system, bar, code = asked.partition("|")
    if not bar:
        return token[1] == asked
    return token[0] == system and code in ("", token[1])


def _target(resource: Resource, name: str) -> str:
    element: Any = resource.get("patient" if name == "patient" else "location")
    reference = element.get("reference") if isinstance(element, dict) else None
    if not isinstance(reference, str):
        return ""
    try:
        return reference_id(reference.split("/_history/")[0], "Patient" if name == "patient" else "Location")
    except ValueError:
        return ""
