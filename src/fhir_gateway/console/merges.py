"""Merges for auditors: found, shown with before and after side by side, exported, and (for operators) undone."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from fhir_gateway.bootstrap.told_merges import told_of_rows, waterfalls_of_then
from fhir_gateway.console.comparing import compared
from fhir_gateway.console.exporting import as_csv, as_json
from fhir_gateway.console.guarding import Environment, Guarded, GuardedOperating, LoggedIn, Operating, PageRefusedError
from fhir_gateway.console.niks import one_nik
from fhir_gateway.console.rendering import page
from fhir_gateway.console.sessions import Session
from fhir_gateway.domain.history import MergeFilter, MergeRecord
from fhir_gateway.flows.merge import UndoDecisions, UndoOutcome
from fhir_gateway.merging.undoing import Decision
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/merges")

_A_PAGE = 50
_CHANGES_A_PAGE = 100
_LONGEST_REASON = 1000
_EXPORTS = {"csv": as_csv, "json": as_json}
Number = Annotated[int, Path(ge=1, le=2**31)]
Before = Annotated[int | None, Query(ge=1, le=2**31)]


@router.get("")
async def newest(request: Request, session: LoggedIn, environment: Environment, before: Before = None) -> Response:
    """Show the newest merges."""
    return _listing(request, session, environment, "", MergeFilter(), before)


@router.post("/search")
async def search(  # noqa: PLR0913, PLR0917 - the form's fields
    session: Guarded,
    environment: Environment,
    nik: Annotated[str, Form(max_length=40)] = "",
    patient: Annotated[str, Form(max_length=80)] = "",
    user: Annotated[str, Form(max_length=200)] = "",
    run: Annotated[str, Form(max_length=10, pattern="^[0-9]*$")] = "",
    since: Annotated[str, Form(max_length=10)] = "",
    until: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Keep what is searched for, and show what is found under an address that says nothing of it."""
    zone = environment.settings.zone
    wanted = MergeFilter(
        nik=one_nik(nik),
        patient=patient.strip().removeprefix("Patient/"),
        user=user.strip(),
        run=int(run) if run else None,
        since=_day(since, zone),
        until=_day(until, zone, end=True),
    )
    return RedirectResponse(f"/console/merges/found/{session.keep(wanted)}", 303)


@router.get("/found/{handle}")
async def found(
    request: Request, session: LoggedIn, environment: Environment, handle: str, before: Before = None
) -> Response:
    """Show the merges that were searched for."""
    return _listing(request, session, environment, handle, _wanted(session, handle), before)


@router.get("/export/{kind}")
async def export(session: LoggedIn, environment: Environment, kind: str, found: str = "") -> Response:
    """Give all merges, or those that were searched for, as a file."""
    if kind not in _EXPORTS:
        raise PageRefusedError(404, "There is no such export.")
    wanted = _wanted(session, found) if found else MergeFilter()
    return await _EXPORTS[kind](environment, wanted)


@router.get("/parted")
async def parted(
    request: Request, session: LoggedIn, environment: Environment, found: str = "", before: Before = None
) -> Response:
    """Show who was said to be different people, of what was searched for."""
    wanted = _wanted(session, found) if found else MergeFilter()
    partings = environment.merges.partings(wanted, before=before, limit=_A_PAGE)
    following = partings[-1].entry if len(partings) == _A_PAGE else 0
    return page(request, "parted.html", session, partings=partings, found=found, following=following, before=before)


