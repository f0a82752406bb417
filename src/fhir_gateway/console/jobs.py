"""Jobs for operators: plans and long lists of NIKs, merged beside the gateway's other work, also after a restart."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from fhir_gateway.console.guarding import Environment, GuardedOperating, Operating, PageRefusedError
from fhir_gateway.console.niks import many_niks
from fhir_gateway.console.rendering import page
from fhir_gateway.domain.merge_jobs import JobState

router = APIRouter(prefix="/jobs")

_MOST_NIKS = 10_000
_LONGEST_LIST = 200_000
_NEWEST = 20
_A_PAGE = 100


@router.get("")
async def newest(request: Request, session: Operating, environment: Environment) -> Response:
    """Show the newest jobs, and the form that hands one in."""
    jobs = environment.merge_jobs.newest(limit=_NEWEST)
    return page(request, "jobs.html", session, jobs=jobs, most=_MOST_NIKS)


@router.post("")
async def hand_in(
    session: GuardedOperating,
    environment: Environment,
    niks: Annotated[str, Form(max_length=_LONGEST_LIST)] = "",
    dry_run: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Hand a list of NIKs in and show how far it has come."""
    wanted = many_niks(niks)
    if not 0 < len(wanted) <= _MOST_NIKS:
        raise PageRefusedError(422, f"A job has 1 to {_MOST_NIKS} NIKs.")
    job = environment.merge_jobs.hand_in(wanted, user=session.caller.user, dry_run=bool(dry_run))
    return RedirectResponse(f"/console/jobs/{job.id}", 303)


@router.get("/{job}")
async def show(
    request: Request,
    session: Operating,
    environment: Environment,
    job: Annotated[int, Path(ge=1, le=2**31)],
    after: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Show how far a job has come, and what became of each NIK or group."""
    found = environment.merge_jobs.get(job)
    if found is None:
        raise PageRefusedError(404, "There is no job of this number here.")
    groups = environment.merge_jobs.groups(job, after=after, limit=_A_PAGE)
    return page(
        request,
        "job.html",
        session,
        job=found,
        groups=groups,
        after=after,
        going_on=found.state is not JobState.FINISHED,
        following=groups[-1].number if len(groups) == _A_PAGE else 0,
    )
