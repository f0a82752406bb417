"""Digests of what a record supplied, so that a later correction knows what is its own and what others wrote."""

from collections.abc import Mapping
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose, MissingDose, Resource
from fhir_gateway.fhir import json_text

DIGITS = 16
_NOT_COMPARED = frozenset({"resourceType", "id", "meta", "patient"})


def digest(value: Any) -> str:
    """Return 16 hex digits for a JSON value; equal values have equal digests, whatever the order of their keys."""
    return json_text.fingerprint(value)[:DIGITS]


def content_digest(patient: Resource, doses: tuple[Dose, ...], missing: tuple[MissingDose, ...]) -> str:
    """Return the digest of everything that a record was converted to."""
    return digest(
        [patient, [[dose.name, dose.resource] for dose in doses], [[dose.name, dose.problem.code] for dose in missing]]
    )


def supplied(resource: Resource) -> Mapping[str, tuple[str, ...]]:
    """Return field → digests of its elements (one for a field that does not repeat), for every field with content."""
    return {
        name: tuple(digest(element) for element in value) if isinstance(value, list) else (digest(value),)
        for name, value in resource.items()
        if name not in _NOT_COMPARED
    }


def remembered(before: Mapping[str, tuple[str, ...]], resource: Resource) -> Mapping[str, tuple[str, ...]]:
    """Return what a record has supplied in all: what it left blank or damaged this time stands there still, as its own."""
    now = supplied(resource)
    kept = {**before, **now}
    if not any(identifier.get("system") == systems.NIK for identifier in resource.get("identifier", ())):
        kept["identifier"] = tuple(dict.fromkeys((*before.get("identifier", ()), *now.get("identifier", ()))))
    return kept
