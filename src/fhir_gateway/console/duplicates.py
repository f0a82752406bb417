"""Duplicates for operators: looked for, shown with their evidence, and led on to a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from fhir_gateway.bootstrap.finding import why
from fhir_gateway.bootstrap.told_merges import waterfalls
from fhir_gateway.console.guarding import Environment, GuardedOperating, Operating, PageRefusedError
from fhir_gateway.console.niks import many_niks
from fhir_gateway.console.planning import keep_plan
from fhir_gateway.console.rendering import page
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.identity import ComparedPair
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/duplicates")

_HERE = "/console/duplicates"
_A_PAGE = 25
_LONGEST_LIST = 200_000
KINDS = {
    FoundKind.SHARED_NIK: "share a NIK",
    FoundKind.LIKELY: "alike without a NIK in common",
    FoundKind.PROPOSAL: "proposed by a load",
    FoundKind.CONFLICT: "contradict each other",
}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A group on the page: its place in the list, why, the evidence, and whether it was parted since it was found."""

    number: int
    found: Found
    reason: str
    evidence: Sequence[tuple[ComparedPair, Sequence[str]]]
    parted: bool


@router.get("")
async def shown(
    request: Request,
    session: Operating,
    environment: Environment,
    kind: FoundKind | None = None,
    after: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Show what was found last, and whether something is being looked for."""
    work = environment.finding.work
    every = list(enumerate(work.result.value.found)) if work.result else []
    listed = [(number, each) for number, each in every if kind in {None, each.kind}]
    policy = environment.settings.matching
    return page(
        request,
        "duplicates.html",
        session,
        work=work,
        progress=environment.finding.progress.words,
        kinds=[(each, words, sum(found.kind is each for _, found in every)) for each, words in KINDS.items()],
        kind=kind,
        total=len(listed),
        groups=[
            _Shown(
                number,
                each,
                why(each),
                list(waterfalls(each.group, policy)),
                parted=environment.merges.parted(each.group.patient_ids),
            )
            for number, each in listed[after : after + _A_PAGE]
        ],
        after=after,
        following=after + _A_PAGE if after + _A_PAGE < len(listed) else 0,
    )


@router.post("")
async def look(
    session: GuardedOperating, environment: Environment, niks: Annotated[str, Form(max_length=_LONGEST_LIST)] = ""
) -> Response:
    """Begin to look for duplicates, of all people or of those with these NIKs."""
    if not environment.finding.look(many_niks(niks) or None):
        session.tell("Duplicates are being looked for already.")
    return RedirectResponse(_HERE, 303)


@router.post("/plan")
async def plan(
    session: GuardedOperating,
    environment: Environment,
    patients: Annotated[str, Form(max_length=20_000)],
) -> Response:
    """Plan how a group that was found becomes one Patient."""
    group = _found(environment, tuple(patients.split())).group

    async def act() -> str:
        planned = await environment.merges.plan_groups([group])
        return f"/console/plans/{await keep_plan(session, environment, planned)}"

    return RedirectResponse(f"/console/work/{session.begin('The plan is being made', act)}", 303)


@router.post("/part")
async def part(
    session: GuardedOperating,
    environment: Environment,
    patients: Annotated[str, Form(max_length=20_000)],
    reason: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Write down that the Patients of a group that was found are different people."""
    group = _found(environment, tuple(patients.split())).group
    try:
        ids = environment.merges.part(group.patient_ids, user=session.caller.user, via="console", reason=reason)
    except UsageError as error:
        raise PageRefusedError(422, f"{str(error).capitalize()}.") from error
    session.tell(f"{len(ids)} Patients are held for different people from now on; nobody proposes them again.")
    return RedirectResponse(_HERE, 303)


def _found(environment: ServedEnvironment, patient_ids: tuple[str, ...]) -> Found:
    last = environment.finding.work.result
    for each in last.value.found if last else ():
        if each.group.patient_ids == patient_ids:
            return each
    raise PageRefusedError(409, "This group is no longer among what was found; please choose again.")
