"""What became of a record, and the invariant over a run."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """A record's one final outcome."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    REVIEW = "review"
    REJECTED = "rejected"
    FAILED = "failed"


class RowOutcome(NamedTuple):
    """What the report says of one data row; ids are bare, `match_grade` is a code of FHIR's or ""."""

    row: int
    outcome: Outcome
    reason: str = ""
    suggestion: str = ""
    patient_id: str = ""
    immunization_ids: tuple[str, ...] = ()
    match_grade: str = ""
    key: str = ""


RIGHTLY_REJECTED = ("not-an-immunization", "row-header", "operator-rejected")
"""Reasons of rejected rows about which nothing has to be done."""

_WORST_FIRST = (Outcome.FAILED, Outcome.REVIEW, Outcome.REJECTED, Outcome.LOADED, Outcome.UNCHANGED)


def worst(*outcomes: Outcome) -> Outcome:
    """Return the outcome that a row with these outcomes of its doses has."""
    return min(outcomes, key=_WORST_FIRST.index)


def invariant(read: int, counts: Mapping[Outcome, int]) -> str:
    """Return the line that every run ends with; it says so itself when the books do not balance."""
    parts = " + ".join(f"{outcome} {counts.get(outcome, 0)}" for outcome in Outcome)
    sign = "=" if read == sum(counts.values()) else "≠"
    return f"read {read} {sign} {parts}"
