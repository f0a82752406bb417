"""What an operator answers is posted at once, as a run of its own, and remembered for later loads."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fhir_gateway.bundling.digests import content_digest
from fhir_gateway.domain.errors import ServerError, TransientServerError, UsageError
from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import person_identifier
from fhir_gateway.domain.runs import (
    ReviewAnswer,
    ReviewItem,
    ReviewKind,
    ReviewState,
    Run,
    RunKind,
    RunState,
    SpooledRecord,
    Verdict,
    as_review,
)
from fhir_gateway.flows.load.deciding import SAME_WORDS
from fhir_gateway.flows.load.dose_plans import Answer
from fhir_gateway.flows.load.failing import WORTH_REPEATING
from fhir_gateway.flows.load.posting import post
from fhir_gateway.flows.load.road import finish, respool, travel
from fhir_gateway.flows.load.shared_keys import with_own_key
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.asking import candidate_ids
from fhir_gateway.flows.review.hanging import settled_with, whom_torn_is
from fhir_gateway.flows.review.linkable import patient_in_use, whose_dose
from fhir_gateway.flows.review.remembering import two_of_the_same_words
from fhir_gateway.flows.review.staying import ask_whose, staying
from fhir_gateway.flows.review.whose import say_whose
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.shared_niks import niks_of_all, without_nik
from fhir_gateway.ports import Ledger


async def link(number: int, patient_id: str, *, user: str, note: str, tools: LoadTools) -> Run:
    """Load what hangs on a question for this Patient; of a doubtful dose, say that it is the one that is there.

    Questions that hang on it are answered, too. Raises UsageError where there is no such open question or Patient.
    """
    async with tools.ledger.answer_lock(f"review {number}, by {user}"):
        return await _link(number, patient_id, user=user, note=note, tools=tools)


async def _link(number: int, patient_id: str, *, user: str, note: str, tools: LoadTools) -> Run:
    item = _open_item(number, tools)
    if item.kind is ReviewKind.NIK:
        raise UsageError(f"review {number} has rows of many people: correct them, or answer with `review create`")
    if item.kind is ReviewKind.GONE:
        raise UsageError(
            f"review {number} asks about a dose that is gone: answer with `review create` or `review reject`"
        )
    if item.kind is ReviewKind.DOSE:
        patient_id = await whose_dose(item, patient_id, tools)
    patient = await patient_in_use(patient_id, tools)
    if item.kind is ReviewKind.LOADED:
        return await say_whose(item, ReviewState.LINKED, patient_id, user=user, note=note, tools=tools)
    decision = PersonDecision(
        members=(),
        action=PersonAction.LINK,
        grade=Grade.CERTAIN,
        reason="operator-linked",
        text=f"linked by {user} in review {item.id}",
        patient_id=patient_id,
    )
    said = ReviewAnswer(ReviewState.LINKED, user, note, patient_id, 0, tools.clock.now())
    return await _answered_with_alike(item, decision, said, tools=tools, patient=patient)


async def create(number: int, *, user: str, note: str, tools: LoadTools) -> Run:
    """Load what hangs on a question for a new person; of a doubtful dose, say that it is one of its own.

    Questions of other loads about the very same people are answered with that person, and who fits it and somebody else
    about equally well is asked about on, with both named. Of rows that contradict each other the last one is taken; whose it is is decided as in any load, as the question
    was not about that. So it is of the rows of many people under one NIK, which is nobody's from then on. Raises UsageError where there is no such open question.
    """
    async with tools.ledger.answer_lock(f"review {number}, by {user}"):
        return await _create(number, user=user, note=note, tools=tools)


async def _create(number: int, *, user: str, note: str, tools: LoadTools) -> Run:
    item = _open_item(number, tools)
    if item.kind is ReviewKind.LOADED:
        return await say_whose(item, ReviewState.CREATED, "", user=user, note=note, tools=tools)
    if item.kind in {ReviewKind.KEY, ReviewKind.NIK}:
        return await _decided_anew(item, user=user, note=note, tools=tools)
    of_known_person = item.kind in {ReviewKind.DOSE, ReviewKind.GONE}
    decision = PersonDecision(
        members=(),
        action=PersonAction.LINK if of_known_person else PersonAction.CREATE,
        grade=Grade.CERTAIN if of_known_person else Grade.CERTAINLY_NOT,
        reason="operator-created",
        text=f"created by {user} in review {item.id}",
        patient_id=item.patient_id if of_known_person else "",
    )
    patient = await tools.reader.read("Patient", item.patient_id) if of_known_person else None
    if of_known_person and patient is None:  # who stands for the person now is decided as in any load
        return await _decided_anew(item, user=user, note=note, tools=tools, answer=Answer.CREATE)
    said = ReviewAnswer(ReviewState.CREATED, user, note, decision.patient_id, 0, tools.clock.now())
    return await _answered_with_alike(item, decision, said, tools=tools, patient=patient)


async def _answered_with_alike(
    item: ReviewItem,
    decision: PersonDecision,
    said: ReviewAnswer,
    *,
    tools: LoadTools,
    patient: dict[str, object] | None,
) -> Run:
    """Post an answer, and what it says of the questions that hang on it, see `hanging`; each is a run of its own.

    Those about the very same people get the same one. Who fits two people about equally well is linked to whom both are by
    now, or asked about on.
    """
    alike, torn = settled_with(item, tools.ledger)
    done = await _answered(item, decision, said, tools=tools, patient=patient)
    answered = tools.ledger.reviews.get(item.id)
    for number in (*alike, *torn):
        other = tools.ledger.reviews.get(number)
        if answered is None or other is None or other.state is not ReviewState.OPEN or not other.rows:
            continue
        patient_id = answered.patient_id if number in alike else whom_torn_is(other, tools.ledger)
        if patient_id:
            await link(number, patient_id, user=said.user, note=as_review(item.id, said.note), tools=tools)
    return done


async def _decided_anew(
    item: ReviewItem, *, user: str, note: str, tools: LoadTools, answer: Answer | None = None
) -> Run:
    run = begun(item.id, tools.ledger)
    if run is None:
        records = _to_load(item, tools.ledger.spool.parked_numbers(tools.ledger.reviews.records(item.id)))
        with tools.ledger.transaction():
            run = _started(item, user=user, tools=tools)
            if item.kind is ReviewKind.NIK:
                niks = niks_of_all([record.patient for record in records])
                tools.ledger.verdicts.give_up_niks(item.id, niks)
                records = [_without(niks, record) for record in records]
            respool(run, records, tools)
            tools.ledger.runs.reach(run, RunState.DECIDING)
        run = begun(item.id, tools.ledger) or run

    def failed() -> bool:
        return bool(tools.ledger.runs.totals(run).outcomes.get(Outcome.FAILED))

    def note_answer() -> None:
        if not failed():
            said = ReviewAnswer(ReviewState.CREATED, user, note, "", run.id, tools.clock.now())
            tools.ledger.reviews.answer(item.id, said)

    done = await travel(run, tools, answer=answer, closing=note_answer)
    if failed():
        raise ServerError(
            f"run {run.id} could not load everything, review {item.id} stays open: see `runs show {run.id}`"
        )
    return done


def _without(niks: frozenset[str], record: SpooledRecord) -> SpooledRecord:
    """Return a record without these NIKs, as later loads read it."""
    patient = without_nik(record.patient, niks)
    return replace(record, patient=patient, content=content_digest(patient, record.doses, record.missing))


async def reject(number: int, *, user: str, reason: str, tools: LoadTools) -> int:
    """Refuse what hangs on a question; the same rows are rejected by later loads. Return how many rows that are.

    Raises UsageError where there is no such open question, no reason, or an answer to it that was cut off.
    """
    async with tools.ledger.answer_lock(f"review {number}, by {user}"):
        item = _open_item(number, tools)
        if item.kind is ReviewKind.LOADED:
            raise UsageError(
                f"review {number} asks whose rows are that are loaded: answer with `review link` or `create`"
            )
        if not reason.strip():
            raise UsageError("say with --reason why the rows are wrong: whoever loads them again is told it")
        if run := begun(number, tools.ledger):
            _refuse_another_answer(item, run, None, tools)
        records = tools.ledger.spool.parked_numbers(tools.ledger.reviews.records(item.id))
        said = ReviewAnswer(ReviewState.REJECTED, user, reason, "", 0, tools.clock.now())
        with tools.ledger.transaction():
            tools.ledger.verdicts.reject(item.id, records, reason)
            tools.ledger.reviews.answer(item.id, said)
        return len(records)


def said_before(number: int, state: ReviewState, ledger: Ledger, *, patient_id: str = "") -> ReviewItem | None:
    """Return the question where it has this very answer already (a link: to this Patient), None where it has not."""
    item = ledger.reviews.get(number)
    same = item is not None and item.state is state and patient_id in {"", item.patient_id}
    return item if same else None


def _open_item(number: int, tools: LoadTools) -> ReviewItem:
    item = tools.ledger.reviews.get(number)
    if item is None:
        raise UsageError(f"there is no review {number}; `fhir-gateway review list` shows those that wait")
    if item.state is ReviewState.OPEN and (item.rows or begun(number, tools.ledger)):
        return item
    if item.state in {ReviewState.OPEN, ReviewState.SUPERSEDED}:
        raise UsageError(
            f"review {number} has nothing left to decide ({item.state}): its rows have been loaded meanwhile"
        )
    patient = f" (Patient {item.patient_id})" if item.patient_id else ""
    when = f" on {item.decided:%Y-%m-%d %H:%M}" if item.decided else ""
    words = f"review {number} has been settled already: {item.state}{patient} by {item.user}{when}"
    if item.state is ReviewState.UNDONE:
        raise UsageError(f"{words}: load the file again, and what is left to ask is asked anew")
    raise UsageError(f"{words}; `fhir-gateway review undo {number}` takes that back")


def begun(number: int, ledger: Ledger) -> Run | None:
    """Return the run of an answer that was cut off, None where there is none."""
    return ledger.runs.unfinished(_fingerprint(number))


def _fingerprint(number: int) -> str:
    return f"review:{number}"


async def _answered(
    item: ReviewItem,
    decision: PersonDecision,
    said: ReviewAnswer,
    *,
    tools: LoadTools,
    patient: dict[str, object] | None,
) -> Run:
    run = begun(item.id, tools.ledger)
    parked = tools.ledger.spool.parked_numbers(tools.ledger.reviews.records(item.id))
    others = _key_holders(item, parked, decision.patient_id, tools.ledger)
    if others and item.code == SAME_WORDS:
        raise UsageError(
            f"review {item.id} has corrections of rows of Patient {' and '.join(sorted(set(others.values())))}, who are not"
            " to be moved: load each person's rows from a file of its own"
        )
    if run is None:
        records = [
            with_own_key(record, {decision.patient_id}, tools.ledger) if record.key in others else record
            for record in _to_load(item, parked)
        ]
        run = _run(item, records, decision, user=said.user, tools=tools, patient=patient)
    else:
        _refuse_another_answer(item, run, decision, tools)
    await post(run, tools, total=tools.ledger.runs.totals(run).read, answer=_on_doses(item, said))
    totals = tools.ledger.runs.totals(run)
    open_rows = totals.outcomes.get(Outcome.FAILED, 0)
    if _on_doses(item, said):
        open_rows += totals.outcomes.get(Outcome.REVIEW, 0)
    if open_rows:
        finish(run, tools)
        asked = tools.ledger.reviews.get(item.id)
        if asked and totals.outcomes.get(Outcome.REVIEW) == totals.read:
            raise UsageError(f"review {item.id} stays open, as that is no answer to it: {asked.suggestion}")
        words = f"run {run.id} could not load everything, review {item.id} stays open: see `runs show {run.id}`"
        again = any(code in totals.reasons for code in WORTH_REPEATING)
        raise TransientServerError(words) if again else ServerError(words)
    stored = tools.ledger.spool.decision_of(run, 1)
    patient_id = stored.decision.patient_id if stored else decision.patient_id
    people = tools.ledger.spool.patients_of(run, stored.decision.members if stored else ())
    stays = await staying(item, [evidence_of(one) for one in people.values()], patient_id, tools)
    with tools.ledger.transaction():
        ask_whose(stays, patient_id, user=said.user, tools=tools)
        tools.ledger.reviews.answer(item.id, replace(said, patient_id=patient_id, run=run.id))
        tools.ledger.verdicts.judge(item.id, _verdicts(item, run, patient_id, tools, others=others.values()))
        tools.ledger.spool.release(run, others)
        tools.ledger.spool.sweep(run)
        tools.ledger.runs.finish(run, tools.clock.now())
    return tools.ledger.runs.get(run.id) or run


def _key_holders(item: ReviewItem, records: Sequence[SpooledRecord], patient_id: str, ledger: Ledger) -> dict[str, str]:
    """Return key → Patient whose key it is, of rows that an operator says are somebody else's: they get own keys."""
    if item.kind is not ReviewKind.PERSON:
        return {}
    known = ledger.keys.known({record.key for record in records})
    return {key: entry.patient_id for key, entry in known.items() if entry.patient_id != patient_id}


