"""`POST /{environment}/merges`: one NIK or thousands are merged, as a job that can be watched."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answer_models import ToldJob, WatchedJob
from fhir_gateway.api.answers import RequestRefusedError, json_response
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT
from fhir_gateway.api.security import Environment, Operator, Reader
from fhir_gateway.domain.merge_jobs import JobGroup, JobState, MergeJob

router = APIRouter(prefix="/{environment}/merges", tags=["merges"], responses=OF_AN_ENVIRONMENT)

_POLL = {"Retry-After": "2"}


class MergeRequest(BaseModel):
    """Whose Patients are to be merged."""

    model_config = ConfigDict(extra="forbid", strict=True)

    niks: list[Annotated[str, Field(pattern=r"^[0-9]{16}$")]] = Field(
        min_length=1,
        max_length=10_000,
        description="NIKs of 16 digits; all active Patients that share one are a group.",
    )
    dry_run: bool = Field(default=False, description="Plan only: tell what would be done, write nothing.")


@router.post("", status_code=202, response_model=ToldJob, summary="Merge the duplicates of these NIKs")
async def hand_in(request: Request, environment: Environment, caller: Operator, wanted: MergeRequest) -> Response:
    """Take a job on and answer 202 with its address in `Content-Location`, where its progress can be watched.

    A group with a conflict (names or birth dates that disagree, twins) is not merged, but told. The job goes on after
    a restart of the gateway, and every merge of it can be undone by itself.
    """
    niks = list(dict.fromkeys(wanted.niks))
    job = environment.merge_jobs.hand_in(niks, user=caller.user, dry_run=wanted.dry_run)
    where = public_url(request, environment, f"merges/jobs/{job.id}")
    return json_response(_told(job), 202, headers={"Content-Location": where, **_POLL})


@router.get(
    "/jobs/{job}",
    response_model=WatchedJob,
    responses={202: {"description": "The job is not finished.", "model": WatchedJob}},
    summary="How far is a job?",
)
async def watch(
    request: Request,
    environment: Environment,
    _: Reader,
    job: Annotated[int, Path(ge=1, le=2**31, description="The job's number.")],
    after: Annotated[int, Query(ge=0, le=2**31, description="Tell of the NIKs after this place.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Tell of so many NIKs at most.")] = 100,
) -> Response:
    """Answer 202 while the job is worked off and 200 when it is finished, both with counts and each NIK's result.

    The results stand in the order of the NIKs as they were handed in; `next` is the address of the following ones.
    """
    found = environment.merge_jobs.get(job)
    if found is None:
        raise RequestRefusedError(404, "there is no job of this number in this environment")
    groups = environment.merge_jobs.groups(job, after=after, limit=limit)
    body = _told(found) | {"groups": [_group(each) for each in groups]}
    if len(groups) == limit:
        following = f"merges/jobs/{job}?after={groups[-1].number}&limit={limit}"
        body["next"] = public_url(request, environment, following)
    finished = found.state is JobState.FINISHED
    return json_response(body, 200 if finished else 202, headers={} if finished else _POLL)


def _told(job: MergeJob) -> dict[str, Any]:
    return {
        "job": job.id,
        "state": job.state,
        "user": job.user,
        "dry_run": job.dry_run,
        "created": job.created,
        "finished": job.finished,
        "problem": job.problem,
        "counts": {state.value: number for state, number in job.groups.items()},
    }


def _group(group: JobGroup) -> dict[str, Any]:
    return {"number": group.number, "nik": group.nik, "state": group.state, **group.result}
