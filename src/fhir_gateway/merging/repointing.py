"""References that lead to a replaced Patient lead to the survivor instead.

Every literal Reference counts, at any depth: contained resources, extensions of elements and of primitives, choice
types; relative ones, and absolute ones to the server's own base. One that names a version loses it, as the survivor
has no such version: a record must not be left behind for the sake of a citation, and undoing puts it back. Left alone are
Provenance and AuditEvent (they tell what was), Patient.link (it tells who was replaced by whom), Bundles (documents
whose references resolve within themselves), references by identifier only, and what a display says.
"""

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import Literal, iterate_references, parse_literal
from fhir_gateway.merging.searching import PatientSearch, search_paths, unsearchable_paths

__all__ = [
    "UNTOUCHED",
    "PatientSearch",
    "patients_elsewhere",
    "patients_referred_to",
    "references_to",
    "repoint",
    "repoint_doses",
    "search_paths",
    "unsearchable_paths",
    "versioned_references",
]

UNTOUCHED = frozenset({"Provenance", "AuditEvent", "Bundle"})
"""Types in which no reference is ever rewritten."""


def repoint(resource: Resource, replaced_ids: Collection[str], survivor_id: str, *, base: str = "") -> Resource:
    """Return the resource with all references to replaced Patients leading to the survivor; itself where none does.

    Ids are bare. `base` is the server's own address: absolute references below it count as its own.
    """
    if not references_to(resource, replaced_ids, base=base):
        return resource
    moved = copy.deepcopy(resource)
    for element, literal, _ in _matching(moved, replaced_ids, _normal(base)):
        element["reference"] = f"{literal.base}Patient/{survivor_id}"
    return moved


def repoint_doses(resource: Resource, kept: Mapping[str, str], *, base: str = "") -> Resource:
    """Return the resource with its references to doses that were entered in error leading to the kept ones.

    `kept` is bare id → bare id of the dose that it really is. What names no such dose comes back itself.
    """
    own = _normal(base)
    if not any(literal.id in kept for _, literal, _ in _own_references(resource, own, "Immunization")):
        return resource
    moved = copy.deepcopy(resource)
    for element, literal, _ in _own_references(moved, own, "Immunization"):
        if literal.id in kept:
            element["reference"] = f"{literal.base}Immunization/{kept[literal.id]}"
    return moved


def references_to(resource: Resource, patient_ids: Collection[str], *, base: str = "") -> tuple[str, ...]:
    """Return the paths (without positions) of the references that repoint() would move, in their order."""
    return tuple(path for _, _, path in _matching(resource, patient_ids, _normal(base)))


def patients_elsewhere(resource: Resource, *, base: str = "") -> frozenset[str]:
    """Return the bare ids of Patients to whom a resource refers at another address than the server's own.

    They are somebody else's, or the server's own under an address that it has on its inside: nothing tells which.
    """
    own = _normal(base)
    found = _references(resource, "Patient")
    return frozenset(literal.id for _, literal, _ in found if literal.base and _normal(literal.base) != own)


def versioned_references(resource: Resource, patient_ids: Collection[str], *, base: str = "") -> tuple[str, ...]:
    """Return the paths of those references to these Patients that name a version, which moving makes them lose."""
    return tuple(path for _, literal, path in _matching(resource, patient_ids, _normal(base)) if literal.version)


def patients_referred_to(resource: Resource, *, base: str = "") -> frozenset[str]:
    """Return the bare ids of all Patients to whom a resource refers, in the places that repoint() would change."""
    own = _normal(base)
    return frozenset(literal.id for _, literal, _ in _own_references(resource, own))


def _matching(
    resource: Resource, patient_ids: Collection[str], base: str
) -> Iterator[tuple[dict[str, Any], Literal, str]]:
    for found in _own_references(resource, base):
        if found[1].id in patient_ids:
            yield found


def _own_references(
    resource: Resource, base: str, target: str = "Patient"
) -> Iterator[tuple[dict[str, Any], Literal, str]]:
    """Yield the References to Patients (or another type) of this server that may be rewritten: element, literal, path."""
    for found in _references(resource, target):
        if not found[1].base or _normal(found[1].base) == base:
            yield found


def _references(resource: Resource, target: str) -> Iterator[tuple[dict[str, Any], Literal, str]]:
    resource_type = resource.get("resourceType")
    if not isinstance(resource_type, str) or resource_type in UNTOUCHED:
        return
    for found in iterate_references(resource):
        text = found.value.get("reference")
        if not isinstance(text, str) or found.path.startswith("contained."):
            continue
        if resource_type == "Patient" and found.path == "link.other":
            continue
        literal = parse_literal(text)
        if literal and literal.resource_type == target:
            yield found.value, literal, found.path
    held = resource.get("contained")
    for one in held if isinstance(held, list) else ():
        if isinstance(one, dict):
            below = _references(one, target)
            yield from ((value, literal, f"contained.{path}") for value, literal, path in below)


def _normal(base: str) -> str:
    """Return an address in a form that can be compared; scheme and host have no case."""
    if not base:
        return ""
    try:
        parts = urlsplit(base)
    except ValueError:
        return base
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
