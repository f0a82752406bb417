"""Plans for operators: who would become whom, looked at before anything is written, and then carried out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from fhir_gateway.bootstrap.told_merges import waterfalls
from fhir_gateway.console.comparing import Line, compared_element
from fhir_gateway.console.guarding import Environment, GuardedOperating, Operating, PageRefusedError
from fhir_gateway.console.niks import many_niks
from fhir_gateway.console.rendering import page, told_person
from fhir_gateway.console.sessions import Session
from fhir_gateway.domain.merges import ChangeKind, GroupPlan, MergePlan, PlannedChange
from fhir_gateway.fhir import json_text
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/plans")

_MOST_NIKS = 200
_MOST_PATIENTS = 50
_NAMES_SHOWN = 100
"""Of resources that change alike."""
_PATIENTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan, kept for whoever looks at it; `people` are its Patients in words, by id."""

    plan: MergePlan
    people: Mapping[str, Mapping[str, str]]


@router.get("")
async def form(request: Request, session: Operating) -> Response:
    """Show the form that asks whose Patients are to be merged."""
    return page(request, "plan_form.html", session, most=_MOST_NIKS)


@router.post("")
async def plan(
    session: GuardedOperating,
    environment: Environment,
    niks: Annotated[str, Form(max_length=20_000)] = "",
    patients: Annotated[str, Form(max_length=5000)] = "",
) -> Response:
    """Plan the merges of these NIKs, or of these Patients; nothing is written."""
    wanted = many_niks(niks)
    ids = [each.removeprefix("Patient/") for each in patients.replace(",", " ").split()]
    if bool(wanted) == bool(ids):
        raise PageRefusedError(422, "Please name either NIKs or Patients.")
    if len(wanted) > _MOST_NIKS or len(ids) > _MOST_PATIENTS:
        raise PageRefusedError(422, f"A plan may have {_MOST_NIKS} NIKs or {_MOST_PATIENTS} Patients; use a job.")

    async def act() -> str:
        found = await environment.merges.plan(niks=wanted, patient_ids=ids)
        return f"/console/plans/{await keep_plan(session, environment, found)}"

    return RedirectResponse(f"/console/work/{session.begin('The plan is being made', act)}", 303)


@router.get("/{handle}")
async def show(request: Request, session: Operating, environment: Environment, handle: str) -> Response:
    """Show a plan: who stays and why, what changes, and what a person has to look at."""
    planned = _kept(session, handle)
    found = planned.plan
    policy = environment.settings.matching
    return page(
        request,
        "plan.html",
        session,
        handle=handle,
        plan=found,
        people=planned.people,
        groups=[
            (number, group, list(waterfalls(group.group, policy)), _alike(group.changes))
            for number, group in enumerate(found.groups)
        ],
        most_names=_NAMES_SHOWN,
        unsearched=sorted({place for group in found.groups for place in group.unsearched}),
        ready=sum(map(is_ready, found.groups)),
        is_blocked=is_blocked,
    )


@router.post("/{handle}")
async def apply(
    session: GuardedOperating,
    environment: Environment,
    handle: str,
    group: Annotated[int | None, Form(ge=0, le=2**31)] = None,
    looked: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Hand a plan in as a job: all groups that nothing blocks, or one that somebody has looked at."""
    found = _kept(session, handle).plan
    if group is None:
        chosen = tuple(each for each in found.groups if is_ready(each))
    elif group < len(found.groups) and looked == "yes":
        chosen = (found.groups[group],)
    else:
        raise PageRefusedError(422, "Please look at the conflicts first, and say that you have.")
    if not chosen:
        raise PageRefusedError(409, "No group of this plan can be merged.")
    job = environment.merge_jobs.hand_in_plan(
        replace(found, groups=chosen), user=session.caller.user, accept_conflicts=group is not None
    )
    return RedirectResponse(f"/console/jobs/{job.id}", 303)


async def keep_plan(session: Session, environment: ServedEnvironment, plan: MergePlan) -> str:
    """Keep a plan for a login and return the handle under which it is shown."""
    return session.keep(await _planned(environment, plan))


def is_blocked(group: GroupPlan) -> bool:
    """Tell whether somebody has to look at a group before it is merged."""
    return any(conflict.blocks for conflict in group.conflicts)


def is_ready(group: GroupPlan) -> bool:
    """Tell whether a group can be merged as it is."""
    return bool(group.replaced) and not is_blocked(group)


def _alike(changes: Iterable[PlannedChange]) -> list[tuple[list[str], ChangeKind, list[Line]]]:
    """Return (names, kind, lines): what changes in the same way stands together, however many resources that are."""
    together: dict[bytes, tuple[list[str], PlannedChange]] = {}
    for change in changes:
        same = json_text.dump([change.kind, [[each.path, each.before, each.after] for each in change.elements]])
        together.setdefault(same, ([], change))[0].append(change.resource)
    return [
        (
            names,
            change.kind,
            [line for each in change.elements for line in compared_element(each.path, each.before, each.after)],
        )
        for names, change in together.values()
    ]


async def _planned(environment: ServedEnvironment, plan: MergePlan) -> "_Planned":
    """Return a plan with the first of its Patients, so that whoever looks at it sees whom it is about."""
    ids = [one for group in plan.groups for one in group.group.patient_ids][:_PATIENTS_SHOWN]
    read = {one: await environment.reader.read("Patient", one) for one in ids}
    return _Planned(plan, {one: told_person(patient) for one, patient in read.items() if patient})


def _kept(session: Session, handle: str) -> "_Planned":
    found = session.kept.get(handle)
    if not isinstance(found, _Planned):
        raise PageRefusedError(404, "This plan is no longer kept; please make it again.")
    return found
