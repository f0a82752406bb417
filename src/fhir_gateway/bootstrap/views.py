"""What the faces show: runs' books, reviews and people, gathered from ledger and server."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import groupby
from operator import itemgetter

from fhir_gateway.bootstrap.settling_told import PairsSettled
from fhir_gateway.domain.identity import PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource, UnmappedValue
from fhir_gateway.domain.runs import Provenance, ReviewAnswer, ReviewItem, ReviewKind, ReviewState, Run, SpooledRecord
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.review import LoadedRow, Question, asked_about, rows_that_fit_as_well, waiting_candidates
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.explain import explain_decision
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.mapping.concept_maps import by_spelling
from fhir_gateway.ports import FhirReader

_MOST_ROWS = 5
_MOST_UNDER_A_NIK = 5
"""So many are shown side by side of those who stand under one NIK: what is asked is about none of them."""
THRESHOLDS_OF_TODAY = "the thresholds named here are those of today; those of this run were not kept"

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


NOTHING = Summary(0, 0, {}, {}, {}, (), 0.0)
"""The books where no run was needed."""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A row that hangs on a review, or hung on it until it was answered; by a question of its own (`review`) perhaps."""

    run: int
    file: str
    row: int
    review: int = 0


@dataclass(frozen=True, slots=True)
class PatientWithDoses:
    """A Patient and its Immunizations."""

    patient: Resource
    doses: Sequence[Resource]


