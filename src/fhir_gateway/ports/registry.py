"""What the roads of a registry's pull need of the FHIR server behind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Correction


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
        """Return the first page of a search; where the server finds that too long, of one that narrows less."""
        ...

    async def following(self, resource_type: str, link: str) -> PulledPage:
        """Return the page that a link leads to; raises PageExpiredError where the server has forgotten it."""
        ...

    async def count(self, resource_type: str, pairs: Sequence[tuple[str, str]]) -> int:
        """Return how many resources a search finds; raises UntrustedAnswerError where the server does not tell."""
        ...


class Withdrawals(Protocol):
    """Which clients have what was taken back on the server itself, and up to where that was looked for."""

    def position(self) -> tuple[datetime, str] | None:
        """Return the last resource (lastUpdated, id) that was looked at."""
        ...

    def held(self, resources: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return which versions of these resources (`Type/id`) clients have."""
        ...

    def note(self, corrections: Iterable[Correction], *, last: tuple[datetime, str], at: datetime) -> int:
        """Note who has another version than the right one, and that everything up to `last` was looked at.

        Return how many copies those are.
        """
        ...
