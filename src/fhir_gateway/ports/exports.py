"""What a bulk export needs beyond searches: versions of the past, members of groups, and files to write to."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_gateway.domain.exports import ExportFile, FileKind, Membership
from fhir_gateway.domain.records import Resource


@dataclass(frozen=True, slots=True)
class PastVersion:
    """A version of a resource; `resource` is None where it is a deletion. `created` says that it is the first one."""

    resource_type: str
    id: str
    updated: datetime
    resource: Resource | None
    created: bool


class FhirHistory(Protocol):
    """What a server remembers (`_history`); every method raises a ServerError when its patience is used up."""

    async def is_kept(self, resource_type: str) -> bool:
        """Say whether the server declares the history of a type and of its resources."""
        ...

    def since(self, resource_type: str, moment: datetime) -> AsyncIterator[PastVersion]:
        """Yield the versions that were written at or after a moment, the newest first."""
        ...

    def pages(
        self, resource_type: str, moment: datetime, *, size: int, link: str = ""
    ) -> AsyncIterator[tuple[str, Sequence[PastVersion]]]:
        """Yield the same page by page, about `size` versions in each, with the link that leads to the page again.

        `link` is where to begin, "" for the newest version. Raises PageExpiredError where the server has forgotten it.
        """
        ...

    async def of(self, resource_type: str, resource_id: str) -> Sequence[PastVersion]:
        """Return every version of a resource, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class StoredResource:
    """The current version of a resource as a server keeps it: compact JSON."""

    updated: datetime
    id: str
    body: bytes


class Stock(Protocol):
    """What a server that runs inside of this process keeps, read without asking it over HTTP."""

    async def rows(
        self, resource_type: str, *, after: datetime | None, until: datetime, limit: int
    ) -> Sequence[StoredResource]:
        """Return resources that were written behind `after` up to `until`, in that order.

        No two resources have the same time.
        """
        ...

    async def some(self, resource_type: str, ids: Sequence[str]) -> Sequence[StoredResource]:
        """Return the resources with these ids that there are."""
        ...


class GroupMembers(Protocol):
    """Who belongs to which group; each method that writes is committed when it returns."""

    def position(self, resource_type: str) -> tuple[datetime, str] | None:
        """Return the last resource (lastUpdated, id) of a type that was looked at."""
        ...

    def note(
        self, sources: Sequence[str], found: Iterable[Membership], *, resource_type: str, last: tuple[datetime, str]
    ) -> None:
        """Write down all that these resources (`Type/id`) say, and that the type was looked at up to `last`."""
        ...

    def leave(self, sources: Sequence[str], *, at: datetime) -> None:
        """Write down that these resources were deleted."""
        ...

    def of_patient(self, patient_id: str) -> Mapping[str, datetime]:
        """Return a person's groups, with the time of joining each."""
        ...

    def among(self, group: str, patients: Sequence[str], *, until: datetime) -> Mapping[str, datetime]:
        """Return which of these people are members, with the time of joining."""
        ...

    def ever_among(self, group: str, patients: Sequence[str]) -> frozenset[str]:
        """Return which of these people are or were members."""
        ...

    def joined(self, group: str, *, since: datetime, until: datetime, after: str, limit: int) -> list[str]:
        """Return members who joined behind `since`, in the order of their ids, page by page."""
        ...


class ExportFiles(Protocol):
    """The NDJSON files of one export."""

    def write(self, kind: FileKind, resource_type: str, lines: Sequence[bytes]) -> None:
        """Append lines, each without its line end; a file that is full is followed by another."""
        ...

    def settle(self) -> tuple[ExportFile, ...]:
        """Bring everything to the disk and return what there is."""
        ...

    def restore(self, files: Sequence[ExportFile]) -> bool:
        """Go back to what settle returned; False where that is not there any more."""
        ...

    def drop(self, resource_type: str) -> None:
        """Remove a type's output."""
        ...

    def written_of(self, resource_type: str, ids: frozenset[str]) -> frozenset[str]:
        """Return which of these resources stand in the output already."""
        ...
