"""What exports read besides the FHIR server: the groups in the ledger, and what the embedded server keeps."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from fhir_gateway.domain.exports import Membership
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.store import Stored
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports.exports import StoredResource

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class LedgerGroups:
    """Fulfils ports.exports.GroupMembers on a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.position = ledger.groups.position
        self.of_patient = ledger.groups.of_patient
        self.among = ledger.groups.among
        self.ever_among = ledger.groups.ever_among
        self.joined = ledger.groups.joined

    def note(
        self, sources: Sequence[str], found: Iterable[Membership], *, resource_type: str, last: tuple[datetime, str]
    ) -> None:
        """Write down all that these resources say, and that the type was looked at up to `last`."""
        with self._ledger.transaction():
            self._ledger.groups.replace(sources, found)
            self._ledger.groups.move(resource_type, *last)

    def leave(self, sources: Sequence[str], *, at: datetime) -> None:
        """Write down that these resources were deleted."""
        with self._ledger.transaction():
            self._ledger.groups.leave(sources, at=at)


class EmbeddedStock:
    """Fulfils ports.exports.Stock on the embedded server.

    It has one thread: each would have a connection to the database with megabytes of cache.
    """

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="export")

    async def rows(
        self, resource_type: str, *, after: datetime | None, until: datetime, limit: int
    ) -> list[StoredResource]:
        """Return resources in the order of their times, which are all different."""
        behind = _micros(after) if after else 0
        return await self._act(
            lambda: self._server.stored(resource_type, after=behind, until=_micros(until), limit=limit)
        )

    async def some(self, resource_type: str, ids: Sequence[str]) -> list[StoredResource]:
        """Return the resources with these ids that there are."""
        return await self._act(lambda: self._server.stored_under(resource_type, ids))

    def close(self) -> None:
        """Wait for what is being read."""
        self._thread.shutdown()

    async def _act(self, read: Callable[[], list[Stored]]) -> list[StoredResource]:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: [StoredResource(_moment(one.updated), one.id, one.body or b"{}") for one in read()]
        )


def _micros(moment: datetime) -> int:
    return (moment - _BEGINNING) // timedelta(microseconds=1)


def _moment(stamp: int) -> datetime:
    return _BEGINNING + timedelta(microseconds=stamp)
