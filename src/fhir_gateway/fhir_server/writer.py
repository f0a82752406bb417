"""Writes batches: every entry's own outcome, its own retries, and never two of the same create at once."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, ServerError, TransientServerError
from fhir_gateway.domain.posting import BundleEntry, EntryKind, EntryOutcome
from fhir_gateway.fhir.bundles import EntryAnswer
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.dispatch import Dispatcher, Said, Way
from fhir_gateway.fhir_server.entry_outcomes import (
    existed,
    in_doubt,
    is_duplicate,
    may_exist,
    outcome_of,
    refused,
    unavailable,
)
from fhir_gateway.fhir_server.lookup import Found, find_created
from fhir_gateway.fhir_server.order import AnswerOrder
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.verdicts import Verdict, judge, pause

MOST_ROUNDS = 8
"""How often an entry that the server puts off is sent before it counts as unavailable."""

_WHOLE_META = {"X-Meta-Snapshot-Mode": "TAG, PROFILE, SECURITY_LABEL"}
"""HAPI's own header; other servers store `meta` as it is sent."""

_CREATED = frozenset({EntryKind.CREATED, EntryKind.EXISTED})
_NO_CONDITIONS = frozenset({400, 405, 422, 501})  # not 412: several match


class ServerWriter:
    """Fulfils ports.FhirWriter on a FHIR server; one for all callers, since it bounds what flies at once.

    Without `bundles` each entry is a request of its own: for servers that heed If-Match there only. With `whole_meta`
    an update's tags, profiles and labels are all that stay: else HAPI keeps tags that an update does not name.
    """

    def __init__(
        self, client: FhirClient, reader: ServerReader, *, bundles: bool = True, whole_meta: bool = False
    ) -> None:
        self._client = client
        self._reader = reader
        self._policy = client.policy
        self._size = client.policy.batch_size if bundles else 1
        self._dispatcher = Dispatcher(client, bundles=bundles, headers=_WHOLE_META if whole_meta else {})
        self._order = AnswerOrder(reader, masked=client.policy.masked_identifiers)
        self._slots = asyncio.Semaphore(client.policy.max_in_flight)
        self._refuses_conditions = False
        self._flying: set[str] = set()
        self._landed = asyncio.Condition()

    async def send(self, entries: Sequence[BundleEntry]) -> Sequence[EntryOutcome]:
        """Send the entries in bundles and return one outcome each, in their order.

        Raises ValueError for a create without a condition: it could not be repeated after an unknown end, and
        AccessRefusedError where the server takes nothing with these credentials; what was sent until then is safe to
        send again.
        """
        if any(entry.method == "POST" and not entry.if_none_exist for entry in entries):
            raise ValueError("a create needs if_none_exist, or a repeat would make a second resource")
        outcomes: list[EntryOutcome | None] = [None] * len(entries)

        async def deliver(positions: Sequence[int]) -> None:
            chosen = [entries[position] for position in positions]
            for position, outcome in zip(positions, await self._deliver(chosen), strict=True):
                outcomes[position] = outcome

        try:
            async with asyncio.TaskGroup() as group:
                for positions in _bundles(entries, size=self._size):
                    group.create_task(deliver(positions))
        except* AccessRefusedError as refusals:
            raise refusals.exceptions[0] from None
        return [outcome for outcome in outcomes if outcome is not None]

    async def _deliver(self, entries: Sequence[BundleEntry]) -> list[EntryOutcome]:
        """Deliver one bundle's entries; whatever the server does becomes an outcome, but for refused credentials."""
        try:
            async with self._alone(map(_create_key, entries)), self._slots:
                return await self._settle(entries)
        except AccessRefusedError:
            raise
        except TransientServerError as error:
            return [unavailable(entry, str(error)) for entry in entries]
        except PermanentServerError as error:
            return [refused(entry, str(error), status=error.status) for entry in entries]

    async def _settle(self, entries: Sequence[BundleEntry]) -> list[EntryOutcome]:
        """Send entries round after round, each time only those that the server put off."""
        way, look_first = await self._way(entries)
        settled: dict[int, EntryOutcome] = {}
        for attempt in range(1, MOST_ROUNDS + 1):
            waiting = [position for position in range(len(entries)) if position not in settled]
            if look_first:
                settled |= await self._existing(entries, waiting)
                waiting = [position for position in waiting if position not in settled]
            if not waiting:
                break
            if attempt > 1:
                await self._client.timing.sleep(pause(attempt - 1, asked=None, chance=self._client.timing.chance()))
            chosen = [entries[position] for position in waiting]
            together = self._dispatcher.sends_bundles
            said = await self._dispatcher.dispatch(chosen, way)
            together = together and (self._dispatcher.sends_bundles or self._order.broken)
            if together and not await self._order.holds(chosen, said):
                self._dispatcher.send_singly()
                said = [s if isinstance(s, EntryOutcome) else in_doubt(e) for e, s in zip(chosen, said, strict=True)]
            elif look_first and way.conditional:
                way, said = await self._without_conditions(chosen, way, said)
            settled |= await self._outcomes(entries, dict(zip(waiting, said, strict=True)), last=attempt == MOST_ROUNDS)
        return [settled[position] for position in range(len(entries))]

    async def _way(self, entries: Sequence[BundleEntry]) -> tuple[Way, bool]:
        """Return how to send, and whether to look for what is there before each create.

        A server that declares no conditional creates may ignore the condition and create a second one.
        """
        capabilities = await self._reader.capabilities()
        types = {entry.url for entry in entries if entry.method == "POST"}
        look_first = any(not capabilities.creates_conditionally(one) for one in types)
        wanted = self._policy.bundle_type
        if wanted == "auto":
            wanted = "transaction" if "transaction" in capabilities.system_interactions else "batch"
        way = Way(
            wanted,
            to_batch=self._policy.bundle_type == "auto",
            repeat=not look_first,
            conditional=not (look_first and self._refuses_conditions),
        )
        return way, look_first

    async def _without_conditions(
        self, entries: Sequence[BundleEntry], way: Way, said: list[Said]
    ) -> tuple[Way, list[Said]]:
        """Send refused creates again without their conditions, which the server does not declare to take either.

        They were looked for just before, and were not there. Where one is taken now, conditions were what was refused.
        """
        refused = [position for position, one in enumerate(said) if _may_be_the_condition(entries[position], one)]
        if not refused:
            return way, said
        bare = replace(way, conditional=False)
        again = await self._dispatcher.dispatch([entries[position] for position in refused], bare)
        answers = list((dict(enumerate(said)) | dict(zip(refused, again, strict=True))).values())
        if not any(judge(one.status) is Verdict.SUCCESS for one in again):
            return way, answers
        self._refuses_conditions = True
        return bare, answers

    async def _outcomes(
        self, entries: Sequence[BundleEntry], said: dict[int, Said], *, last: bool
    ) -> dict[int, EntryOutcome]:
        """Return the outcomes of entries that are settled; looks up ids that the server did not tell."""
        settled: dict[int, EntryOutcome] = {}
        nameless: list[int] = []
        for position, answer in said.items():
            entry = entries[position]
            outcome = answer if isinstance(answer, EntryOutcome) else outcome_of(entry, answer)
            if isinstance(answer, EntryAnswer) and (is_duplicate(entry, answer) or may_exist(entry, answer)):
                nameless.append(position)
            elif outcome is not None and outcome.kind in _CREATED and not outcome.resource_id:
                nameless.append(position)
                continue  # not settled unless it is found
            if outcome is not None:
                settled[position] = outcome
            elif last:
                settled[position] = unavailable(entry, _put_off(answer))
        with contextlib.suppress(ServerError):  # what is settled stays settled
            settled |= await self._existing(entries, nameless, told=said)
        missing = [position for position in nameless if position not in settled] if last else []
        return settled | {
            position: unavailable(entries[position], "the server says that it was created, but does not find it")
            for position in missing
        }

    async def _existing(
        self,
        entries: Sequence[BundleEntry],
        positions: Sequence[int],
        *,
        told: Mapping[int, Said] = MappingProxyType({}),
    ) -> dict[int, EntryOutcome]:
        """Return outcomes for those creates whose resources the server has already, found by their identifiers.

        `told` is what the server said of them: where it says that several are there, and they are, none of them is it.
        """
        creates = [entries[position] for position in positions if entries[position].method == "POST"]
        found: dict[str, Found] = await find_created(self._reader, creates) if creates else {}
        return {
            position: existed(entries[position], one.resource_id, one.version_id)
            for position in positions
            if (one := found.get(_create_key(entries[position]))) is not None
            and not (one.several and position in told and told[position].status == 412)
        }

    @contextlib.asynccontextmanager
    async def _alone(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Wait until none of these creates flies, and keep others from flying (seen: 72 duplicates of 50)."""
        wanted = {key for key in keys if key}
        async with self._landed:
            await self._landed.wait_for(lambda: not wanted & self._flying)
            self._flying |= wanted
        try:
            yield
        finally:
            self._flying -= wanted
            async with self._landed:
                self._landed.notify_all()


def _create_key(entry: BundleEntry) -> str:
    return f"{entry.url}?{entry.if_none_exist}" if entry.if_none_exist else ""


def _may_be_the_condition(entry: BundleEntry, said: Said) -> bool:
    return bool(entry.if_none_exist) and said.status in _NO_CONDITIONS


def _bundles(entries: Sequence[BundleEntry], *, size: int) -> Iterator[list[int]]:
    """Yield the positions for each bundle, in order; the same create, or the same resource, never twice in one."""
    waiting = deque(range(len(entries)))
    while waiting:
        chosen: list[int] = []
        put_back: list[int] = []
        names: set[str] = set()
        while waiting and len(chosen) < size:
            position = waiting.popleft()
            name = _create_key(entries[position]) or entries[position].url
            (put_back if name in names else chosen).append(position)
            names.add(name)
        yield chosen
        waiting.extendleft(reversed(put_back))


def _put_off(said: Said) -> str:
    status = f" with {said.status}" if said.status else ""
    return f"the server put it off{status} each of {MOST_ROUNDS} times" + (f": {said.message}" if said.message else "")
