"""Merging and its history as a server offers them: one merge road at a time in an environment, jobs beside it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

from fhir_gateway.bootstrap.merging import MergeRoad
from fhir_gateway.domain.errors import GatewayError, LedgerError
from fhir_gateway.domain.history import MergeFilter, MergeRecord, ToldEntry
from fhir_gateway.domain.merge_jobs import GroupState, JobGroup, JobState, MergeJob
from fhir_gateway.domain.merges import DuplicateGroup, GroupPlan, JournalledChange, Merge, MergePlan
from fhir_gateway.flows.merge import ApplyRequest, GroupOutcome, UndoDecisions, UndoOutcome
from fhir_gateway.flows.merge.planning import plan_together
from fhir_gateway.ledger.store import Ledger

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

PORTION = 100
"""NIKs of a job that are fetched and merged together, and then written down."""
PAUSE = 15.0
"""Seconds until a job that could not go on is tried again."""


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

    async def undo(
        self, merge: int, *, user: str, via: str, reason: str, decisions: UndoDecisions | None = None
    ) -> UndoOutcome:
        """Take a merge apart, to the end even where nobody waits for it any more.

        Raises MergingBusyError where merges are made already, UsageError where it cannot be undone.
        """
        return await self._to_the_end(
            lambda: self._road.undo(merge, user=user, via=via, reason=reason, decisions=decisions)
        )

    def records(self, wanted: MergeFilter, *, before: int | None, limit: int) -> list[MergeRecord]:
        """Return merges, the newest first, with numbers below `before`."""
        return self._ledger.merges.search.find(wanted, before=before, limit=limit)

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

    async def _to_the_end(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what must not stop half-way because a client has gone: only the server's own end stops it."""

        async def act() -> T:
            async with self._alone():
                return await work()

        task = asyncio.ensure_future(act())
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._turn.locked():
            raise MergingBusyError("merges are made in this environment just now, try again in a moment")
        async with self._turn:
            yield


class MergeJobs:
    """The jobs of one environment, worked off one after the other; what is begun goes on after a restart."""

    def __init__(
        self, ledger: Ledger, merges: ServedMerges, *, now: Callable[[], datetime], pause: float = PAUSE
    ) -> None:
        self._ledger = ledger
        self._merges = merges
        self._now = now
        self._pause = pause
        self._called = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def hand_in(self, niks: Sequence[str], *, user: str, dry_run: bool) -> MergeJob:
        """Write a job down and let it be worked off; it survives the server."""
        with self._ledger.transaction():
            number = self._ledger.merge_jobs.add(niks, user=user, dry_run=dry_run, at=self._now())
        self.work_off()
        job = self._ledger.merge_jobs.get(number)
        assert job is not None  # noqa: S101 - it has just been written
        return job

    def get(self, number: int) -> MergeJob | None:
        """Return a job, None where there is none of this number."""
        return self._ledger.merge_jobs.get(number)

    def newest(self, *, limit: int) -> list[MergeJob]:
        """Return the jobs that were handed in last, the newest first."""
        return self._ledger.merge_jobs.newest(limit=limit)

    def groups(self, number: int, *, after: int, limit: int) -> list[JobGroup]:
        """Return what has become of a job's NIKs, page by page."""
        return self._ledger.merge_jobs.groups(number, after=after, limit=limit)

    def work_off(self) -> None:
        """Let the jobs that are not finished be worked off, those of an earlier server too."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        self._called.set()

    async def close(self) -> None:
        """Stop working."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            await self._called.wait()
            self._called.clear()
            for number in self._ledger.merge_jobs.unfinished():
                await self._work_on(number)

    async def _work_on(self, number: int) -> None:
        """Work a job off; where that is not possible just now, say so and try again later."""
        while True:
            try:
                await self._finish(number)
            except Exception as error:  # noqa: BLE001 - a job must not take the others with it
                words = str(error) if isinstance(error, GatewayError) else "a fault of the program"
                _LOG.warning("merge job %d waits: %s", number, type(error).__name__)
                self._reach(number, JobState.WAITING, problem=words)
                await asyncio.sleep(self._pause)
            else:
                return

    async def _finish(self, number: int) -> None:
        job = self._ledger.merge_jobs.get(number)
        if job is None or job.state is JobState.FINISHED:
            return
        self._reach(number, JobState.RUNNING)
        await self._merges.resume(ApplyRequest(job.user, via=_via(job)))
        while waiting := self._ledger.merge_jobs.waiting(number, limit=PORTION):
            await self._settle_portion(job, waiting)
        self._reach(number, JobState.FINISHED, finished=self._now())

    async def _settle_portion(self, job: MergeJob, waiting: Sequence[JobGroup]) -> None:
        plan = await self._merges.plan(niks=[group.nik for group in waiting])
        plans = {planned.group.nik: planned for planned in plan.groups}
        outcomes: dict[str, GroupOutcome] = {}
        if not job.dry_run and plan.groups:
            merged = await self._merges.merge_patiently(plan, ApplyRequest(job.user, via=_via(job)))
            outcomes = dict(zip(plans, merged, strict=True))
        with self._ledger.transaction():
            for group in waiting:
                earlier = self._earlier(job, group.nik) if group.nik not in plans else None
                state, result = settlement(plans.get(group.nik), outcomes.get(group.nik), earlier=earlier)
                self._ledger.merge_jobs.settle(job.id, group.number, state, result)

    def _earlier(self, job: MergeJob, nik: str) -> Merge | None:
        """Return what this job merged before it was interrupted and could write that down."""
        records = self._merges.records(MergeFilter(nik=nik), before=None, limit=10)
        return next((record.merge for record in records if record.via == _via(job)), None)

    def _reach(self, number: int, state: JobState, *, finished: datetime | None = None, problem: str = "") -> None:
        with self._ledger.transaction():
            self._ledger.merge_jobs.reach(number, state, finished=finished, problem=problem)


def _via(job: MergeJob) -> str:
    return f"job {job.id}"


def settlement(
    planned: GroupPlan | None, outcome: GroupOutcome | None, *, earlier: Merge | None = None
) -> tuple[GroupState, dict[str, object]]:
    """Return what is told of one NIK of a job: ids and words, no patient's data.

    `earlier` is what the job merged already; with a plan and without an outcome it was a dry run.
    """
    if planned is None:
        return (GroupState.MERGED, _told_merge(earlier)) if earlier else (GroupState.NOTHING, {})
    told: dict[str, object] = {
        "survivor": planned.survivor,
        "replaced": list(planned.replaced),
        "conflicts": [{"code": each.code, "text": each.text} for each in planned.conflicts],
    }
    if outcome is None:
        blocked = any(conflict.blocks for conflict in planned.conflicts)
        return (GroupState.CONFLICT if blocked else GroupState.PLANNED), told | {"changes": len(planned.changes)}
    if outcome.merge is None:
        return GroupState.CONFLICT, told | {"refused": list(outcome.refused)}
    return (GroupState.MERGED if outcome.whole else GroupState.FAILED), told | _told_merge(outcome.merge)


def _told_merge(merge: Merge) -> dict[str, object]:
    return {
        "merge": merge.id,
        "survivor": merge.survivor,
        "replaced": list(merge.replaced),
        "changed": merge.changed,
        "requests": merge.requests,
        "failed": list(merge.failed),
        "remaining": list(merge.remaining),
    }