def _on_doses(item: ReviewItem, said: ReviewAnswer) -> Answer | None:
    """Return what the answer says of doubtful doses: nothing where the question was about the person.

    Who links a person has not been asked whether a doubtful dose is one that she has: that is a question of its own.
    """
    if item.kind not in {ReviewKind.DOSE, ReviewKind.GONE}:
        return None
    return Answer.LINK if said.state is ReviewState.LINKED else Answer.CREATE


def _refuse_another_answer(item: ReviewItem, run: Run, decision: PersonDecision | None, tools: LoadTools) -> None:
    """Raise UsageError where the answer that this run was begun with is another one than `decision` (None: a rejection)."""
    stored = tools.ledger.spool.decision_of(run, 1)
    if stored is None and decision:
        return
    action, patient_id = (stored.decision.action, stored.decision.patient_id) if stored else (PersonAction.CREATE, "")
    other_patient = action is PersonAction.LINK and decision is not None and patient_id != decision.patient_id
    if decision is None or action is not decision.action or other_patient:
        linked = action is PersonAction.LINK and item.kind not in {ReviewKind.KEY, ReviewKind.NIK}
        words = f"link {item.id} {patient_id}" if linked else f"create {item.id}"
        raise UsageError(
            f"review {item.id} was being answered otherwise when that was interrupted, and a part is on the server:"
            f" finish it with `review {words}`, then `review undo {item.id}`"
        )


