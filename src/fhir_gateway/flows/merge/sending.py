"""Writes changes in slices, each with If-Match, and plans those anew that the server has overtaken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_gateway.domain.errors import TransientServerError
from fhir_gateway.domain.merges import ChangeState, JournalledChange
from fhir_gateway.domain.posting import BundleEntry, EntryKind, EntryOutcome, Locking
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.fetching import read_together
from fhir_gateway.flows.merge.recalling import recall_settled
from fhir_gateway.flows.merge.request_shares import RequestShares
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.versions import version_of

MOST_TRIES = 6
"""How often a resource that others keep changing is planned anew before it counts as failed."""

_COMPARED_TOGETHER = 20
AGAIN = "; what is done is kept, run the same command again"


@dataclass(frozen=True, slots=True)
class Write:
    """One resource on its way to the server: what will stand there, and upon which version."""

    merge: int
    change: JournalledChange
    body: Resource
    version: str

    @property
    def key(self) -> str:
        """The write's own name in a bundle."""
        return f"{self.merge}:{self.change.number}"


@dataclass(frozen=True, slots=True)
class Settled:
    """A change whose fate is known, as the journal shall keep it."""

    merge: int
    change: JournalledChange


Replan = Callable[[Write, Resource | None], Write | Settled]
"""Makes of a write, and the resource as it stands now (None: gone), a new write or the change's fate."""


async def send_all(
    writes: Sequence[Write], replan: Replan, tools: MergeTools, shares: RequestShares, *, done: ChangeState
) -> list[Settled]:
    """Send all writes and return each one's fate, journalled slice by slice; `done` is what success is called.

    Raises TransientServerError where the server has gone; what is settled until then stands in the journal.
    """
    settled: list[Settled] = []
    tools.progress.advance(0)
    for start in range(0, len(writes), tools.slice):
        waiting: Sequence[Write] = writes[start : start + tools.slice]
        for attempt in range(MOST_TRIES):
            outcomes = await _written(waiting, tools)
            told, changed = _sorted(waiting, outcomes, done=done)
            again = await _planned_anew(changed, replan, tools, last=attempt == MOST_TRIES - 1)
            told += [one for one in again if isinstance(one, Settled)]
            replanned = [one for one in again if isinstance(one, Write)]
            _note(told, replanned, waiting, tools, shares)
            settled += told
            tools.progress.advance(len(settled))
            lost = next((outcome for outcome in outcomes.values() if outcome.kind is EntryKind.UNAVAILABLE), None)
            if lost is not None:
                raise TransientServerError(lost.message + AGAIN)
            waiting = replanned
            if not waiting:
                break
    return settled


async def _written(writes: Sequence[Write], tools: MergeTools) -> dict[str, EntryOutcome]:
    """Send the writes the way this server heeds If-Match; return the outcomes by the writes' keys."""
    if not writes:
        return {}
    locking = await tools.server.locking()
    if locking is Locking.COMPARE:
        outcomes: dict[str, EntryOutcome] = {}
        for start in range(0, len(writes), _COMPARED_TOGETHER):
            outcomes |= await _compared(writes[start : start + _COMPARED_TOGETHER], tools)
        return outcomes
    writer = tools.writer if locking is Locking.BATCH else tools.single_writer
    return {outcome.key: outcome for outcome in await writer.send([_entry(write) for write in writes])}


async def _compared(writes: Sequence[Write], tools: MergeTools) -> dict[str, EntryOutcome]:
    """Write what is still of the version that was planned upon; the server itself does not look."""
    current = await read_together(ids_of(writes), tools)
    fresh = [
        one for one in writes if not one.version or version_of(current.get(one.change.resource, {})) == one.version
    ]
    outcomes = {one.key: EntryOutcome(one.key, EntryKind.CHANGED_MEANWHILE) for one in writes if one not in fresh}
    sent = await tools.single_writer.send([_entry(write) for write in fresh])
    return outcomes | {outcome.key: outcome for outcome in sent}


def _entry(write: Write) -> BundleEntry:
    return BundleEntry(write.key, "PUT", write.change.resource, write.body, if_match=write.version)


def _sorted(
    writes: Sequence[Write], outcomes: Mapping[str, EntryOutcome], *, done: ChangeState
) -> tuple[list[Settled], list[Write]]:
    """Return what is settled, and what met a newer version."""
    settled: list[Settled] = []
    changed: list[Write] = []
    for write in writes:
        outcome = outcomes[write.key]
        if outcome.kind is EntryKind.CHANGED_MEANWHILE:
            changed.append(write)
        elif outcome.kind is EntryKind.REFUSED:
            failed = replace(write.change, state=ChangeState.FAILED, message=outcome.message)
            settled.append(Settled(write.merge, failed))
        elif outcome.kind is not EntryKind.UNAVAILABLE:
            carried = replace(write.change, state=done, after_version=outcome.version_id, message="")
            settled.append(Settled(write.merge, carried))
    return settled, changed


async def _planned_anew(
    changed: Sequence[Write], replan: Replan, tools: MergeTools, *, last: bool
) -> list[Write | Settled]:
    if not changed:
        return []
    if last:
        words = f"others kept changing it on the server, {MOST_TRIES} times"
        return [Settled(one.merge, replace(one.change, state=ChangeState.FAILED, message=words)) for one in changed]
    current = await read_together(ids_of(changed), tools)
    return [replan(write, current.get(write.change.resource)) for write in changed]


def ids_of(writes: Sequence[Write]) -> dict[str, list[str]]:
    """Return the bare ids of what is to be written, by type."""
    ids: dict[str, list[str]] = {}
    for write in writes:
        resource_type, _, resource_id = write.change.resource.partition("/")
        ids.setdefault(resource_type, []).append(resource_id)
    return ids


def _note(
    told: Sequence[Settled],
    replanned: Sequence[Write],
    sent: Sequence[Write],
    tools: MergeTools,
    shares: RequestShares,
) -> None:
    """Write into the journal what is settled, and what has been planned anew before that is sent."""
    by_merge: dict[int, list[JournalledChange]] = {write.merge: [] for write in sent}
    for one in told:
        by_merge[one.merge].append(one.change)
    before = {write.key: write.change for write in sent}
    anew: dict[int, list[JournalledChange]] = {}
    for write in replanned:
        if write.change is not before[write.key]:
            anew.setdefault(write.merge, []).append(write.change)
    requests = shares.since_last({write.merge: 0 for write in sent} | _counted(sent))
    with tools.ledger.transaction():
        for merge, changes in anew.items():
            tools.journal.replace(merge, changes)
        for merge, changes in by_merge.items():
            tools.journal.settle(merge, changes, requests=requests[merge])
            recall_settled(changes, tools)


def _counted(writes: Sequence[Write]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for write in writes:
        counts[write.merge] = counts.get(write.merge, 0) + 1
    return counts
