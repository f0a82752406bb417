"""What the gateway changed on the FHIR server, resource by resource, as auditors ask for it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChangeOrigin(StrEnum):
    """Where the ledger holds a change."""

    RUN = "run"
    """In a run's record: a load, a retry, an operator's decision, the taking apart of a link."""
    MERGE = "merge"
    """In the history of merges: a merge or its undoing."""
    ANSWER = "answer"
    """In an operator's answer that needed no run: one that she took back."""


@dataclass(frozen=True, slots=True, order=True)
class ChangePlace:
    """Where a change stands among those of its origin; a later one is greater.

    Of a run: its number, the record's, and the place in that record. Of a merge: the history's entry, the change's number, 0.
    Of an answer: its number, the place in it, 0.
    """

    first: int
    second: int
    third: int = 0


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Which changes are asked for; what is left empty is not asked. `patients` are bare ids, any of which is concerned."""

    user: str = ""
    run: int | None = None
    patients: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One resource (`Type/id`) that was created or else updated, with its bare version, "" where that is not known.

    `patient` is the bare id of the Patient whom it concerns. `why` is the run's kind, "merge", "unmerge" or "undo"; `via`
    says from where a merge was asked for. It happened between `at` and `until`, None where that has not ended: the ledger
    keeps the time of a run, not of its records. `run`, `merge` and `review` are 0 where it belongs to none.
    """

    origin: ChangeOrigin
    place: ChangePlace
    resource: str
    created: bool
    version: str
    patient: str
    user: str
    why: str
    at: datetime
    until: datetime | None
    run: int
    merge: int = 0
    review: int = 0
    via: str = ""
