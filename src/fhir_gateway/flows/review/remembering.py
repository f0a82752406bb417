"""What the ledger knows of rows that were moved: whose they are now, who decided so, and what it means for later loads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fhir_gateway.bundling.parting import dose_of_its_own, said_by
from fhir_gateway.domain.identity import Grade, PersonAction
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.registry import Correction
from fhir_gateway.domain.runs import (
    KnownKey,
    ReviewAnswer,
    ReviewKind,
    ReviewState,
    Settlement,
    SpooledRecord,
    Verdict,
    WrittenResource,
)
from fhir_gateway.flows.load.blocks import block_numbers, known_block_numbers
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.moves import Move, Standing
from fhir_gateway.flows.review.parting_plan import PATIENT, UnlinkRequest
from fhir_gateway.flows.review.staying import ask_no_more
from fhir_gateway.identity.evidence import evidence_of


def remember(
    move: Move,
    right: str,
    standing: Mapping[tuple[str, str], str],
    written: tuple[WrittenResource, ...],
    tools: LoadTools,
) -> None:
    """Tell the ledger whose the rows are now, and what was written for that; the first row tells it."""
    ledger = tools.ledger
    learned = [_learned(move.known[record.key], record, right, standing) for record in move.records]
    settlements = [
        Settlement(
            record.number,
            Outcome.LOADED,
            patient_id=right,
            immunization_ids=tuple(dict.fromkeys(known.doses.values())),
            grade=Grade.CERTAIN,
        )
        for record, known in zip(move.records, learned, strict=True)
    ]
    ledger.keys.learn(move.run, learned)
    settlements[0] = replace(settlements[0], written=written)
    ledger.spool.settle(move.run, settlements)
    ledger.spool.close(move.run, [move.decision.number])
    mine, theirs = _digests(move, tools)
    evidence = [evidence_of(record.patient) for record in move.records]
    known = {number for each in evidence for number in known_block_numbers(each)}
    merged = ledger.keys.survivors([move.wrong])
    for wrong in (move.wrong, *(one for one, now in merged.items() if now == move.wrong)):
        ledger.keys.estrange(wrong, mine - theirs, known if not move.others else ())
    ledger.keys.acquaint((digest, right) for digest in mine)
    ledger.keys.locate((block, right) for each in evidence for block in block_numbers(each))


def _learned(known: KnownKey, record: SpooledRecord, right: str, standing: Mapping[tuple[str, str], str]) -> KnownKey:
    """Return what is known of a row's key now; unless all of it was found, the next load of its file completes it."""
    doses = {name: standing[record.key, name] for name in known.doses if (record.key, name) in standing}
    copied = {name for name, own in doses.items() if known.doses[name] != own}
    whole = (
        len(doses) == len(known.doses)
        and not copied
        and said_by(record.patient, known.supplied.get(PATIENT, {})).complete
    )
    return replace(
        known,
        patient_id=right,
        doses=doses,
        content=known.content if whole else "",
        supplied={**known.supplied, **{name: _copied(record, name, known) for name in copied}},
    )


def written_by(
    move: Move, right: str, standing: Standing, changed: Sequence[Correction]
) -> tuple[WrittenResource, ...]:
    """Return what was written on the server: by this process, and, as far as that can be seen, by one that was cut off."""
    is_new = move.decision.decision.action is PersonAction.CREATE
    created = [f"Patient/{right}"] if is_new else []
    created += [f"Immunization/{own}" for own in standing.copies]
    known = {one.resource for one in move.told if one.created}
    earlier = [WrittenResource(one, created=True) for one in created if one not in known]
    later = [WrittenResource(one.resource, created=False, version=one.version) for one in changed]
    return tuple(dict.fromkeys((*earlier, *move.told, *later)))


def _copied(record: SpooledRecord, name: str, known: KnownKey) -> Mapping[str, tuple[str, ...]]:
    """Return what of a dose's supplied fields its copy has; the rest comes with the next load of its file."""
    shared = next(dose.resource for dose in record.doses if dose.name == name)
    said = known.supplied.get(name, {})
    copy = dose_of_its_own(shared, said, identifier="", source="")
    return {field: digests for field, digests in said.items() if field in copy}


def _digests(move: Move, tools: LoadTools) -> tuple[set[str], set[str]]:
    """Return the words of those who go and of those who stay."""
    going = tools.ledger.keys.wordings(move.known)
    staying = tools.ledger.keys.wordings(move.others)
    return {d for said in going.values() for d in said}, {d for said in staying.values() for d in said}


def write_down(move: Move, request: UnlinkRequest, right: str, tools: LoadTools) -> None:
    """Keep who decided so and why, and what it means for later loads: nothing of rows of which it is still asked whose they are."""
    reviews, verdicts, now = tools.ledger.reviews, tools.ledger.verdicts, tools.clock.now()
    mine, theirs = _digests(move, tools)
    if request.undoing:
        number = request.undoing
        verdicts.take_back(number)
        undone = ReviewAnswer(ReviewState.UNDONE, request.user, request.note, right, move.run.id, now)
        reviews.answer(number, undone)
        if not move.others:  # nobody is left who could be the other one
            ask_no_more(move.wrong, right, undone, tools.ledger)
    number = reviews.ask(
        move.run,
        [],
        kind=ReviewKind.UNLINK,
        code="operator-unlinked",
        text=f"rows of run {request.run} were taken apart from Patient {move.wrong}",
        suggestion="",
        opened=now,
        decision=move.decision.decision,
    )
    reviews.answer(number, ReviewAnswer(ReviewState.UNLINKED, request.user, request.note, right, move.run.id, now))
    apart = [Verdict(digest, move.wrong, same=False) for digest in sorted(mine - theirs)]
    open_still = reviews.words_asked_about()
    apart += [Verdict(digest, right, same=False) for digest in sorted(theirs - mine - open_still)]
    apart += [Verdict(digest, right, same=True) for digest in sorted(mine - theirs)]
    if mine <= theirs:  # nothing that the rows say tells whose they are
        apart += two_of_the_same_words(number, right, [move.wrong])
    verdicts.judge(number, apart)


def two_of_the_same_words(review: int, patient_id: str, others: Iterable[str]) -> list[Verdict]:
    """Return that a Patient is none of the others, of people whose rows say the same to the letter.

    It is said of no words (the digest is the question's number), as they are all of theirs: it parts the Patients only.
    """
    words = f"={review}"
    return [Verdict(words, patient_id, same=True), *(Verdict(words, other, same=False) for other in others)]
