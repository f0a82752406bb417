"""Merges that were handed in as jobs: written down first, worked off in turns, surviving restarts."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from time import monotonic

from fhir_gateway.domain.errors import GatewayError, UsageError
from fhir_gateway.domain.history import MergeFilter
from fhir_gateway.domain.merge_jobs import GroupState, JobGroup, JobPart, JobState, MergeJob, ReviewedPlan
from fhir_gateway.domain.merges import GroupPlan, Merge, MergePlan
from fhir_gateway.flows.merge import ApplyRequest, GroupOutcome
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.merging.plan_file import read_plan, write_plan
from fhir_gateway.serving.merges import ServedMerges

_LOG = logging.getLogger(__name__)

PORTION = 100
"""NIKs or groups of a job that are fetched and merged together, and then written down."""
PAUSE = 15.0
"""Seconds until a job that could not go on is tried again."""

Settlement = tuple[GroupState, dict[str, object]]
"""What became of a part of a job, and what is told of it."""


class ServedMergeJobs:
    """The jobs of one environment, worked off in turns, portion by portion; what is begun goes on after a restart."""

    def __init__(
        self, ledger: Ledger, merges: ServedMerges, *, now: Callable[[], datetime], pause: float = PAUSE
    ) -> None:
        self._ledger = ledger
        self._merges = merges
        self._now = now
        self._pause = pause
        self._called = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._not_before: dict[int, float] = {}

    def hand_in(self, niks: Sequence[str], *, user: str, dry_run: bool) -> MergeJob:
        """Write a job down that plans and merges these NIKs, and let it be worked off; it survives the server."""
        return self._add([JobPart(nik) for nik in niks], user=user, dry_run=dry_run)

    def hand_in_plan(self, plan: MergePlan, *, user: str, accept_conflicts: bool = False) -> MergeJob:
        """Write a job down that merges as was reviewed, and let it be worked off; it survives the server."""
        parts = [
            JobPart(one.group.nik, {"survivor": one.survivor, "replaced": list(one.replaced)}) for one in plan.groups
        ]
        return self._add(parts, user=user, plan=ReviewedPlan(write_plan(plan), accept_conflicts))

    def _add(
        self, parts: Sequence[JobPart], *, user: str, dry_run: bool = False, plan: ReviewedPlan | None = None
    ) -> MergeJob:
        with self._ledger.transaction():
            number = self._ledger.merge_jobs.add(parts, user=user, at=self._now(), dry_run=dry_run, plan=plan)
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
            try:
                await self._take_turns()
            except Exception as error:  # noqa: BLE001 - the ledger is away: the jobs go on when it is back
                _LOG.warning("merge jobs wait: %s", type(error).__name__)
                await asyncio.sleep(self._pause)
                self._called.set()

    async def _take_turns(self) -> None:
        """Work the jobs off, a portion of each in turn, so that a short one does not wait for a long one."""
        while numbers := self._ledger.merge_jobs.unfinished():
            due = [number for number in numbers if self._not_before.get(number, 0.0) <= monotonic()]
            for number in due:
                await self._take_turn(number)
            if not due:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._called.wait()
            self._called.clear()

    async def _take_turn(self, number: int) -> None:
        """Work a portion of a job off; where that is not possible just now, say so and try again after a while."""
        try:
            await self._work_on(number)
        except Exception as error:  # noqa: BLE001 - a job must not take the others with it
            words = str(error) if isinstance(error, GatewayError) else "a fault of the program"
            _LOG.warning("merge job %d waits: %s", number, type(error).__name__)
            self._reach(number, JobState.WAITING, problem=words)
            self._not_before[number] = monotonic() + self._pause

    async def _work_on(self, number: int) -> None:
        job = self._ledger.merge_jobs.get(number)
        if job is None or job.state is JobState.FINISHED:
            return
        self._reach(number, JobState.RUNNING)
        await self._merges.resume(ApplyRequest(job.user, via=_via(job)))
        waiting = self._ledger.merge_jobs.waiting(number, limit=PORTION)
        try:
            settled = await self._settled(job, waiting) if waiting else []
        except UsageError as error:  # it would be refused for ever
            settled = [(GroupState.REFUSED, {**group.result, "refused": [str(error)]}) for group in waiting]
        with self._ledger.transaction():
            for group, (state, result) in zip(waiting, settled, strict=True):
                self._ledger.merge_jobs.settle(job.id, group.number, state, result)
        if not self._ledger.merge_jobs.waiting(number, limit=1):
            self._reach(number, JobState.FINISHED, finished=self._now())

    async def _settled(self, job: MergeJob, waiting: Sequence[JobGroup]) -> list[Settlement]:
        reviewed = self._ledger.merge_jobs.plan_of(job.id)
        return await (self._as_reviewed(job, reviewed, waiting) if reviewed else self._as_planned_now(job, waiting))

    async def _as_reviewed(
        self, job: MergeJob, reviewed: ReviewedPlan, waiting: Sequence[JobGroup]
    ) -> list[Settlement]:
        plan = read_plan(reviewed.text)
        groups = tuple(plan.groups[group.number - 1] for group in waiting)
        request = ApplyRequest(job.user, via=_via(job), accept_conflicts=reviewed.accept_conflicts)
        outcomes = await self._merges.merge_patiently(replace(plan, groups=groups), request)
        return [
            settlement(planned, outcome, refused=GroupState.REFUSED)
            for planned, outcome in zip(groups, outcomes, strict=True)
        ]

    async def _as_planned_now(self, job: MergeJob, waiting: Sequence[JobGroup]) -> list[Settlement]:
        plan = await self._merges.plan(niks=[group.nik for group in waiting])
        plans = {planned.group.nik: planned for planned in plan.groups}
        outcomes: dict[str, GroupOutcome] = {}
        if not job.dry_run and plan.groups:
            merged = await self._merges.merge_patiently(plan, ApplyRequest(job.user, via=_via(job)))
            outcomes = dict(zip(plans, merged, strict=True))
        return [
            settlement(plans[nik], outcomes.get(nik)) if nik in plans else _without_plan(self._earlier(job, nik))
            for nik in (group.nik for group in waiting)
        ]

    def _earlier(self, job: MergeJob, nik: str) -> Merge | None:
        """Return what this job merged before it was interrupted and could write that down."""
        records = self._merges.records(MergeFilter(nik=nik), before=None, limit=10)
        return next((record.merge for record in records if record.via == _via(job)), None)

    def _reach(self, number: int, state: JobState, *, finished: datetime | None = None, problem: str = "") -> None:
        with self._ledger.transaction():
            self._ledger.merge_jobs.reach(number, state, finished=finished, problem=problem)


def _via(job: MergeJob) -> str:
    return f"job {job.id}"


def _without_plan(earlier: Merge | None) -> Settlement:
    """Return what is told of a NIK that has no duplicates, or none any more: this job merged them already."""
    return (GroupState.MERGED, _told_merge(earlier)) if earlier else (GroupState.NOTHING, {})


def settlement(
    planned: GroupPlan, outcome: GroupOutcome | None, *, refused: GroupState = GroupState.CONFLICT
) -> Settlement:
    """Return what is told of one group of a job: ids and words, no patient's data; without an outcome it was a dry run.

    `refused` is the state of a group that was not merged.
    """
    told: dict[str, object] = {
        "survivor": planned.survivor,
        "replaced": list(planned.replaced),
        "conflicts": [{"code": each.code, "text": each.text} for each in planned.conflicts],
    }
    if outcome is None:
        blocked = any(conflict.blocks for conflict in planned.conflicts)
        return (GroupState.CONFLICT if blocked else GroupState.PLANNED), told | {"changes": len(planned.changes)}
    if outcome.merge is None:
        return refused, told | {"refused": list(outcome.refused)}
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
