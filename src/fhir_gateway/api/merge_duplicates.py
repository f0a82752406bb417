"""`/{environment}/merges/duplicates`: who may be one person, looked for beside the gateway's other work."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answer_models import Duplicates, Looking, Parted, Partings
from fhir_gateway.api.answers import RequestRefusedError, json_response
from fhir_gateway.api.documented import CONFLICT, OF_AN_ENVIRONMENT
from fhir_gateway.api.security import Environment, Operator, Reader
from fhir_gateway.bootstrap.finding import told_found
from fhir_gateway.bootstrap.told_merges import told_parting
from fhir_gateway.domain.finding import FoundKind
from fhir_gateway.domain.history import MergeFilter
from fhir_gateway.flows.merge.parting import MOST_PARTED
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/{environment}/merges", tags=["merges"], responses=OF_AN_ENVIRONMENT)

_ASKED = frozenset({"patient", "user", "since", "until", "before", "limit"})
_POLL = {"Retry-After": "5"}


class DuplicatesWish(BaseModel):
    """Where duplicates are looked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    niks: list[Annotated[str, Field(pattern=r"^[0-9]{16}$")]] | None = Field(
        default=None,
        min_length=1,
        max_length=10_000,
        description="NIKs of 16 digits: only who shares one of these. Left out: everybody on the server.",
    )


class PartingWish(BaseModel):
    """Who is held for different people, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    patients: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]] = Field(
        min_length=2, max_length=MOST_PARTED, description="Patients by their bare ids."
    )
    reason: str = Field(min_length=1, max_length=1000, description="It stands in the history.")


@router.post("/duplicates", status_code=202, response_model=Looking, responses=CONFLICT, summary="Look for duplicates")
async def look(request: Request, environment: Environment, _: Operator, wish: DuplicatesWish) -> Response:
    """Begin to look: 202, and `GET` tells what was found. Nothing is written; a large server takes minutes.

    409 while duplicates are being looked for already.
    """
    if not environment.finding.look(wish.niks):
        raise RequestRefusedError(409, "duplicates are being looked for already, ask for what is found", headers=_POLL)
    where = public_url(request, environment, "merges/duplicates")
    return json_response(_state(environment), 202, headers={"Content-Location": where, **_POLL})


@router.get("/duplicates", response_model=Duplicates, summary="The duplicates that were found")
async def found(
    request: Request,
    environment: Environment,
    _: Reader,
    kind: Annotated[FoundKind | None, Query(description="Only groups of this kind.")] = None,
    after: Annotated[int, Query(ge=0, le=2**31, description="Tell of the groups after this place.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="So many groups at most.")] = 100,
) -> Response:
    """Tell what was found last and when, and whether something is being looked for.

    Groups stand with their people and the evidence bit by bit, conflicts last; `next` is the address of the following
    ones. `read` is null before duplicates were looked for; what was found last outlives a restart.
    """
    last = environment.finding.work.result
    body = _state(environment) | {"read": None, "groups": []}
    if last:
        listed = [each for each in last.value.found if kind in {None, each.kind}]
        page = listed[after : after + limit]
        body |= {
            "began": last.began,
            "finished": last.finished,
            "read": last.value.read,
            "single": list(last.value.single),
            "notes": list(last.value.notes),
            "total": len(listed),
            "groups": [told_found(each, environment.settings.matching) for each in page],
        }
        if after + limit < len(listed):
            wanted = f"&kind={kind}" if kind else ""
            path = f"merges/duplicates?after={after + limit}&limit={limit}{wanted}"
            body["next"] = public_url(request, environment, path)
    return json_response(body)


@router.post("/parted", response_model=Parted, summary="Say that Patients are different people")
async def part(environment: Environment, caller: Operator, wish: PartingWish) -> Response:
    """Write down that these Patients are different people, each of them: no two of them are proposed any more.

    Nothing is written on the FHIR server. The decision stands in the history with its user and reason; a merge of them
    that is made afterwards all the same overrules it.
    """
    ids = environment.merges.part(wish.patients, user=caller.user, via="api", reason=wish.reason)
    return json_response({"patients": ids, "pairs": len(ids) * (len(ids) - 1) // 2})


@router.get("/parted", response_model=Partings, summary="Who was said to be different people")
async def partings(  # noqa: PLR0913, PLR0917 - what FastAPI hands over
    request: Request,
    environment: Environment,
    _: Reader,
    patient: Annotated[str, Query(pattern=r"^[A-Za-z0-9\-.]{0,64}$", description="A Patient's bare id.")] = "",
    user: Annotated[str, Query(max_length=200, description="Who said so.")] = "",
    since: Annotated[AwareDatetime | None, Query(description="Said then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Said then or earlier.")] = None,
    before: Annotated[
        int | None, Query(ge=1, le=2**31, description="Only decisions of entries below this one.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="So many decisions at most.")] = 100,
) -> Response:
    """Return these decisions, the newest first, with who decided, when and why; `next` is the following page's address.

    `overruled` names merges of two of the Patients that were made afterwards and stand. Pairs that were merged and undone
    are told by their merges.
    """
    if not _ASKED.issuperset(request.query_params):
        raise RequestRefusedError(400, f"only {', '.join(sorted(_ASKED))} can be asked for here")
    wanted = MergeFilter(patient=patient, user=user, since=since, until=until)
    found = environment.merges.partings(wanted, before=before, limit=limit)
    body: dict[str, Any] = {"parted": [told_parting(one) for one in found]}
    if len(found) == limit:
        following = request.url.include_query_params(before=found[-1].entry).query
        body["next"] = public_url(request, environment, f"merges/parted?{following}")
    return json_response(body)


def _state(environment: ServedEnvironment) -> dict[str, Any]:
    work = environment.finding.work
    return {
        "running_since": work.began,
        "progress": environment.finding.progress.words if work.began else "",
        "problem": work.problem,
    }
