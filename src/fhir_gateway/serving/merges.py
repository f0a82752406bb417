"""Merging and its history as a server offers them: one merge road at a time in an environment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import TypeVar

from fhir_gateway.bootstrap.merging import MergeRoad
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.domain.history import MergeFilter, MergeRecord, Parting, ToldEntry
from fhir_gateway.domain.merges import DuplicateGroup, GroupPlan, JournalledChange, MergePlan
from fhir_gateway.flows import merge as merge_road
from fhir_gateway.flows.merge import ApplyRequest, GroupOutcome, UndoDecisions, UndoOutcome
from fhir_gateway.flows.merge.planning import plan_together
from fhir_gateway.ledger.store import Ledger

T = TypeVar("T")


class MergingBusyError(LedgerError):
    """Merges are made in this environment just now, by this server or by a command."""


class ServedMerges:
    """Merging in one environment of a server."""

    def __init__(
        self, ledger: Ledger, road: MergeRoad, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._ledger = ledger
        self._road = road
        self._now = now
        self._turn = asyncio.Lock()
        self._begun: set[asyncio.Task[object]] = set()

    async def plan(self, *, niks: Sequence[str] = (), patient_ids: Sequence[str] = ()) -> MergePlan:
        """Plan the merges of these NIKs, or of these Patients; one without duplicates has no group in the plan.

        Raises UsageError for Patients that cannot be merged.
        """
        return await self._road.plan(await self._road.select(niks, patient_ids))

    async def plan_groups(self, groups: Sequence[DuplicateGroup]) -> MergePlan:
        """Plan the merges of groups that were found."""
        return await self._road.plan(groups)

    async def plan_pair(self, patient_ids: Sequence[str]) -> GroupPlan:
        """Plan the merge of the named Patients, the changes with whole resources."""
        groups = await self._road.select((), patient_ids)
        return (await plan_together(groups, self._road.tools))[0]

    async def apply(self, plan: MergePlan, request: ApplyRequest) -> Sequence[GroupOutcome]:
        """Merge as planned, to the end even where nobody waits for it any more.

        Raises MergingBusyError where merges are made already.
        """
        return await self._to_the_end(lambda: self._road.apply(plan, request))

    async def preview_undo(self, merge: int, decisions: UndoDecisions) -> UndoOutcome:
        """Return what undoing would do; nothing is written."""
        return await self._road.preview_undo(merge, decisions)

    async def undo(  # noqa: PLR0913 - what the road's undo() is told, and whether it may wait
        self,
        merge: int,
        *,
        user: str,
        via: str,
        reason: str,
        decisions: UndoDecisions | None = None,
        patiently: bool = False,
    ) -> UndoOutcome:
        """Take a merge apart, to the end even where nobody waits for it any more.

        Raises MergingBusyError where this server merges already (`patiently`: waits for its turn), UsageError where it
        cannot be undone.
        """
        return await self._to_the_end(
            lambda: self._road.undo(merge, user=user, via=via, reason=reason, decisions=decisions), patiently=patiently
        )

    def part(self, patient_ids: Sequence[str], *, user: str, via: str, reason: str) -> tuple[str, ...]:
        """Write down that these Patients are different people and return their ids; raises UsageError."""
        ledger = self._ledger
        return merge_road.part(
            patient_ids, user=user, reason=reason, via=via, at=self._now(), ledger=ledger, journal=ledger.merges
        )

    def parted(self, patient_ids: Sequence[str]) -> bool:
        """Tell whether each of these Patients is held for another person than each other one."""
        apart = self._ledger.keys.kept_apart(patient_ids)
        return all(frozenset(pair) in apart for pair in combinations(patient_ids, 2))

    def records(self, wanted: MergeFilter, *, before: int | None, limit: int) -> list[MergeRecord]:
        """Return merges, the newest first, with numbers below `before`."""
        return self._ledger.merges.search.find(wanted, before=before, limit=limit)

    def partings(self, wanted: MergeFilter, *, before: int | None, limit: int) -> list[Parting]:
        """Return decisions that Patients are different people, the newest first, of entries below `before`."""
        return self._ledger.merges.search.partings(wanted, before=before, limit=limit)

    def record(self, merge: int) -> MergeRecord | None:
        """Return one merge, None where there is none of this number."""
        found = self._ledger.merges.search.find(MergeFilter(), before=merge + 1, limit=1)
        return found[0] if found and found[0].merge.id == merge else None

    def entries(self, merge: int) -> list[ToldEntry]:
        """Return what the history tells of a merge, in order."""
        return self._ledger.merges.search.entries(merge)

    def changes(self, merge: int, *, after: int, limit: int) -> list[JournalledChange]:
        """Return a merge's changes with numbers above `after`, in their order."""
        found = []
        for change in self._ledger.merges.changes(merge):
            if change.number > after:
                found.append(change)
            if len(found) == limit:
                break
        return found

    async def close(self) -> None:
        """Stop what is on its way; the journal knows how far it has come."""
        for task in self._begun:
            task.cancel()
        await asyncio.gather(*self._begun, return_exceptions=True)

    async def merge_patiently(self, plan: MergePlan, request: ApplyRequest) -> Sequence[GroupOutcome]:
        """Merge as planned when it is one's turn."""
        async with self._turn:
            return await self._road.apply(plan, request)

    async def resume(self, request: ApplyRequest) -> None:
        """Carry on what an earlier server or command has begun and not finished."""
        async with self._turn:
            await self._road.resume(request)

    async def _to_the_end(self, work: Callable[[], Awaitable[T]], *, patiently: bool = False) -> T:
        """Do what must not stop half-way because a client has gone: only the server's own end stops it."""
        if self._turn.locked() and not patiently:
            raise MergingBusyError("merges are made in this environment just now, try again in a moment")

        async def act() -> T:
            async with self._turn:
                return await work()

        task = asyncio.ensure_future(act())
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return await asyncio.shield(task)
