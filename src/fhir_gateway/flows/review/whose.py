"""An operator says whose rows are that are loaded for one of two people: they stay, or their doses are moved."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import (
    ReviewAnswer,
    ReviewItem,
    ReviewState,
    Run,
    RunKind,
    RunState,
    Settlement,
    SpooledRecord,
    Verdict,
)
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.asking import candidate_ids
from fhir_gateway.flows.review.parting_plan import UnlinkRequest
from fhir_gateway.flows.review.unlinking import fingerprint_of, unlink
from fhir_gateway.ports import Ledger


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
    done = await unlink(request, tools, asking=False)
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
        ledger.verdicts.judge(item.id, verdicts)
        ledger.spool.sweep(run)
        ledger.runs.finish(run, now)
    return ledger.runs.get(run.id) or run
