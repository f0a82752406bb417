"""What the roads of a registry's pull need of the FHIR server behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_gateway.domain.records import Resource


@dataclass(frozen=True, slots=True)
class PulledPage:
    """One page of a search as the server gives it; `following` is an opaque link to the next one, "" at the end."""

    resources: tuple[Resource, ...]
    following: str
    total: int | None = None


class FhirPuller(Protocol):
    """Searches page by page; every method raises a ServerError when the server's patience is used up.

    `pairs` are parameters, values escaped as FHIR wants them: a name may be repeated (AND).
    """

    async def page(self, resource_type: str, pairs: Sequence[tuple[str, str]]) -> PulledPage:
        """Return the first page of a search."""
        ...

    async def following(self, resource_type: str, link: str) -> PulledPage:
        """Return the page that a link leads to; raises PageExpiredError where the server has forgotten it."""
        ...

    async def count(self, resource_type: str, pairs: Sequence[tuple[str, str]]) -> int:
        """Return how many resources a search finds."""
        ...
