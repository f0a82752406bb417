"""An unlinking that is said again: it is told what was done, and refused where it would contradict that."""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_gateway.bundling.parting import without
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import PersonAction
from fhir_gateway.domain.runs import Run, RunKind
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.parting_plan import PATIENT, UnlinkRequest, named_keys


@dataclass(frozen=True, slots=True)
class Unlinked:
    """What was done: the run, whose the rows were and are, how many rows and doses went over.

    `left` are fields of the wrong Patient that these rows supplied, but that could not be taken out safely. `before`
    tells whether an earlier command did so, and this one nothing. `review` is the number under which it can be taken back.
    """

    run: Run
    wrong: str
    right: str
    rows: int
    doses: int
    left: tuple[str, ...]
    review: int
    before: bool = False


async def unlinked_before(request: UnlinkRequest, tools: LoadTools) -> Unlinked | None:
    """Return what an earlier command did to all of these rows, None where it has not been said yet.

    Rows that are back with whom the run loaded them for can be taken apart again. Raises UsageError where rows were taken
    apart since, but some others, or to somebody else than is said now.
    """
    rows = named_keys(request, tools)
    runs = _unlinking_runs(request, rows, tools)
    owners = {known.patient_id for known in tools.ledger.keys.known(rows).values()}
    if not runs or owners <= _linked_then(request, tools):
        return None
    number = max(runs.values())
    done = tools.ledger.runs.get(number)
    item = tools.ledger.reviews.of_unlinking(number)
    if done is None or item is None or item.decision is None:
        return None
    wrong, right = str(item.decision.candidates[0]), item.patient_id
    same_end = request.to == right or (not request.to and item.decision.action is PersonAction.CREATE)
    if not same_end or owners != {right} or set(runs.values()) != {number} or runs.keys() != rows.keys():
        told = ", ".join(str(rows[key]) for key, run in runs.items() if run == number)
        now = f"Patient {' and '.join(sorted(owners))}" if runs.keys() == rows.keys() else f"Patient {right}"
        raise UsageError(
            f"row {told} of run {request.run} has been taken apart from Patient {wrong} already (run {number}), and is"
            f" {now}'s now: `review unlink {number} ROW… --to PATIENT` moves it on, `review undo {item.id}` takes that back"
        )
    return await _told(done, wrong, right, tools)


def _unlinking_runs(request: UnlinkRequest, rows: Mapping[str, int], tools: LoadTools) -> dict[str, int]:
    """Return key → the newest run that took its row apart since the run that is named."""
    run = tools.ledger.runs.get(request.run)
    since = tools.ledger.keys.loaded_since(run, rows) if run else {}
    return {
        key: taken[-1]
        for key, later in since.items()
        if (taken := [one.run for one in later if one.kind is RunKind.UNLINK])
    }


def _linked_then(request: UnlinkRequest, tools: LoadTools) -> set[str]:
    """Return for whom the named run loaded the rows."""
    run = tools.ledger.runs.get(request.run)
    found = [tools.ledger.spool.record_at(run, file=file, row=row) for file, row in request.rows] if run else []
    return {settled.patient_id for one in found if one and (settled := one[2])}


async def _told(run: Run, wrong: str, right: str, tools: LoadTools) -> Unlinked:
    places = [tools.ledger.spool.record_at(run, file=file, row=row) for file, row in tools.ledger.spool.rows(run.id)]
    records = [place for place in places if place]
    known = tools.ledger.keys.known({key for _, key, _ in records})
    patient = await tools.reader.read("Patient", wrong)
    others = tools.ledger.keys.of_patient(wrong)
    left: tuple[str, ...] = ()
    if patient is not None and patient.get("active") is not False:
        said = [entry.supplied.get(PATIENT, {}) for entry in known.values()]
        left = without(patient, said, [entry.supplied.get(PATIENT, {}) for entry in others.values()]).left
    doses = {dose for _, _, settled in records if settled for dose in settled.immunization_ids}
    return Unlinked(run, wrong, right, len(records), len(doses), left, review_of(run, tools), before=True)


def review_of(run: Run, tools: LoadTools) -> int:
    """Return the number under which a run's unlinking is kept and can be taken back."""
    item = tools.ledger.reviews.of_unlinking(run.id)
    return item.id if item else 0
