"""A wrong link is taken apart: its rows' doses go to the right person, journaled and resumable, as a run of its own.

Everything that is to be moved is stored before anything is sent. Each leg looks at the server, sends what is missing
and looks again, so that the same command after any interruption comes to the same end.
"""

import hashlib
from collections.abc import Callable, Container, Sequence

from fhir_gateway.bundling import patients
from fhir_gateway.bundling.parting import Cleaned, Supplied, without
from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import PermanentServerError, UsageError
from fhir_gateway.domain.identity import PersonAction
from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import (
    Run,
    RunKind,
    RunState,
)
from fhir_gateway.flows.load.posting import wordings
from fhir_gateway.flows.load.standing import doses_now
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.dose_moving import MovedDose, dose_identifiers, is_copy, made_by_gateway, plan_moves
from fhir_gateway.flows.review.linkable import patient_in_use
from fhir_gateway.flows.review.moves import Move, Standing, as_begun, journaled
from fhir_gateway.flows.review.parting_plan import PATIENT, UnlinkRequest, check_target, journal, moving
from fhir_gateway.flows.review.recalling import changed_since, recall_changed
from fhir_gateway.flows.review.remembering import remember, write_down, written_by
from fhir_gateway.flows.review.sending import send_all
from fhir_gateway.flows.review.staying import ask_whose, staying_with
from fhir_gateway.flows.review.unlinked_before import Unlinked, review_of, unlinked_before
from fhir_gateway.identity.evidence import evidence_of

_TRIES = 6
_DECISIONS = 500
_POSTING_KINDS = frozenset({RunKind.LOAD, RunKind.RETRY, RunKind.REVIEW})


async def unlink(request: UnlinkRequest, tools: LoadTools, *, asking: bool = True) -> Unlinked:
    """Move the rows' doses to Patient `to`, or to a new person; the rows are never linked to the wrong one again.

    Rows that stay may have come by what these had brought, and fit whose these are: then it is asked whose they are, but
    with `asking` off.
    Raises UsageError for rows or a Patient that cannot be, LedgerError where a load runs, and ServerError where the
    server refuses or has gone: the same command goes on where this one stopped, and does nothing where it is done.
    """
    fingerprint = fingerprint_of(request)
    with tools.ledger.load_lock(f"unlinking rows of run {request.run}"):
        begun = tools.ledger.runs.unfinished(fingerprint)
        if begun is None and (done := await unlinked_before(request, tools)):
            return done
        run = begun or await _begin(request, fingerprint, tools)
        move = journaled(run, tools)
        right = await _right_patient(move, tools)
        standing = await _move_doses(move, right, tools)
        cleaned = await _clean(move, request, tools)
        moved = [evidence_of(record.patient) for record in move.records]
        stays = await staying_with(move.wrong, moved, tools, going=move.known) if asking else []
        with tools.ledger.transaction():
            before, changed = as_begun(move, tools), [*standing.moved, cleaned.patient]
            written = written_by(move, right, standing, changed_since(before, changed))
            remember(move, right, standing.places, written, tools)
            recall_changed(before, changed, tools)
            ask_whose(stays, right, user=request.user, tools=tools)
            write_down(move, request, right, tools)
            tools.ledger.spool.sweep(run)
            tools.ledger.runs.finish(run, tools.clock.now())
    return Unlinked(
        run=tools.ledger.runs.get(run.id) or run,
        wrong=move.wrong,
        right=right,
        rows=len(move.records),
        doses=len(set(standing.places.values())),
        left=cleaned.left,
        review=review_of(run, tools),
    )


def fingerprint_of(request: UnlinkRequest) -> str:
    """Return by what an unlinking is found again that was cut off."""
    rows = " ".join(f"{file}:{row}" for file, row in sorted(request.rows))
    only = " only" * request.only
    told = f"{request.run} {rows} {request.to} {request.undoing}{only}"
    return "unlink:" + hashlib.sha256(told.encode()).hexdigest()[:40]


async def _begin(request: UnlinkRequest, fingerprint: str, tools: LoadTools) -> Run:
    found = moving(request, tools)
    patient = await tools.reader.read("Patient", found.wrong)
    if patient is None:
        raise UsageError(f"Patient {found.wrong} has gone from the server: load the file again instead")
    check_target(request, found, patient)
    _check_nothing_is_half_posted(found.wrong, tools)
    if request.to:
        await patient_in_use(request.to, tools)
    ids = sorted({i for entry in found.known.values() for i in entry.doses.values()})
    return journal(request, found, patient, await doses_now(ids, tools), fingerprint, tools)


def _check_nothing_is_half_posted(patient_id: str, tools: LoadTools) -> None:
    """Raise UsageError where an interrupted run has decided to link more rows to this Patient: it would do so afterwards."""
    for run in tools.ledger.runs.all():
        if run.kind not in _POSTING_KINDS or run.state is not RunState.POSTING:
            continue
        after = 0
        while waiting := tools.ledger.spool.open_decisions(run, after=after, limit=_DECISIONS):
            if any(stored.decision.patient_id == patient_id for stored in waiting):
                raise UsageError(
                    f"run {run.id} was interrupted while it loaded rows for Patient {patient_id}: "
                    "finish it with the command that began it, then unlink"
                )
            after = waiting[-1].number


