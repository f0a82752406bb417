"""What became of a run's row since: taken apart, answered, corrected, loaded after all, its Patient merged away."""

from collections.abc import Iterator, Sequence

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import LoadedSince, ReviewState, Run, RunKind, Settlement
from fhir_gateway.ledger.store import Ledger

_LOADED = frozenset({Outcome.LOADED, Outcome.UNCHANGED})


def told_since(ledger: Ledger, run: Run, key: str, settlement: Settlement) -> tuple[str, ...]:
    """Return in words, sentence by sentence, how a row stands now if that is no longer as this run left it."""
    later = ledger.keys.loaded_since(run, [key]).get(key, []) if key else []
    known = ledger.keys.known([key]).get(key) if key else None
    if settlement.outcome not in _LOADED and (asked := [*_answered(ledger, run, settlement)]):
        told = asked
    elif moved := _moved(ledger, later):
        told = [*moved]
        if known and not known.content:
            told.append("not all that the row says could be moved: load its file again, which completes it")
    elif later and (settlement.outcome not in _LOADED or later[-1].patient_id != settlement.patient_id):
        told = [*_loaded(ledger, later[-1])]
    else:
        told = []
    last = later[-1].patient_id if later else settlement.patient_id
    if known and last and ledger.keys.survivors([last]).get(last) == known.patient_id:
        told.append(f"Patient {last} has been merged into {known.patient_id}: `merge history --patient {last}`")
    return tuple(told)


def _answered(ledger: Ledger, run: Run, settlement: Settlement) -> Iterator[str]:
    """Yield what became of the question that a row hangs on; nothing where it has none, or that was answered and posted."""
    number = ledger.reviews.of_record(run, settlement.number)
    item = ledger.reviews.get(number) if number else None
    if item is None:
        return
    when = f" on {item.decided:%Y-%m-%d %H:%M}" if item.decided else ""
    if item.state is ReviewState.OPEN:
        yield f"it waits in review {item.id}: `review show {item.id}`"
    elif item.state is ReviewState.REJECTED:
        yield f"rejected by {item.user}{when} (review {item.id}): {item.note}"


def _moved(ledger: Ledger, later: Sequence[LoadedSince]) -> tuple[str, ...]:
    """Return who took the row from its Patient, () where it was not, or came to somebody else afterwards."""
    moves = [one for one in later if one.kind is RunKind.UNLINK and one.patient_id == later[-1].patient_id]
    run = ledger.runs.get(moves[-1].run) if moves else None
    item = ledger.reviews.of_unlinking(run.id) if run else None
    if run is None or item is None or item.decision is None:
        return ()
    why = f": {item.note}" if item.note else ""
    return (
        f"Patient {moves[-1].patient_id}'s, taken apart from Patient {item.decision.candidates[0]} {_by(run)}{why}",
        f"if that is wrong, `review undo {item.id}` takes it back",
    )


def _loaded(ledger: Ledger, last: LoadedSince) -> Iterator[str]:
    if run := ledger.runs.get(last.run):
        answer = run.kind is RunKind.REVIEW
        how = f", as answered in review {run.fingerprint.partition(':')[2]}" if answer else ""
        yield f"loaded for Patient {last.patient_id} {_by(run)}{how}"


def _by(run: Run) -> str:
    return f"in run {run.id} by {run.user} on {run.finished or run.started:%Y-%m-%d %H:%M}"
