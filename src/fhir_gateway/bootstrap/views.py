"""What the faces show: runs' books, reviews and people, gathered from ledger and server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource, UnmappedValue
from fhir_gateway.domain.runs import Provenance, ReviewItem, Run
from fhir_gateway.ledger.store import Ledger

OPEN = (Outcome.REVIEW, Outcome.REJECTED, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Summary:
    """The books of a run or (run 0) of a conversion, with its wall time in seconds."""

    run: int
    read: int
    outcomes: Mapping[Outcome, int]
    reasons: Mapping[str, int]
    texts: Mapping[str, str]
    unmapped: Sequence[tuple[UnmappedValue, int]]
    seconds: float

    @property
    def open_rows(self) -> int:
        """Rows that did not make it."""
        return sum(self.outcomes.get(outcome, 0) for outcome in OPEN)


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A row that hangs on a review."""

    run: int
    file: str
    row: int


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A review with everything that an operator needs to decide it."""

    item: ReviewItem
    rows: Sequence[ReviewRow]
    people: Sequence[Resource]
    candidates: Mapping[str, Resource]


@dataclass(frozen=True, slots=True)
class PersonView:
    """A Patient with its Immunizations, the rows that they came from, and the decisions behind those."""

    patient: Resource
    doses: Sequence[Resource]
    sources: Sequence[Provenance]
    decisions: Sequence[str]


def candidate_ids(ledger: Ledger, item: ReviewItem) -> list[str]:
    """Return the Patients whom a review's person may be, best first; people of the same run by what they became."""
    run = ledger.runs.get(item.run)
    found = []
    for candidate in item.decision.candidates if item.decision else ():
        if isinstance(candidate, str):
            found.append(candidate)
        elif run and (stored := ledger.spool.decision_of(run, candidate)):
            found.append(stored.decision.patient_id)
    return [patient_id for patient_id in dict.fromkeys(found) if patient_id]


def summary_of(ledger: Ledger, run: Run, seconds: float | None = None) -> Summary:
    """Return a run's books; without `seconds`, the time from its start to its end."""
    totals = ledger.runs.totals(run)
    lasted = (run.finished - run.started).total_seconds() if run.finished else 0.0
    return Summary(
        run=run.id,
        read=totals.read,
        outcomes=totals.outcomes,
        reasons=totals.reasons,
        texts=totals.texts,
        unmapped=ledger.runs.unmapped(run),
        seconds=lasted if seconds is None else seconds,
    )
