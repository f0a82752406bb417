"""Rows that are loaded for one of two people, and fit the other about as well: they went to the first who was there.

Whoever comes second is asked about. If an operator says that the two are two people, she is asked whose these rows are:
nothing tells, and their doses stand with the first. An answer leaves them there, or moves them as `review unlink` does.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from fhir_gateway.bundling.parting import said_by
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Dose, Resource
from fhir_gateway.domain.runs import (
    KnownKey,
    ReviewAnswer,
    ReviewItem,
    ReviewKind,
    ReviewState,
    Run,
    RunKind,
    RunState,
    Settlement,
    SpooledRecord,
    Verdict,
)
from fhir_gateway.flows.load.standing import doses_now
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.asking import candidate_ids
from fhir_gateway.flows.review.parting_plan import PATIENT, SourceRow, UnlinkRequest, as_said, sources_of
from fhir_gateway.flows.review.unlinking import fingerprint_of, unlink
from fhir_gateway.identity.clustering import fits_as_well
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ports import Ledger

_CODE = "loaded-for-the-first"
_TEXT = "it is loaded for one of two people whom it fits about equally well, of whom an operator said that they are two"
_SUGGESTION = (
    "link it to whose it is: where it stands, or the other, to whom its doses are moved then; create moves them to"
    " somebody new"
)


@dataclass(frozen=True, slots=True)
class LoadedRow:
    """A row that is loaded for a Patient; what it says of the person, with the digest of that, and where it was read last."""

    key: str
    known: KnownKey
    wording: str
    patient: Resource
    source: SourceRow


def rows_that_fit_as_well(
    asked: Sequence[PersonEvidence], patient: Resource, policy: MatchingPolicy, ledger: Ledger
) -> list[LoadedRow]:
    """Return the rows loaded for a Patient that fit who is asked about as well, by their wording.

    Only where something of the Patient contradicts who is `asked` about, so that these may be two people. What an
    operator said is the Patient's own is left out.
    """
    known = ledger.keys.of_patient(str(patient["id"]))
    told = {key: evidence_of(said_by(patient, entry.supplied.get(PATIENT, {})).patient) for key, entry in known.items()}
    contradicting = [one for one in told.values() if _contradicts(one, asked, policy)]
    whole = evidence_of(patient)
    others = contradicting or ([whole] if _contradicts(whole, asked, policy) else [])
    fitting = [key for key in sorted(told) if others and _fits_as_well(told[key], asked, others, policy)]
    if not fitting:
        return []
    words = {key: said[-1] for key, said in ledger.keys.wordings(fitting).items() if said}
    own = {verdict.digest for verdict in ledger.reviews.verdicts(set(words.values())) if verdict.same}
    sources = sources_of({key: known[key] for key in fitting}, ledger)
    rows = [
        LoadedRow(key, known[key], words[key], as_said(patient, known[key], sources[key]), sources[key])
        for key in fitting
        if key in sources and words.get(key, "") not in {"", *own}
    ]
    return sorted(rows, key=attrgetter("wording", "key"))


def _contradicts(one: PersonEvidence, asked: Sequence[PersonEvidence], policy: MatchingPolicy) -> bool:
    return any(compare(one, other, policy=policy).vetoes for other in asked)


def _fits_as_well(
    one: PersonEvidence, asked: Sequence[PersonEvidence], others: Sequence[PersonEvidence], policy: MatchingPolicy
) -> bool:
    """Whether a row contradicts nobody who is asked about, and fits one of them about as well as the rest of its Patient."""
    to_asked = [compare(one, other, policy=policy) for other in asked]
    if any(each.vetoes for each in to_asked):
        return False
    weight = attrgetter("weight")
    best = max((compare(one, other, policy=policy) for other in others), key=weight)
    return fits_as_well(max(to_asked, key=weight), best, policy.margin)


@dataclass(frozen=True, slots=True)
class Staying:
    """Rows of one Patient about which it is to be asked whether they are another's, with their doses on the server."""

    rows: Sequence[LoadedRow]
    doses: dict[str, Resource]