@router.get("/{merge}")
async def show(
    request: Request,
    session: LoggedIn,
    environment: Environment,
    merge: Number,
    after: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Show one merge: who, when, why, what changed, and what became of it."""
    record = existing(environment, merge)
    plan = environment.ledger.merges.plan_of(merge)
    changes = environment.merges.changes(merge, after=after, limit=_CHANGES_A_PAGE)
    policy, run = environment.settings.matching, environment.ledger.runs.get(record.merge.run)
    return page(
        request,
        "merge.html",
        session,
        record=record,
        merge=record.merge,
        plan=plan,
        evidence=list(waterfalls_of_then(plan.group, run, policy)) if plan else [],
        entries=environment.merges.entries(merge),
        changes=[(change, compared(change.before, change.after)) for change in changes],
        more=changes[-1].number if len(changes) == _CHANGES_A_PAGE else 0,
    )


@router.post("/{merge}/preview-undo")
async def preview_undo(session: GuardedOperating, environment: Environment, merge: Number) -> Response:
    """Find out what undoing would do, and what has to be decided."""
    existing(environment, merge)

    async def act() -> str:
        outcome = await environment.merges.preview_undo(merge, UndoDecisions())
        return f"/console/merges/{merge}/undo/{session.keep(outcome)}"

    return RedirectResponse(f"/console/work/{session.begin('Looking at what has changed since', act)}", 303)


@router.get("/{merge}/undo/{handle}")
async def undo_form(
    request: Request, session: Operating, environment: Environment, merge: Number, handle: str
) -> Response:
    """Show what undoing would do, and ask for decisions."""
    outcome = session.kept.get(handle)
    if not isinstance(outcome, UndoOutcome):
        raise PageRefusedError(404, "This preview is no longer kept; please look again.")
    record = existing(environment, merge)
    return page(request, "undo.html", session, merge=record.merge, outcome=outcome, handle=handle)


@router.post("/{merge}/undo/{handle}")
async def undo(
    request: Request, session: GuardedOperating, environment: Environment, merge: Number, handle: str
) -> Response:
    """Take a merge apart as it was decided, and show how far that has come."""
    outcome = session.kept.get(handle)
    if not isinstance(outcome, UndoOutcome):
        raise PageRefusedError(404, "This preview is no longer kept; please look again.")
    form = await request.form()
    decisions = _decisions(outcome, {name: str(value) for name, value in form.items()})
    reason = str(form.get("reason", "")).strip()[:_LONGEST_REASON]

    async def act() -> str:
        done = await environment.merges.undo(
            merge, user=session.caller.user, via="console", reason=reason, decisions=decisions, patiently=True
        )
        if done.conflicts:
            session.tell("Somebody has changed more meanwhile: please decide again. Nothing was written.")
            return f"/console/merges/{merge}/undo/{session.keep(done)}"
        words = " ".join(
            (f"Merge {merge} was taken apart: {done.restored} resources were put back.", *told_of_rows(done))
        )
        session.tell(f"{words} {len(done.failed)} could not be; undo it again." if done.failed else words)
        return f"/console/merges/{merge}"

    return RedirectResponse(f"/console/work/{session.begin(f'Merge {merge} is being taken apart', act)}", 303)


def _decisions(outcome: UndoOutcome, form: Mapping[str, str]) -> UndoDecisions:
    """Return what was chosen for each conflict; raises PageRefusedError where one is left open."""
    chosen: dict[str, dict[str, Decision]] = {}
    for number, conflict in enumerate(outcome.conflicts):
        try:
            decision = Decision(form.get(f"conflict-{number}", ""))
        except ValueError:
            raise PageRefusedError(422, "Please decide every conflict.") from None
        chosen.setdefault(conflict.resource, {})[conflict.path] = decision
    return UndoDecisions(of=chosen)


def existing(environment: ServedEnvironment, merge: int) -> MergeRecord:
    """Return a merge; raises PageRefusedError where there is none of this number."""
    record = environment.merges.record(merge)
    if record is None:
        raise PageRefusedError(404, "There is no merge of this number here.")
    return record


def _listing(  # noqa: PLR0913, PLR0917 - what a listing shows
    request: Request,
    session: Session,
    environment: ServedEnvironment,
    handle: str,
    wanted: MergeFilter,
    before: int | None,
) -> Response:
    records = environment.merges.records(wanted, before=before, limit=_A_PAGE)
    following = records[-1].merge.id if len(records) == _A_PAGE else 0
    return page(
        request,
        "merges.html",
        session,
        records=records,
        wanted=wanted,
        handle=handle,
        following=following,
        before=before,
    )


def _wanted(session: Session, handle: str) -> MergeFilter:
    wanted = session.kept.get(handle)
    if not isinstance(wanted, MergeFilter):
        raise PageRefusedError(404, "This search is no longer kept; please search again.")
    return wanted


def _day(text: str, zone: ZoneInfo, *, end: bool = False) -> datetime | None:
    """Return the moment at which a day begins or ends in the environment's zone."""
    if not text:
        return None
    try:
        day = datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(), zone)  # noqa: DTZ007 - gets its zone
    except ValueError:
        raise PageRefusedError(422, "A day is written as 2024-12-31.") from None
    moment = day + timedelta(days=1) - timedelta(microseconds=1) if end else day
    return moment.astimezone(UTC)
