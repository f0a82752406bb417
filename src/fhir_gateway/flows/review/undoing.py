"""An operator's answer is taken back: a rejection asks again, a link, a creation or an unlinking is taken apart."""

from dataclasses import dataclass

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.runs import ReviewAnswer, ReviewItem, ReviewKind, ReviewState
from fhir_gateway.flows.load.dose_plans import OTHER_PERSON
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.dose_undoing import take_back_dose
from fhir_gateway.flows.review.parting_plan import UnlinkRequest
from fhir_gateway.flows.review.unlinked_before import Unlinked
from fhir_gateway.flows.review.unlinking import unlink

_OF_PEOPLE = frozenset({ReviewKind.PERSON, ReviewKind.KEY, ReviewKind.UNLINK})


@dataclass(frozen=True, slots=True)
class DoseTakenBack:
    """An answer about a dose was taken back: how many doses were marked entered-in-error, or moved to Patient `to`."""

    review: int
    doses: int
    to: str = ""


@dataclass(frozen=True, slots=True)
class NumberTakenBack:
    """An answer about a number was taken back: it counts again, and the next load of its rows asks again."""

    review: int


async def undo(
    number: int, *, to: str, user: str, note: str, tools: LoadTools
) -> Unlinked | DoseTakenBack | NumberTakenBack | None:
    """Take the answer to a question back; return what was moved or marked, None where that was nothing.

    A rejection: the question waits again. A link or a creation: the rows go to Patient `to`, or after a link to a new
    person. An unlinking: the rows go back. Of a dose: see take_back_dose(); one that was moved goes to `to`. Of a number
    of many people: it counts again, and the people of its rows stay who they are until the next load asks. Raises
    UsageError for a question that nobody has answered, and what unlink() raises.
    """
    item = tools.ledger.reviews.get(number)
    if item is None:
        raise UsageError(f"there is no review {number}; `fhir-gateway review list` shows those that wait")
    if item.state is ReviewState.REJECTED:
        with tools.ledger.transaction():
            tools.ledger.verdicts.take_back(number)
            tools.ledger.reviews.answer(number, ReviewAnswer(ReviewState.UNDONE, user, note, "", 0, tools.clock.now()))
            tools.ledger.reviews.reopen(number)
        return None
    answers = [a for a in tools.ledger.reviews.history(number) if a.state is item.state and a.run]
    if not answers or item.state not in {ReviewState.LINKED, ReviewState.CREATED, ReviewState.UNLINKED}:
        raise UsageError(f"review {number} has no answer to take back ({item.state})")
    if item.kind is ReviewKind.LOADED:
        return await _asked_again(item, answers[-1], to=to, user=user, note=note, tools=tools)
    if item.kind is ReviewKind.NIK:
        if to:
            raise UsageError(
                f"review {number} was about a number, each of its rows was decided by itself: `review unlink` moves single ones"
            )
        return _number_counts_again(number, user=user, note=note, tools=tools)
    if item.kind not in _OF_PEOPLE:
        moved = item.code == OTHER_PERSON and item.state is ReviewState.LINKED
        if to and not moved:
            raise UsageError(f"review {number} was about a dose: --to says nothing of it")
        if moved and (not to or await tools.reader.read("Patient", to) is None):
            raise UsageError(
                f"review {number} moved a dose ({item.text}): name with --to the Patient to whom it goes back"
            )
        changed = await take_back_dose(item, answers[-1], to=to, user=user, note=note, tools=tools)
        return DoseTakenBack(number, changed, to)
    return await unlink(_request(item, answers[-1], to=to, user=user, note=note, tools=tools), tools)


def _number_counts_again(number: int, *, user: str, note: str, tools: LoadTools) -> NumberTakenBack:
    with tools.ledger.load_lock(f"taking back the answer to review {number}"), tools.ledger.transaction():
        tools.ledger.verdicts.take_back(number)
        tools.ledger.reviews.answer(number, ReviewAnswer(ReviewState.UNDONE, user, note, "", 0, tools.clock.now()))
    return NumberTakenBack(number)


async def _asked_again(  # noqa: PLR0913 - see undo()
    item: ReviewItem, answer: ReviewAnswer, *, to: str, user: str, note: str, tools: LoadTools
) -> Unlinked | None:
    """Take back an answer about rows that were loaded before: those that it moved go back, and it is asked again whose they are."""
    if to:
        raise UsageError(f"review {item.id} is asked again once its answer is taken back: --to says nothing of it")
    moved = tools.ledger.reviews.of_unlinking(answer.run)
    open_still = moved is not None and moved.state is ReviewState.UNLINKED
    done = await undo(moved.id, to="", user=user, note=note, tools=tools) if moved and open_still else None
    with tools.ledger.transaction():
        tools.ledger.verdicts.take_back(item.id)
        said = ReviewAnswer(ReviewState.UNDONE, user, note, "", answer.run, tools.clock.now())
        tools.ledger.reviews.answer(item.id, said)
        tools.ledger.reviews.reopen(item.id)
    return done if isinstance(done, Unlinked) else None


def _request(  # noqa: PLR0913 - what unlink() is asked, and from what it follows
    item: ReviewItem, answer: ReviewAnswer, *, to: str, user: str, note: str, tools: LoadTools
) -> UnlinkRequest:
    if item.state is ReviewState.UNLINKED and not to and item.decision:
        to = str(item.decision.candidates[0])
    if item.state is ReviewState.CREATED and not to:
        raise UsageError(f"review {item.id} created a person: name with --to whose the rows are instead")
    return UnlinkRequest(
        run=answer.run,
        rows=tuple(tools.ledger.spool.rows(answer.run)),
        to=to,
        user=user,
        note=note,
        undoing=item.id,
    )