async def _right_patient(move: Move, tools: LoadTools) -> str:
    """Create the new person, or add to the right one what the rows say; return the Patient's id."""
    said = wordings(move.records)
    if move.decision.decision.action is PersonAction.LINK:
        right = move.decision.decision.patient_id
        addition = patients.combined(said)
        await _until_nothing_is_left(right, lambda current: patients.enriched(current, addition), move, tools)
        return right
    if move.decision.decision.patient_id:
        return move.decision.decision.patient_id
    new = patients.combined(said, identifier=move.decision.identifier)
    condition = f"identifier={systems.PERSON}|{move.decision.identifier}"
    entry = BundleEntry("new", "POST", "Patient", new, if_none_exist=condition)
    (outcome,) = await send_all([entry], tools.writer, move.told)
    with tools.ledger.transaction():
        tools.ledger.spool.receive(move.run, {move.decision.number: outcome.resource_id})
    return outcome.resource_id


async def _until_nothing_is_left(
    patient_id: str, change: Callable[[Resource], Resource | None], move: Move, tools: LoadTools
) -> Resource:
    """Change a Patient, If-Match, again where somebody else was faster; return it as it stands then."""
    for _ in range(_TRIES):
        current = await tools.reader.read("Patient", patient_id)
        if current is None:
            raise PermanentServerError(f"Patient {patient_id} has gone from the server while rows were moved")
        changed = change(current)
        if changed is None or changed == current:
            return current
        version = str(current.get("meta", {}).get("versionId", ""))
        url = f"Patient/{patient_id}"
        await send_all([BundleEntry(url, "PUT", url, changed, if_match=version)], tools.writer, move.told)
        tools.finder.forget([current, changed])
    raise PermanentServerError(f"Patient {patient_id} keeps changing on the server: run the same command again")


async def _move_doses(move: Move, right: str, tools: LoadTools) -> Standing:
    """Send what is missing until every dose stands with the right Patient."""
    moved = _moved_doses(move)
    ids = [dose.immunization_id for dose in moved]
    for attempt in range(_TRIES):
        given = [dose async for dose in tools.reader.search("Immunization", {"patient": [right]})] if ids else []
        current = await doses_now(ids, tools, alone=attempt > 0)
        taken = await _taken(
            [dose.copied_as[0] for dose in moved if dose.stays], {*ids, *(one["id"] for one in given)}, tools
        )
        plan = plan_moves(moved, current, given, right=right, zone=tools.zone, taken=taken)
        if not plan.entries:
            whole = [dose.immunization_id for dose in moved if not dose.stays]
            copies = [str(one["id"]) for one in given for dose in moved if dose.stays and is_copy(one, dose)]
            return Standing(plan.standing, [current[own] for own in whole if own in current], copies)
        await send_all(plan.entries, tools.writer, move.told)
    raise PermanentServerError("the doses keep changing on the server: run the same command again")


async def _taken(identifiers: Sequence[str], ours: Container[str], tools: LoadTools) -> set[str]:
    """Return which of these dose identifiers Immunizations have that are none of `ours`."""
    if not identifiers:
        return set()
    asked = {"identifier": [f"{systems.DOSE}|{one}" for one in sorted(set(identifiers))]}
    found = [dose async for dose in tools.reader.search("Immunization", asked)]
    return {own for dose in found if str(dose["id"]) not in ours for own in dose_identifiers(dose)}


def _moved_doses(move: Move) -> list[MovedDose]:
    staying = {i: (key, name) for key, known in move.others.items() for name, i in known.doses.items()}
    others: dict[str, list[Supplied]] = {}
    for known in move.others.values():
        for name, i in known.doses.items():
            others.setdefault(i, []).append(known.supplied.get(name, {}))
    found: dict[str, list[tuple[str, str]]] = {}
    resources: dict[str, Resource] = {}
    sources: dict[str, str] = {}
    for record in move.records:
        for dose in record.doses:
            own = str(dose.resource["id"])
            found.setdefault(own, []).append((record.key, dose.name))
            resources[own] = dose.resource
            sources.setdefault(own, str(record.patient["meta"]["source"]))
    return [
        MovedDose(
            immunization_id=own,
            doses=tuple(names),
            supplied=move.known[names[0][0]].supplied.get(names[0][1], {}),
            source=sources[own],
            stays=own in staying or not made_by_gateway(resources[own]),
            shared_by=staying.get(own),
            others=tuple(others.get(own, ())),
        )
        for own, names in found.items()
    ]


async def _clean(move: Move, request: UnlinkRequest, tools: LoadTools) -> Cleaned:
    """Take out of the wrong Patient what only these rows said; a Patient made for them alone is put out of use.

    Return the Patient as it stands on the server then, and what is left in it.
    """
    wrong = [known.supplied.get(PATIENT, {}) for known in move.known.values()]
    others = [known.supplied.get(PATIENT, {}) for known in move.others.values()]
    result = Cleaned({}, ())

    def change(current: Resource) -> Resource | None:
        nonlocal result
        ours = any(i.get("system") == systems.PERSON for i in current.get("identifier", []))
        if request.to and ours and not move.others:
            result = Cleaned({**current, "active": False}, ())
        else:
            result = without(current, wrong, others)
        return result.patient

    standing = await _until_nothing_is_left(move.wrong, change, move, tools)
    return Cleaned(standing, result.left)
