"""What an operator answers is posted at once, as a run of its own, and remembered for later loads."""

from collections.abc import Sequence

from fhir_gateway.domain.errors import ServerError, UsageError
from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.records import person_identifier
from fhir_gateway.domain.runs import (
    ReviewItem,
    ReviewKind,
    ReviewState,
    Run,
    RunKind,
    RunState,
    SpooledRecord,
    Verdict,
)
from fhir_gateway.flows.load.dose_planning import Answer
from fhir_gateway.flows.load.posting import post
from fhir_gateway.flows.load.road import finish, respool
from fhir_gateway.flows.load.tools import LoadTools


async def link(number: int, patient_id: str, *, user: str, note: str, tools: LoadTools) -> Run:
    """Load what hangs on a question for this Patient; of a doubtful dose, say that it is the one that is there.

    Raises UsageError where there is no such open question or Patient.
    """
    item = _open_item(number, tools)
    if item.kind is ReviewKind.GONE:
        raise UsageError(
            f"review {number} asks about a dose that is gone: answer with `review create` or `review reject`"
        )
    if item.kind is ReviewKind.DOSE and patient_id != item.patient_id:
        raise UsageError(f"review {number} asks about a dose of Patient {item.patient_id}: link it there")
    patient = await tools.reader.read("Patient", patient_id)
    if patient is None or patient.get("active") is False:
        raise UsageError(f"there is no active Patient {patient_id} on the server")
    decision = PersonDecision(
        members=(),
        action=PersonAction.LINK,
        grade=Grade.CERTAIN,
        reason="operator-linked",
        text=f"linked by {user}",
        patient_id=patient_id,
    )
    return await _answered(item, decision, Answer.LINK, user=user, note=note, tools=tools, patient=patient)


async def create(number: int, *, user: str, note: str, tools: LoadTools) -> Run:
    """Load what hangs on a question for a new person; of a doubtful dose, say that it is one of its own.

    Raises UsageError where there is no such open question.
    """
    item = _open_item(number, tools)
    of_known_person = item.kind in {ReviewKind.DOSE, ReviewKind.GONE}
    decision = PersonDecision(
        members=(),
        action=PersonAction.LINK if of_known_person else PersonAction.CREATE,
        grade=Grade.CERTAIN if of_known_person else Grade.CERTAINLY_NOT,
        reason="operator-created",
        text=f"created by {user}",
        patient_id=item.patient_id if of_known_person else "",
    )
    patient = await tools.reader.read("Patient", item.patient_id) if of_known_person else None
    if of_known_person and patient is None:
        raise UsageError(f"Patient {item.patient_id} has gone from the server: reject the row, or load the file again")
    return await _answered(item, decision, Answer.CREATE, user=user, note=note, tools=tools, patient=patient)


def reject(number: int, *, user: str, reason: str, tools: LoadTools) -> int:
    """Refuse what hangs on a question; the same rows are rejected by later loads. Return how many rows that are."""
    item = _open_item(number, tools)
    records = tools.ledger.spool.parked_numbers(tools.ledger.reviews.records(item.id))
    with tools.ledger.transaction():
        tools.ledger.reviews.reject(item.id, records, reason)
        tools.ledger.reviews.answer(
            item.id, state=ReviewState.REJECTED, user=user, note=reason, patient_id="", decided=tools.clock.now()
        )
    return len(records)


def _open_item(number: int, tools: LoadTools) -> ReviewItem:
    item = tools.ledger.reviews.get(number)
    if item is None:
        raise UsageError(f"there is no review {number}; `fhir-gateway review list` shows those that wait")
    if item.state is not ReviewState.OPEN or not item.rows:
        raise UsageError(f"review {number} has been settled already ({item.state})")
    return item


async def _answered(  # noqa: PLR0913 - an answer is all of this
    item: ReviewItem,
    decision: PersonDecision,
    answer: Answer,
    *,
    user: str,
    note: str,
    tools: LoadTools,
    patient: dict[str, object] | None,
) -> Run:
    records = _to_load(item, tools.ledger.spool.parked_numbers(tools.ledger.reviews.records(item.id)))
    run = _run(item, records, decision, user=user, tools=tools, patient=patient)
    await post(run, tools, total=len(records), answer=answer)
    run = finish(run, tools)
    if tools.ledger.runs.totals(run).open_rows:
        raise ServerError(
            f"run {run.id} could not load everything, review {item.id} stays open: see `runs show {run.id}`"
        )
    state = ReviewState.LINKED if answer is Answer.LINK else ReviewState.CREATED
    with tools.ledger.transaction():
        stored = tools.ledger.spool.decision_of(run, 1)
        patient_id = stored.decision.patient_id if stored else decision.patient_id
        tools.ledger.reviews.answer(
            item.id, state=state, user=user, note=note, patient_id=patient_id, decided=tools.clock.now()
        )
        tools.ledger.reviews.judge(item.id, _verdicts(item, run, patient_id, tools))
    return run


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
    old = ledger.runs.get(item.run)
    with ledger.transaction():
        run = ledger.runs.start(
            kind=RunKind.REVIEW,
            fingerprint=f"review:{item.id}",
            files=old.files if old else (),
            clinic=old.clinic if old else "",
            user=user,
            started=tools.clock.now(),
        )
        members = tuple(sorted(set(respool(run, records, tools).values())))
        if patient is not None:
            ledger.spool.keep_candidates(run, {decision.patient_id: patient})
        identifier = person_identifier(min(record.key for record in records))
        ledger.spool.decide(run, [(_of(decision, members), identifier)])
        ledger.runs.reach(run, RunState.POSTING)
    return run


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


def _verdicts(item: ReviewItem, run: Run, patient_id: str, tools: LoadTools) -> list[Verdict]:
    """Return what was said of each person: she is this Patient, and none of the other candidates."""
    stored = tools.ledger.spool.decision_of(run, 1)
    members = stored.decision.members if stored else ()
    digests = tools.ledger.spool.digests_of(run, members).values()
    others = {str(c) for c in item.decision.candidates if isinstance(c, str)} if item.decision else set()
    return [
        Verdict(digest, other, other == patient_id)
        for digest in digests
        for other in sorted({patient_id, *others} - {""})
    ]