async def staying(
    item: ReviewItem, asked: Sequence[PersonEvidence], patient_id: str, tools: LoadTools
) -> list[Staying]:
    """Return the rows of the Patients that a question's person (`asked`) is not that fit her as well.

    `patient_id` is who she is.
    """
    found = []
    for other in candidate_ids(item, tools.ledger) if item.kind is ReviewKind.PERSON else ():
        patient = await tools.reader.read("Patient", other) if other != patient_id else None
        rows = rows_that_fit_as_well(asked, patient, tools.matching, tools.ledger) if patient else []
        if rows:
            found.append(Staying(rows, await doses_now({i for row in rows for i in row.known.doses.values()}, tools)))
    return found


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
            Settlement(r.number, Outcome.REVIEW, _CODE, _TEXT, _SUGGESTION, wrong, grade=Grade.PROBABLE)
            for r in records
        ]
        ledger.spool.add(run, list(zip(records, settled, strict=True)))
        for person, of_person in groupby(records, key=attrgetter("person")):
            decision = PersonDecision(
                (person,),
                PersonAction.REVIEW,
                Grade.PROBABLE,
                _CODE,
                _TEXT,
                _SUGGESTION,
                candidates=(wrong, patient_id),
            )
            ledger.reviews.ask(
                run,
                list(of_person),
                kind=ReviewKind.LOADED,
                code=_CODE,
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
    waiting = ledger.reviews.open_items((_CODE,)) if item and item.patient_id else ()
    return [one for one in waiting if item and one.decision and item.patient_id in one.decision.candidates]


async def say_whose(  # noqa: PLR0913 - an answer is what it says
    item: ReviewItem, state: ReviewState, patient_id: str, *, user: str, note: str, tools: LoadTools
) -> Run:
    """Answer whose rows are that are loaded: they stay, or their doses go to Patient `patient_id` ("": to somebody new).

    Whatever is sent is journaled by the unlinking: the same answer after an interruption goes on with it.
    """
    ledger = tools.ledger
    records = ledger.spool.parked_numbers(ledger.reviews.records(item.id))
    keys = {record.key for record in records}
    rows = tuple((record.file, record.row) for record in records)
    request = UnlinkRequest(item.run, rows, patient_id, user, note, only=True)
    _refuse_another_answer(item, keys, request, ledger)
    if {known.patient_id for known in ledger.keys.known(keys).values()} == {patient_id}:
        return _left(item, records, patient_id, user=user, note=note, tools=tools)
    done = await unlink(request, tools)
    with ledger.transaction():
        said = ReviewAnswer(state, user, note, done.right, done.run.id, tools.clock.now())
        ledger.reviews.answer(item.id, said)
    return done.run


def _refuse_another_answer(item: ReviewItem, keys: AbstractSet[str], request: UnlinkRequest, ledger: Ledger) -> None:
    for run in ledger.runs.all():
        cut_off = run.kind is RunKind.UNLINK and run.state is not RunState.FINISHED
        if cut_off and run.fingerprint != fingerprint_of(request) and ledger.spool.records_with(run, keys):
            raise UsageError(
                f"review {item.id} was being answered otherwise when that was interrupted, and a part is on the server:"
                f" finish that with the same command, then `review undo {item.id}`"
            )


def _left(  # noqa: PLR0913 - see say_whose()
    item: ReviewItem, records: Sequence[SpooledRecord], patient_id: str, *, user: str, note: str, tools: LoadTools
) -> Run:
    """Write down that rows stay where they are, as a run that changed nothing."""
    ledger, now = tools.ledger, tools.clock.now()
    asked = ledger.runs.get(item.run)
    with ledger.transaction():
        run = ledger.runs.start(
            kind=RunKind.REVIEW,
            fingerprint=f"review:{item.id}",
            files=asked.files if asked else (),
            clinic="",
            user=user,
            started=now,
        )
        digests = ledger.spool.digests_of(asked, {record.person for record in records}) if asked else {}
        people = ledger.spool.people(run, {digests[record.person]: record.patient for record in records})
        copies = [replace(record, person=people[digests[record.person]]) for record in records]
        settled = [Settlement(r.number, Outcome.UNCHANGED, patient_id=patient_id, grade=Grade.CERTAIN) for r in copies]
        ledger.spool.add(run, list(zip(copies, settled, strict=True)))
        ledger.reviews.answer(item.id, ReviewAnswer(ReviewState.LINKED, user, note, patient_id, run.id, now))
        others = [one for one in candidate_ids(item, ledger) if one != patient_id]
        verdicts = [Verdict(digest, patient_id, same=True) for digest in people]
        verdicts += [Verdict(digest, other, same=False) for digest in people for other in others]
        ledger.reviews.judge(item.id, verdicts)
        ledger.spool.sweep(run)
        ledger.runs.finish(run, now)
    return ledger.runs.get(run.id) or run
