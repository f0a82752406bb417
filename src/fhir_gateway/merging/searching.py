"""Which searches find the references to a Patient, and which references no search finds.

Both come from metadata: the elements that may refer to a Patient from the models (fhir.references), the parameters
that reach them from R4's registry (patient_searches.json, see compile_searches).
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

import orjson

from fhir_gateway.fhir.references import patient_paths

_NOT_SEARCHED = frozenset({"Provenance", "AuditEvent", "Bundle", "Parameters"})
"""Types that are never rewritten, or that no server keeps."""

Supported = Mapping[str, Collection[str]]
"""The search parameters that a server declares, by the resource types that it has."""


class PatientSearch(NamedTuple):
    """A search that finds resources by the Patient to which they refer."""

    resource_type: str
    parameter: str


@cache
def _parameters() -> Mapping[str, Mapping[str, list[str]]]:
    content: Mapping[str, Mapping[str, list[str]]] = orjson.loads(
        resources.files(__package__).joinpath("patient_searches.json").read_bytes()
    )
    return content


def search_paths(supported: Supported | None = None) -> tuple[PatientSearch, ...]:
    """Return the fewest searches that together find every searchable reference to a Patient, by type.

    `supported` is what a server declares; None for all of R4.
    """
    return tuple(
        PatientSearch(resource_type, parameter)
        for resource_type in _types(supported)
        for parameter in _covering(resource_type, None if supported is None else supported[resource_type])
    )


def finds(search: PatientSearch, path: str) -> bool:
    """Say whether a search should find a resource of its type that refers to the Patient at this path."""
    return path in _parameters().get(search.resource_type, {}).get(search.parameter, ())


def unsearchable_paths(supported: Supported | None = None) -> tuple[str, ...]:
    """Return `Type.path` of the references to Patients that no search finds.

    Any element may have an extension with a reference, and any resource contained ones: those are not listed here, and
    whoever must be sure of them reads everything.
    """
    return tuple(path for resource_type in _types(supported) for path in _unreached(resource_type, supported))


def _types(supported: Supported | None) -> Iterator[str]:
    for resource_type in sorted(patient_paths()):
        if resource_type not in _NOT_SEARCHED and (supported is None or resource_type in supported):
            yield resource_type


def _unreached(resource_type: str, supported: Supported | None) -> Iterator[str]:
    parameters = _parameters().get(resource_type, {})
    usable = parameters if supported is None else parameters.keys() & set(supported[resource_type])
    reached = {path for parameter in usable for path in parameters[parameter]}
    for path in patient_paths()[resource_type]:
        if path not in reached and (resource_type, path) != ("Patient", "link.other"):
            yield f"{resource_type}.{path}"


def _covering(resource_type: str, supported: Collection[str] | None) -> tuple[str, ...]:
    """Return the fewest parameters that reach all paths which any can reach; `patient` last at a tie.

    Beside `subject` or `actor` it is defined as that element where it resolves to a Patient, which a server has to
    resolve first (Medplum's memory repository does not: it finds nothing).
    """
    usable = {
        parameter: set(paths)
        for parameter, paths in _parameters().get(resource_type, {}).items()
        if supported is None or parameter in supported
    }
    open_paths = set().union(*usable.values()) if usable else set()
    chosen: list[str] = []
    while open_paths:
        best = min(usable, key=lambda name: (-len(usable[name] & open_paths), name == "patient", name))
        chosen.append(best)
        open_paths -= usable[best]
    return tuple(sorted(chosen))
