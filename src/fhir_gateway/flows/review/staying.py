"""Rows that are loaded for one of two people, and fit the other about as well: they went to the first who was there.

Whoever comes second is asked about. If an operator says that the two are two people, she is asked whose these rows are:
nothing tells, and their doses stand with the first. An answer leaves them there, or moves them as `review unlink` does.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from fhir_gateway.bundling.parting import said_by
from fhir_gateway.domain.identity import ComparedPair, Comparison, Grade, PersonAction, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Dose, Resource
from fhir_gateway.domain.runs import (
    KnownKey,
    ReviewAnswer,
    ReviewItem,
    ReviewKind,
    RunKind,
    Settlement,
    SpooledRecord,
)
from fhir_gateway.flows.load.standing import doses_now
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.asking import candidate_ids
from fhir_gateway.flows.review.parting_plan import PATIENT, SourceRow, as_said, sources_of
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.fitting import fits_as_well
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ports import Ledger

WHOSE = "loaded-for-the-first"
_TEXT = "it is loaded for one of two people whom it fits about equally well, of whom an operator said that they are two"
_SUGGESTION = (
    "link it to whose it is: where it stands, or the other, to whom its doses are moved then; create moves them to"
    " somebody new"
)


_BY_ITS_ROWS = "by those of its rows that contradict who is asked about"
_BY_ALL = "by all that it says, which this row may have told it"
_BY_ASKED = "by the rows that an operator said are another person's"


@dataclass(frozen=True, slots=True)
class FitsBoth:
    """What shows that a row may be another's: its comparison with its Patient (`by` what of that), and with who is asked about."""

    own: Comparison
    by: str
    asked: Comparison


@dataclass(frozen=True, slots=True)
class LoadedRow:
    """A row that is loaded for a Patient; what it says of the person, with the digest of that, and where it was read last."""

    key: str
    known: KnownKey
    wording: str
    patient: Resource
    source: SourceRow
    fits: FitsBoth


def rows_that_fit_as_well(
    asked: Sequence[PersonEvidence],
    patient: Resource,
    policy: MatchingPolicy,
    ledger: Ledger,
    *,
    going: Container[str] = (),
) -> list[LoadedRow]:
    """Return the rows loaded for a Patient that fit who is asked about as well, by their wording.

    Only where something of the Patient contradicts who is `asked` about, so that these may be two people. What an
    operator said is the Patient's own is left out, as are the rows that are `going` (their keys).
    """
    known = {key: entry for key, entry in ledger.keys.of_patient(str(patient["id"])).items() if key not in going}
    told = {key: evidence_of(said_by(patient, entry.supplied.get(PATIENT, {})).patient) for key, entry in known.items()}
    contradicting = [one for one in told.values() if _contradicts(one, asked, policy)]
    whole = evidence_of(patient)
    others = contradicting or ([whole] if _contradicts(whole, asked, policy) else [])
    by = _BY_ITS_ROWS if contradicting else _BY_ALL
    fitting = {
        key: FitsBoth(fits[0], by, fits[1])
        for key in sorted(told)
        if others and (fits := _fits_as_well(told[key], asked, others, policy))
    }
    if not fitting:
        return []
    words = {key: said[-1] for key, said in ledger.keys.wordings(fitting).items() if said}
    own = {verdict.digest for verdict in ledger.verdicts.of(set(words.values())) if verdict.same}
    sources = sources_of({key: known[key] for key in fitting}, ledger)
    rows = [
        LoadedRow(key, known[key], words[key], as_said(patient, known[key], sources[key]), sources[key], fits)
        for key, fits in fitting.items()
        if key in sources and words.get(key, "") not in {"", *own}
    ]
    return sorted(rows, key=attrgetter("wording", "key"))


def _contradicts(one: PersonEvidence, asked: Sequence[PersonEvidence], policy: MatchingPolicy) -> bool:
    return any(compare(one, other, policy=policy).vetoes for other in asked)


def _fits_as_well(
    one: PersonEvidence, asked: Sequence[PersonEvidence], others: Sequence[PersonEvidence], policy: MatchingPolicy
) -> tuple[Comparison, Comparison] | None:
    """Return how a row fits the rest of its Patient and one of those asked about, where that is about as well.

    None where it does not, or contradicts one of those asked about.
    """
    to_asked = [compare(one, other, policy=policy) for other in asked]
    if any(each.vetoes for each in to_asked):
        return None
    weight = attrgetter("weight")
    own = max((compare(one, other, policy=policy) for other in others), key=weight)
    best = max(to_asked, key=weight)
    return (own, best) if fits_as_well(best, own, policy.margin) else None