def _to_load(item: ReviewItem, records: Sequence[SpooledRecord]) -> list[SpooledRecord]:
    """Return the records to load: all of them; of rows that contradict each other the last one."""
    ordered = sorted(records, key=lambda record: (record.file, record.row))
    return ordered[-1:] if item.kind is ReviewKind.KEY else ordered


def _run(  # noqa: PLR0913 - a run is what its columns say
    item: ReviewItem,
    records: Sequence[SpooledRecord],
    decision: PersonDecision,
    *,
    user: str,
    tools: LoadTools,
    patient: dict[str, object] | None,
) -> Run:
    ledger = tools.ledger
    with ledger.transaction():
        run = _started(item, user=user, tools=tools)
        members = tuple(sorted(respool(run, records, tools)))
        if patient is not None:
            ledger.spool.keep_candidates(run, {decision.patient_id: patient})
        identifier = person_identifier(min(record.key for record in records))
        ledger.spool.decide(run, [(_of(decision, members), identifier)])
        ledger.runs.reach(run, RunState.POSTING)
    return run


def _started(item: ReviewItem, *, user: str, tools: LoadTools) -> Run:
    old = tools.ledger.runs.get(item.run)
    return tools.ledger.runs.start(
        kind=RunKind.REVIEW,
        fingerprint=_fingerprint(item.id),
        files=old.files if old else (),
        clinic=old.clinic if old else "",
        user=user,
        started=tools.clock.now(),
    )


