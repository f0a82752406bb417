"""Where resources point: every reference inside a resource, and every path that can lead to a type of resource.

The paths come from the fhir.resources models' metadata (r4_references.json, see compile_schema), not from a hand-made
list: at any depth, choice types included.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.primitives import ID_PATTERN
from fhir_gateway.fhir.validation import resource_types

_LITERAL = re.compile(
    rf"(?P<base>https?://\S+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>{ID_PATTERN})(?:/_history/(?P<version>{ID_PATTERN}))?"
)
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class FoundReference:
    """A Reference inside a resource: its path (`performer.actor`, without positions) and the element itself.

    `value` is the resource's own object: whoever changes it changes the resource.
    """

    path: str
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal reference taken apart; `base` is "" for relative ones, `version` "" where none is named."""

    base: str
    resource_type: str
    id: str
    version: str

    @property
    def relative(self) -> str:
        """The reference as `Type/id`."""
        return f"{self.resource_type}/{self.id}"


@cache
def _graph() -> Mapping[str, Mapping[str, list[str]]]:
    content: Mapping[str, Mapping[str, list[str]]] = orjson.loads(
        resources.files(__package__).joinpath("r4_references.json").read_bytes()
    )
    return content


def parse_literal(reference: str) -> Literal | None:
    """Take `Type/id`, `Type/id/_history/v` or a URL ending so apart; None for fragments, URNs and everything else."""
    found = _LITERAL.fullmatch(reference)
    if not found:
        return None
    return Literal(found["base"] or "", found["type"], found["id"], found["version"] or "")


def id_referred_to(reference: Any, resource_type: str) -> str:
    """Return the id that a Reference element leads to on a server, "" where it leads to no `resource_type`."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str):
        return ""
    # A URL's path alone is no FHIR, but says as much.
    found = parse_literal(f"http://here{text}" if text.startswith("/") else text)
    return found.id if found and found.resource_type == resource_type else ""


def iterate_references(resource: Resource) -> Iterator[FoundReference]:
    """Yield every Reference of a resource, those in contained resources and in extensions of primitives too."""
    resource_type = resource.get("resourceType", "")
    yield from _walk(resource, resource_type if resource_type in _graph() else "", "")


def _walk(element: Mapping[str, Any], kind: str, path: str) -> Iterator[FoundReference]:
    graph = _graph()
    leading = graph.get(kind, {})
    for name, value in element.items():
        if value.__class__ is str or not isinstance(value, dict | list):
            continue
        child = leading[name][0] if name in leading else "Extension" if name == "extension" else ""
        if not child and not name.startswith("_"):
            continue
        below = f"{path}.{name}" if path else name
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict):
                yield from _visit(item, child, below)


def _visit(item: dict[str, Any], child: str, path: str) -> Iterator[FoundReference]:
    if child == "Reference":
        yield FoundReference(path, item)
    kind = str(item.get("resourceType", "")) if child == "Resource" else child
    yield from _walk(item, kind, path)


@cache
def patient_paths() -> Mapping[str, tuple[str, ...]]:
    """Return resource type → paths of elements that may refer to a Patient (or to anything), in the type's own content.

    Extensions and contained resources are left out, as they may stand anywhere; recursive elements (a questionnaire's
    items) are listed to a depth of one repetition. iterate_references finds all.
    """
    known = sorted(resource_types() & set(_graph()))
    found = {name: tuple(sorted(set(_paths(name, "", (name,))))) for name in known}
    return {name: paths for name, paths in found.items() if paths}


def _paths(kind: str, path: str, above: tuple[str, ...]) -> Iterator[str]:
    for name, (child, *targets) in _graph().get(kind, {}).items():
        if child in ("Extension", "Resource", "Meta", "Identifier"):
            continue
        below = f"{path}.{name}" if path else name
        if child == "Reference":
            if not targets or "Resource" in targets or "Patient" in targets:
                yield below
        elif above.count(child) < 2 and len(above) < _DEEPEST:
            yield from _paths(child, below, (*above, child))


@cache
def reference_targets(resource_type: str, path: str) -> tuple[str, ...]:
    """Return the types that the element at `path` may refer to, empty for any; raises KeyError for no such element."""
    kind = resource_type
    targets: tuple[str, ...] = ()
    for name in path.split("."):
        kind, *named = _graph()[kind][name]
        targets = tuple(named)
    return targets


def replaced_by(patient: Resource) -> Iterator[str]:
    """Return the ids of the Patients that this one says it was replaced by (Patient.link, R4), "" for one not told."""
    return _linked(patient, "replaced-by")


def replaces(patient: Resource) -> Iterator[str]:
    """Return the ids of the Patients that this one says it replaced, "" for one not told."""
    return _linked(patient, "replaces")


def _linked(patient: Resource, link_type: str) -> Iterator[str]:
    links = patient.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("type") == link_type:
            yield id_referred_to(link.get("other"), "Patient")