@dataclass(frozen=True, slots=True)
class Staying:
    """Rows of one Patient about which it is to be asked whether they are another's, with their doses on the server."""

    rows: Sequence[LoadedRow]
    doses: dict[str, Resource]


def ask_no_more(one: str, other: str, answer: ReviewAnswer, ledger: Ledger) -> None:
    """Take back what is asked whose rows are, this one's or the other's."""
    for item in ledger.reviews.open_items((WHOSE,)):
        if item.decision and set(item.decision.candidates) == {one, other}:
            ledger.reviews.answer(item.id, answer)


async def staying(
    item: ReviewItem, asked: Sequence[PersonEvidence], patient_id: str, tools: LoadTools
) -> list[Staying]:
    """Return the rows of the Patients that a question's person (`asked`) is not that fit her as well.

    `patient_id` is who she is.
    """
    others = candidate_ids(item, tools.ledger) if item.kind is ReviewKind.PERSON else ()
    return [one for other in others if other != patient_id for one in await staying_with(other, asked, tools)]


async def staying_with(
    patient_id: str, asked: Sequence[PersonEvidence], tools: LoadTools, *, going: Container[str] = ()
) -> list[Staying]:
    """Return the rows of a Patient that fit somebody else (`asked`) as well, but for those that are `going` (their keys)."""
    patient = await tools.reader.read("Patient", patient_id)
    rows = rows_that_fit_as_well(asked, patient, tools.matching, tools.ledger, going=going) if patient else []
    doses = {i for row in rows for i in row.known.doses.values()}
    return [Staying(rows, await doses_now(doses, tools))] if rows else []


def ask_whose(found: Iterable[Staying], patient_id: str, *, user: str, tools: LoadTools) -> None:
    """Ask whose rows are that stay with one of two people; `patient_id` is the other. A question for each wording."""
    ledger, now = tools.ledger, tools.clock.now()
    for one in found:
        wrong = one.rows[0].known.patient_id
        files = list(dict.fromkeys(row.source.file for row in one.rows))
        run = ledger.runs.start(
            kind=RunKind.REVIEW,
            fingerprint=f"staying:{wrong}:{patient_id}"[:64],
            files=files,
            clinic="",
            user=user,
            started=now,
        )
        ledger.runs.decide_by(run, tools.matching.thresholds())
        people = ledger.spool.people(run, {row.wording: row.patient for row in one.rows})
        records = [
            SpooledRecord(
                number=number,
                file=files.index(row.source.file),
                row=row.source.row,
                key=row.key,
                clinic=row.source.clinic,
                content=row.known.content,
                person=people[row.wording],
                patient=row.patient,
                doses=tuple(Dose(name, one.doses[i]) for name, i in sorted(row.known.doses.items()) if i in one.doses),
                missing=(),
            )
            for number, row in enumerate(one.rows, start=1)
        ]
        settled = [
            Settlement(r.number, Outcome.REVIEW, WHOSE, _TEXT, _SUGGESTION, wrong, grade=Grade.PROBABLE)
            for r in records
        ]
        ledger.spool.add(run, list(zip(records, settled, strict=True)))
        fits = {people[row.wording]: row.fits for row in reversed(one.rows)}
        for person, of_person in groupby(records, key=attrgetter("person")):
            both = fits[person]
            decision = PersonDecision(
                (person,),
                PersonAction.REVIEW,
                Grade.PROBABLE,
                WHOSE,
                _TEXT,
                _SUGGESTION,
                candidates=(wrong, patient_id),
                pairs=(
                    ComparedPair(person, wrong, both.own, by=both.by),
                    ComparedPair(person, patient_id, both.asked, by=_BY_ASKED),
                ),
            )
            ledger.reviews.ask(
                run,
                list(of_person),
                kind=ReviewKind.LOADED,
                code=WHOSE,
                text=_TEXT,
                suggestion=_SUGGESTION,
                opened=now,
                decision=decision,
                patient_id=wrong,
            )
        ledger.runs.finish(run, now)


def whose_is_asked(number: int, ledger: Ledger) -> list[ReviewItem]:
    """Return the questions that wait about rows that fit whom a question was answered to be about."""
    item = ledger.reviews.get(number)
    waiting = ledger.reviews.open_items((WHOSE,)) if item and item.patient_id else ()
    return [one for one in waiting if item and one.decision and item.patient_id in one.decision.candidates]
