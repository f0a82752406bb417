"""Which search parameters the embedded server has, and of what kind; what it declares is what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from hashlib import blake2b
from importlib import resources
from typing import Any

import orjson

from fhir_gateway.fhir.validation import resource_types


class Kind(StrEnum):
    """The kinds of search parameters that are indexed; `special` ones are answered from the resource's own row."""

    TOKEN = "token"  # noqa: S105 - FHIR's word
    STRING = "string"
    DATE = "date"
    REFERENCE = "reference"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter; `paths` are a reference's elements with the target that narrows each ("" for any)."""

    name: str
    kind: Kind
    paths: tuple[tuple[str, str], ...] = ()


OWN: Mapping[str, Mapping[str, Kind]] = {
    "Patient": {
        "active": Kind.TOKEN,
        "address": Kind.STRING,
        "address-city": Kind.STRING,
        "address-country": Kind.STRING,
        "address-postalcode": Kind.STRING,
        "address-state": Kind.STRING,
        "birthdate": Kind.DATE,
        "email": Kind.TOKEN,
        "family": Kind.STRING,
        "gender": Kind.TOKEN,
        "given": Kind.STRING,
        "name": Kind.STRING,
        "phone": Kind.TOKEN,
        "telecom": Kind.TOKEN,
    },
    "Immunization": {
        "date": Kind.DATE,
        "lot-number": Kind.STRING,
        "status": Kind.TOKEN,
        "vaccine-code": Kind.TOKEN,
    },
}
"""Parameters beside identifier and references: what the gateway searches by."""

EVERYWHERE = {"_id": Kind.SPECIAL, "_lastUpdated": Kind.SPECIAL}


@cache
def _definitions() -> Mapping[str, Any]:
    content: Mapping[str, Any] = orjson.loads(
        resources.files(__package__).joinpath("search_parameters.json").read_bytes()
    )
    return content


@cache
def has_identifier(resource_type: str) -> bool:
    """Tell whether a type can be searched by identifier."""
    return resource_type in _definitions()["identifier"]


def parameters_of(resource_type: str) -> Mapping[str, Parameter]:
    """Return the search parameters of a type by name; none where there is no such type."""
    return _parameters_of(resource_type) if resource_type in resource_types() else {}


@cache
def _parameters_of(resource_type: str) -> Mapping[str, Parameter]:
    found = {name: Parameter(name, kind) for name, kind in (EVERYWHERE | dict(OWN.get(resource_type, {}))).items()}
    if has_identifier(resource_type):
        found["identifier"] = Parameter("identifier", Kind.TOKEN)
    for name, paths in _definitions()["reference"].get(resource_type, {}).items():
        pairs = tuple((path.partition(":")[0], path.partition(":")[2]) for path in paths)
        found[name] = Parameter(name, Kind.REFERENCE, pairs)
    return found


@lru_cache(maxsize=8192)
def number_of(resource_type: str, name: str) -> int:
    """Return the number under which a parameter (or, for references, an element's path) is indexed: 48 bits of a hash."""
    return int.from_bytes(blake2b(f"{resource_type}:{name}".encode(), digest_size=6).digest())