@dataclass(frozen=True, slots=True)
class WaitingCandidate:
    """Somebody whom a question's person may be, not loaded yet either: the question (0: none), and what the rows say."""

    review: int
    rows: str
    people: Sequence[PatientWithDoses]


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A review with everything that an operator needs to decide it.

    `people` are what its rows say, one for each wording; `candidates` the Patients whom they may be, by id; `waiting`
    those whom they may be, and who wait themselves: the question that asks about them, and their rows; `answered` the rows
    that each answer's run settled, by the run's number. `hanging` are the questions that this one's answer settles as well;
    `loaded` the rows, by the Patient for whom they are loaded, about which it is asked if these are two people.
    `evidence` tells of all who were compared, `evidence_of` of each candidate alone.
    """

    item: ReviewItem
    rows: Sequence[ReviewRow]
    people: Sequence[PatientWithDoses]
    candidates: Mapping[str, PatientWithDoses]
    waiting: Sequence[WaitingCandidate] = ()
    answers: Sequence[ReviewAnswer] = ()
    answered: Mapping[int, Sequence[ReviewRow]] = field(default_factory=dict)
    evidence: Sequence[str] = ()
    hanging: Sequence[int] = ()
    loaded: Mapping[str, Sequence[ReviewRow]] = field(default_factory=dict)
    evidence_of: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PersonView:
    """A Patient with its Immunizations, the rows that they came from, and the decisions behind those."""

    patient: Resource
    doses: Sequence[Resource]
    sources: Sequence[Provenance]
    decisions: Sequence[str]


def of_its_time(policy: MatchingPolicy, run: Run | None) -> MatchingPolicy:
    """Return the environment's policy with the thresholds of a run's decisions, as far as they were kept."""
    kept = run.thresholds if run else {}
    return replace(
        policy,
        certain=kept.get("certain", policy.certain),
        probable=kept.get("probable", policy.probable),
        margin=kept.get("margin", policy.margin),
    )


def explained(
    ledger: Ledger, run: Run | None, decision: PersonDecision, policy: MatchingPolicy, *, asked: int = 0
) -> tuple[str, ...]:
    """Return a run's decision in words, its people named by their rows; `policy` is the environment's.

    `asked` is the person whose row is shown (0: none), who is named as this row.
    """
    return _Telling(ledger, run, decision, policy, asked).of(decision)


class _Telling:
    """Tells a run's decision in words, or some of its pairs, and looks up only once who they are and what became of them."""

    def __init__(
        self, ledger: Ledger, run: Run | None, decision: PersonDecision, policy: MatchingPolicy, asked: int = 0
    ) -> None:
        self._policy = of_its_time(policy, run)
        self._rows = cache(partial(_rows_of_person, ledger, run, asked))
        self._of_today = not (run and run.thresholds)
        self._whose = PairsSettled(ledger, run, decision, self._policy) if run else None
        self._settled = cache(self._whose) if self._whose else None

    def of(self, decision: PersonDecision) -> tuple[str, ...]:
        """Return the decision, of which some pairs may have been left out."""
        told = explain_decision(decision, policy=self._policy, rows=self._rows, settled=self._settled)
        return (*told, THRESHOLDS_OF_TODAY) if decision.pairs and self._of_today else told

    def each(self, decision: PersonDecision, patient_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return Patient → the comparisons with it, by what the people of the run became; all where none is with it."""
        whose = self._whose
        became = {p.right: whose.survivor(whose.became(p.right)) for p in decision.pairs} if whose else {}
        head = len(self.of(replace(decision, pairs=())))
        found = {}
        for patient_id in patient_ids:
            pairs = tuple(pair for pair in decision.pairs if patient_id in {pair.right, became.get(pair.right)})
            found[patient_id] = self.of(replace(decision, pairs=pairs or decision.pairs))[head:]
        return found


def _rows_of_person(ledger: Ledger, run: Run | None, asked: int, person: int) -> str:
    found: dict[int, list[int]] = {}
    for file, row in ledger.runs.rows_of(run, person) if run else ():
        found.setdefault(file, []).append(row)
    names = [file.name for file in run.files] if run else []
    told = " and ".join(f"{_rows(n)} of {names[file]}" for file, n in found.items() if file < len(names))
    several = sum(map(len, found.values())) > 1
    what = "this row and others that say the same of the person" if several else "this row"
    return f"{what} ({told})" if told and person == asked else told


def _rows(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    shown, rest = numbers[:_MOST_ROWS], len(numbers) - _MOST_ROWS
    return f"rows {', '.join(map(str, shown))}" + (f" and {rest} more" if rest > 0 else "")


async def patients_with_doses(ids: Sequence[str], reader: FhirReader) -> dict[str, PatientWithDoses]:
    """Read Patients and their Immunizations, by id; who is not there is left out."""
    doses: dict[str, list[Resource]] = {}
    async for dose in reader.search("Immunization", {"patient": ids}):
        doses.setdefault(id_referred_to(dose.get("patient"), "Patient"), []).append(dose)
    found = {}
    patients = await asyncio.gather(*(reader.read("Patient", patient_id) for patient_id in ids))
    for patient_id, patient in zip(ids, patients, strict=True):
        if patient is not None:
            given = sorted(doses.get(patient_id, ()), key=lambda dose: str(dose.get("occurrenceDateTime", "")))
            found[patient_id] = PatientWithDoses(patient, given)
    return found


def review_view(
    ledger: Ledger, question: Question, people: Mapping[str, PatientWithDoses], policy: MatchingPolicy
) -> ReviewView:
    """Return a review as it is shown; `people` are those whom it is about, as far as the server has them."""
    item = question.item
    records = ledger.spool.parked_numbers(ledger.reviews.records(item.id))
    run = ledger.runs.get(item.run)
    shown = [patient_id for patient_id in asked_about(item, ledger) if patient_id in people]
    answers = ledger.reviews.history(item.id)
    telling = _Telling(ledger, run, item.decision, policy) if item.decision else None
    return ReviewView(
        item=item,
        rows=[row for number in (item.id, *question.hanging) for row in _rows_of(ledger, number)],
        people=_wordings(records)[: _MOST_UNDER_A_NIK if item.kind is ReviewKind.NIK else None],
        candidates={patient_id: people[patient_id] for patient_id in shown},
        waiting=_waiting(ledger, item, run) if run else (),
        answers=answers,
        answered={one.run: _read_by(ledger, one.run) for one in answers if one.run},
        evidence=telling.of(item.decision) if telling and item.decision else (),
        hanging=question.hanging,
        loaded=_loaded(ledger, item, records, {one: people[one].patient for one in shown}, policy),
        evidence_of=telling.each(item.decision, shown) if telling and item.decision else {},
    )


def _place(row: LoadedRow) -> tuple[int, str, int]:
    return row.source.run, row.source.file.name, row.source.row


def _loaded(
    ledger: Ledger,
    item: ReviewItem,
    records: Sequence[SpooledRecord],
    patients: Mapping[str, Resource],
    policy: MatchingPolicy,
) -> dict[str, list[ReviewRow]]:
    """Return Patient → rows that are loaded for it and fit an open question's person about as well."""
    if item.kind is not ReviewKind.PERSON or item.state is not ReviewState.OPEN:
        return {}
    asked = [evidence_of(patient) for patient in {record.person: record.patient for record in records}.values()]
    found = {}
    for patient_id, patient in patients.items():
        rows = rows_that_fit_as_well(asked, patient, policy, ledger)
        if rows:
            found[patient_id] = [
                ReviewRow(one.source.run, one.source.file.name, one.source.row) for one in sorted(rows, key=_place)
            ]
    return found


def _read_by(ledger: Ledger, number: int) -> list[ReviewRow]:
    run = ledger.runs.get(number)
    rows = ledger.spool.rows(number) if run else ()
    return [ReviewRow(number, run.files[file].name, row) for file, row in rows if run and file < len(run.files)]


def _rows_of(ledger: Ledger, review: int) -> Iterator[ReviewRow]:
    """Yield the rows that hang on a review."""
    for run_id, records in groupby(ledger.reviews.records(review), key=itemgetter(0)):
        run = ledger.runs.get(run_id)
        for record in ledger.spool.parked_numbers(records):
            if run and record.file < len(run.files):
                yield ReviewRow(run.id, run.files[record.file].name, record.row, review)


def _wordings(records: Iterable[SpooledRecord]) -> list[PatientWithDoses]:
    """Return what records say, one for each wording with its doses."""
    people: dict[int, Resource] = {}
    doses: dict[int, list[Resource]] = {}
    for record in records:
        people.setdefault(record.person, record.patient)
        doses.setdefault(record.person, []).extend(dose.resource for dose in record.doses)
    return [PatientWithDoses(patient, doses[person]) for person, patient in people.items()]


def _waiting(ledger: Ledger, item: ReviewItem, run: Run) -> list[WaitingCandidate]:
    numbers = [
        (run.id, settlement.number)
        for person in waiting_candidates(item, ledger)
        for file, row in ledger.runs.rows_of(run, person)
        if (found := ledger.spool.record_at(run, file=file, row=row)) and (settlement := found[2])
    ]
    asked: dict[int, list[SpooledRecord]] = {}
    for record in ledger.spool.parked_numbers(numbers):
        asked.setdefault(ledger.reviews.of_record(run, record.number) or 0, []).append(record)
    earlier = item.decision.waiting if item.decision else ()
    for review, digests in ledger.reviews.people_waiting().items() if earlier else ():
        if review != item.id and not digests.isdisjoint(earlier):
            asked[review] = ledger.spool.parked_numbers(ledger.reviews.records(review))
    return [
        WaitingCandidate(review, _rows([record.row for record in records]), _wordings(records))
        for review, records in asked.items()
    ]


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
        unmapped=by_spelling(ledger.runs.unmapped(run)),
        seconds=lasted if seconds is None else seconds,
    )
