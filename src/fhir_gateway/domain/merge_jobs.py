"""Merging as a job: many NIKs handed in at once, worked off one portion after the other, surviving restarts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """How far a job has come; one that is not FINISHED goes on when the server starts again."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


class GroupState(StrEnum):
    """What became of one NIK of a job."""

    WAITING = "waiting"
    MERGED = "merged"
    PLANNED = "planned"
    """The job was a dry run: nothing was written."""
    NOTHING = "nothing"
    """No two active Patients carry this NIK."""
    CONFLICT = "conflict"
    """Somebody has to look at it: it is no merge without a decision."""
    REFUSED = "refused"
    """It was not merged: the server has overtaken what was reviewed, or it is no merge that could be."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MergeJob:
    """A job and its counts: `groups` says how many NIKs are in which state. `problem` is why it stands still."""

    id: int
    user: str
    dry_run: bool
    state: JobState
    created: datetime
    finished: datetime | None
    groups: Mapping[GroupState, int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class JobGroup:
    """One NIK or group of a job: its place in what was handed in (from 1), its state, and what is told of it, as JSON."""

    number: int
    nik: str
    state: GroupState
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobPart:
    """What is handed in of one person: a NIK ("" for Patients that an operator named), and what is told from the start."""

    nik: str
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReviewedPlan:
    """A plan as its file's text, and whether whoever reviewed it takes the people for one in spite of conflicts."""

    text: str
    accept_conflicts: bool