def _of(decision: PersonDecision, members: tuple[int, ...]) -> PersonDecision:
    return PersonDecision(
        members,
        decision.action,
        decision.grade,
        decision.reason,
        decision.text,
        decision.suggestion,
        decision.patient_id,
    )


def _words_of_another(patient_id: str, digests: Iterable[str], tools: LoadTools) -> bool:
    """Say whether somebody has rows of these very words who was taken apart from this Patient."""
    known = {one for ids in tools.ledger.keys.recognise(digests).values() for one in ids}
    return any(patient_id in pair for pair in tools.ledger.keys.kept_apart(known | {patient_id}))


def _verdicts(item: ReviewItem, run: Run, patient_id: str, tools: LoadTools, *, others: Iterable[str]) -> list[Verdict]:
    """Return what was said of each person: she is this Patient, and none of the other candidates."""
    apart = sorted({*others, *candidate_ids(item, tools.ledger)} - {patient_id, ""})
    stored = tools.ledger.spool.decision_of(run, 1)
    members = stored.decision.members if stored else ()
    digests = tools.ledger.spool.digests_of(run, members).values()
    if item.code == SAME_WORDS or _words_of_another(patient_id, digests, tools):
        return two_of_the_same_words(item.id, patient_id, apart)
    return [
        verdict
        for digest in digests
        for verdict in (Verdict(digest, patient_id, same=True), *(Verdict(digest, one, same=False) for one in apart))
    ]
