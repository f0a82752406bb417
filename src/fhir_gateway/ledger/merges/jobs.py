"""The merge jobs of one environment: what was handed in, and what has become of each part of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from fhir_gateway.domain.merge_jobs import GroupState, JobGroup, JobPart, JobState, MergeJob, ReviewedPlan
from fhir_gateway.ledger.codec import pack, unpack

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

merge_jobs = Table(
    "merge_jobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", Text, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created", String(40), nullable=False),
    Column("finished", String(40)),
    Column("problem", Text, nullable=False),
)

merge_job_groups = Table(
    "merge_job_groups",
    metadata,
    Column("job", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("nik", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("result", LargeBinary, nullable=False),
    PrimaryKeyConstraint("job", "number"),
)

plans_metadata = MetaData()
"""Came with a later migration than the jobs themselves."""

merge_job_plans = Table(
    "merge_job_plans",
    plans_metadata,
    Column("job", Integer, primary_key=True, autoincrement=False),
    Column("plan", LargeBinary, nullable=False),
    Column("accept_conflicts", Boolean, nullable=False),
)
"""What somebody has reviewed and handed in: patients' data, deleted when its job is finished."""


class MergeJobs:
    """The jobs; what is written counts when the ledger's transaction is committed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        parts: Sequence[JobPart],
        *,
        user: str,
        at: datetime,
        dry_run: bool = False,
        plan: ReviewedPlan | None = None,
    ) -> int:
        """Write a job down and return its number; `plan` has its parts in their order."""
        inserted = self._connection.execute(
            insert(merge_jobs).values(
                user=user, dry_run=dry_run, state=JobState.WAITING, created=at.isoformat(), problem=""
            )
        )
        (job,) = inserted.inserted_primary_key or (0,)
        rows = [
            {
                "job": job,
                "number": number,
                "nik": part.nik,
                "state": GroupState.WAITING,
                "result": pack(dict(part.told)),
            }
            for number, part in enumerate(parts, start=1)
        ]
        self._connection.execute(insert(merge_job_groups), rows)
        if plan is not None:
            self._connection.execute(
                insert(merge_job_plans).values(job=job, plan=pack(plan.text), accept_conflicts=plan.accept_conflicts)
            )
        return int(job)

    def plan_of(self, job: int) -> ReviewedPlan | None:
        """Return the plan that a job carries out, None where it plans by itself or has finished."""
        row = self._connection.execute(select(merge_job_plans).where(merge_job_plans.c.job == job)).first()
        return ReviewedPlan(unpack(row.plan), row.accept_conflicts) if row else None

    def get(self, job: int) -> MergeJob | None:
        """Return a job with its counts."""
        row = self._connection.execute(select(merge_jobs).where(merge_jobs.c.id == job)).first()
        return self._job(row) if row else None

    def newest(self, *, limit: int) -> list[MergeJob]:
        """Return the jobs that were handed in last, the newest first."""
        rows = self._connection.execute(select(merge_jobs).order_by(merge_jobs.c.id.desc()).limit(limit)).all()
        return [self._job(row) for row in rows]

    def unfinished(self) -> list[int]:
        """Return the numbers of the jobs that are to be worked off, the oldest first."""
        rows = self._connection.execute(
            select(merge_jobs.c.id).where(merge_jobs.c.state != JobState.FINISHED).order_by(merge_jobs.c.id)
        )
        return [row.id for row in rows]

    def reach(self, job: int, state: JobState, *, finished: datetime | None = None, problem: str = "") -> None:
        """Write down how far a job has come, and why it stands still; the plan of one that has finished is deleted."""
        at = finished.isoformat() if finished else None
        self._connection.execute(
            update(merge_jobs).where(merge_jobs.c.id == job).values(state=state, finished=at, problem=problem)
        )
        if state is JobState.FINISHED:
            self._connection.execute(delete(merge_job_plans).where(merge_job_plans.c.job == job))

    def waiting(self, job: int, *, limit: int) -> list[JobGroup]:
        """Return the next NIKs of a job that nothing has become of yet."""
        return self._groups(job, merge_job_groups.c.state == GroupState.WAITING, limit)

    def groups(self, job: int, *, after: int, limit: int) -> list[JobGroup]:
        """Return the NIKs of a job that stand after a number, in their order."""
        return self._groups(job, merge_job_groups.c.number > after, limit)

    def settle(self, job: int, number: int, state: GroupState, result: Mapping[str, Any]) -> None:
        """Write down what became of one NIK."""
        self._connection.execute(
            update(merge_job_groups)
            .where(merge_job_groups.c.job == job, merge_job_groups.c.number == number)
            .values(state=state, result=pack(dict(result)))
        )

    def _groups(self, job: int, condition: Any, limit: int) -> list[JobGroup]:
        rows = self._connection.execute(
            select(merge_job_groups)
            .where(merge_job_groups.c.job == job, condition)
            .order_by(merge_job_groups.c.number)
            .limit(limit)
        )
        return [JobGroup(row.number, row.nik, GroupState(row.state), unpack(row.result)) for row in rows]

    def _job(self, row: Row[Any]) -> MergeJob:
        counted = self._connection.execute(
            select(merge_job_groups.c.state, func.count())
            .where(merge_job_groups.c.job == row.id)
            .group_by(merge_job_groups.c.state)
        )
        return MergeJob(
            id=row.id,
            user=row.user,
            dry_run=row.dry_run,
            state=JobState(row.state),
            created=datetime.fromisoformat(row.created),
            finished=datetime.fromisoformat(row.finished) if row.finished else None,
            groups={GroupState(state): number for state, number in counted},
            problem=row.problem,
        )
