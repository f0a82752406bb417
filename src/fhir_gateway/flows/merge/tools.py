"""What the merge road works with, and what it is asked to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from fhir_gateway.domain.posting import Locking
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.searches import Search, SearchAnswer
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ports import CandidateFinder, Clock, FhirReader, FhirWriter, Ledger, MergeJournal, Progress


class MergeReader(FhirReader, Protocol):
    """A reader that can ask many searches in few requests."""

    async def search_together(
        self, searches: Sequence[Search], *, check: Callable[[Resource], bool] | None = None, count: int = ...
    ) -> list[SearchAnswer]:
        """Return every match of each search; a search without an answer to be believed comes with a `problem`."""
        ...


class MergeServer(Protocol):
    """What else the merge road asks of a FHIR server."""

    @property
    def base(self) -> str:
        """The server's own address: absolute references below it are its own."""
        ...

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far, repeats included."""
        ...

    async def search_parameters(self) -> Mapping[str, frozenset[str]] | None:
        """Return the search parameters that the server declares, by type; None where it declares nothing."""
        ...

    async def locking(self) -> Locking:
        """Return how If-Match works here, found out once."""
        ...

    async def merges_itself(self) -> bool:
        """Return whether the server's own `Patient/$merge` is to be used and it declares one."""
        ...

    async def merge(self, source: tuple[str, str], target: tuple[str, str], result: Resource) -> str:
        """Ask for a `$merge` of (`Patient/id`, version) into another, with this result; return its refusal, "" if none."""
        ...

    async def versions(self, name: str) -> list[Resource] | None:
        """Return the newest versions of a resource (`Type/id`), the newest first; None where the server tells none."""
        ...


@dataclass(frozen=True, slots=True)
class MergeTools:
    """The adapters and policies of one environment."""

    ledger: Ledger
    journal: MergeJournal
    reader: MergeReader
    server: MergeServer
    writer: FhirWriter
    """Sends batch bundles."""
    single_writer: FhirWriter
    """Sends each entry as a request of its own."""
    finder: CandidateFinder
    clock: Clock
    progress: Progress
    zone: tzinfo
    environment: str
    matching: MatchingPolicy
    masked: bool = False
    """Whether the server answers with covered NIKs."""
    window: int = 500
    """Patients whose groups are fetched and merged together."""
    slice: int = 1000
    """Writes after which the journal notes what has become of them."""
