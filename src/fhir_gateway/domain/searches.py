"""Searches that are asked together, and what each one found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.records import Resource


@dataclass(frozen=True, slots=True)
class Search:
    """A search for one type of resource; values of one parameter are alternatives (OR), raw (not escaped)."""

    resource_type: str
    parameters: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """Every match of a search; `problem` says why there is no answer to be believed, "" where there is one."""

    resources: tuple[Resource, ...]
    problem: str = ""
