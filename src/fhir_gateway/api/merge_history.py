"""`/{environment}/merges`: what was merged, by whom and why, and how it is undone."""

import base64
import binascii
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answer_models import FoundMerges, MergePage, ShownMerge, Undoing
from fhir_gateway.api.answers import RequestRefusedError, json_response
from fhir_gateway.api.documented import CONFLICT, OF_AN_ENVIRONMENT, Responses
from fhir_gateway.api.security import Environment, Operator, Reader
from fhir_gateway.bootstrap.told_merges import told_change, told_plan, told_record, told_undo
from fhir_gateway.domain.history import MergeFilter, MergeRecord
from fhir_gateway.flows.merge import UndoDecisions
from fhir_gateway.merging.undoing import Decision
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/{environment}/merges", tags=["merges"], responses=OF_AN_ENVIRONMENT)

_MOST = 500
_CURSOR = re.compile(rb"m(\d{1,10})")
_CHANGES_A_PAGE = 200
_OPEN: Responses = {409: {**CONFLICT[409], "model": Undoing}}
"""An undoing's 409 tells its conflicts, or is a problem as everywhere."""
_ASKED = frozenset({"patient", "run", "user", "since", "until", "limit", "cursor"})
Limit = Annotated[int, Query(ge=1, le=_MOST, description="So many merges at most.")]
Cursor = Annotated[str, Query(max_length=40, description="Where to go on: `next` of the answer before.")]
Number = Annotated[int, Path(ge=1, le=2**31, description="The merge's number.")]


class MergeSearch(BaseModel):
    """Which merges are asked for; what is left out is not asked."""

    model_config = ConfigDict(extra="forbid")

    nik: str = Field(default="", pattern=r"^([0-9]{16})?$", description="A NIK of 16 digits.")
    patient: str = Field(default="", pattern=r"^[A-Za-z0-9\-.]{0,64}$", description="A Patient's bare id.")
    run: int | None = Field(default=None, ge=1, le=2**31, description="The run that merged.")
    user: str = Field(default="", max_length=200, description="Who merged or undid, as the history names it.")
    since: AwareDatetime | None = Field(default=None, description="Begun or undone at this moment or later.")
    until: AwareDatetime | None = Field(default=None, description="Begun or undone at this moment or earlier.")
    limit: int = Field(default=100, ge=1, le=_MOST, description="So many merges at most.")
    cursor: str = Field(default="", max_length=40, description="Where to go on: `next` of the answer before.")


class UndoWish(BaseModel):
    """Why a merge is undone, and what was decided of elements that somebody has changed again since."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=1000, description="It stands in the history.")
    decisions: dict[str, dict[str, Decision]] = Field(
        default_factory=dict,
        max_length=1000,
        description="`Type/id` → path of a conflict → `keep` (what stands there now) or `restore` (what stood there).",
    )
    otherwise: Decision | None = Field(default=None, description="The decision on every other conflict.")
    preview: bool = Field(default=False, description="Tell what would be done, write nothing.")


@router.get("", response_model=MergePage, summary="The merges of the environment, the newest first")
async def history(  # noqa: PLR0913, PLR0917 - what FastAPI hands over
    request: Request,
    environment: Environment,
    _: Reader,
    patient: Annotated[str, Query(pattern=r"^[A-Za-z0-9\-.]{0,64}$", description="A Patient's bare id.")] = "",
    run: Annotated[int | None, Query(ge=1, le=2**31, description="The run that merged.")] = None,
    user: Annotated[str, Query(max_length=200, description="Who merged or undid.")] = "",
    since: Annotated[AwareDatetime | None, Query(description="Begun or undone then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Begun or undone then or earlier.")] = None,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Response:
    """Return merges page by page; `next` is the address of the following page, absent on the last.

    A NIK is asked for by `POST …/merges/search`, since addresses end up in logs. Any other parameter is refused, so that
    nobody takes all merges for those of one person.
    """
    if not _ASKED.issuperset(request.query_params):
        known = ", ".join(sorted(_ASKED))
        raise RequestRefusedError(400, f"only {known} can be asked for here; a NIK in the body of POST …/merges/search")
    wanted = MergeFilter(patient=patient, run=run, user=user, since=since, until=until)
    records = _page(environment, wanted, limit, cursor)
    body: dict[str, Any] = {"merges": [told_record(each) for each in records]}
    if len(records) == limit:
        asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        following = request.url.replace_query_params(**dict(asked), cursor=_cursor(records)).query
        body["next"] = public_url(request, environment, f"merges?{following}")
    return json_response(body)


@router.post("/search", response_model=FoundMerges, summary="Find merges, by NIK too")
async def search(environment: Environment, _: Reader, wanted: MergeSearch) -> Response:
    """Return merges page by page, the newest first; `next` is the `cursor` of the following page."""
    found = MergeFilter(wanted.nik, wanted.patient, wanted.run, wanted.user, wanted.since, wanted.until)
    records = _page(environment, found, wanted.limit, wanted.cursor)
    body: dict[str, Any] = {"merges": [told_record(each) for each in records]}
    if len(records) == wanted.limit:
        body["next"] = _cursor(records)
    return json_response(body)


@router.get("/{merge}", response_model=ShownMerge, summary="One merge, with its evidence and every change")
async def show(
    environment: Environment,
    _: Reader,
    merge: Number,
    after: Annotated[int, Query(ge=0, le=2**31, description="Tell of the changes after this number.")] = 0,
) -> Response:
    """Return who merged whom, when, by which rule and evidence, what stood there before and after, and who undid it.

    Changes come 200 at a time, each with its resource before and after; `more` is the number to go on `after`.
    """
    record = _existing(environment, merge)
    plan, run = environment.ledger.merges.plan_of(merge), environment.ledger.runs.get(record.merge.run)
    changes = environment.merges.changes(merge, after=after, limit=_CHANGES_A_PAGE)
    body = told_record(record) | {
        "plan": told_plan(plan, run, environment.settings.matching) if plan else None,
        "entries": [
            {
                "number": each.entry.number,
                "event": each.entry.event,
                "at": each.entry.at,
                "user": each.user,
                "via": each.via,
            }
            for each in environment.merges.entries(merge)
        ],
        "changes": [told_change(each) for each in changes],
    }
    if len(changes) == _CHANGES_A_PAGE:
        body["more"] = changes[-1].number
    return json_response(body)


@router.post("/{merge}/undo", response_model=Undoing, responses=_OPEN, summary="Undo a merge")
async def undo(environment: Environment, caller: Operator, merge: Number, wish: UndoWish) -> Response:
    """Restore what the merge changed, and only that, even where resources were edited since.

    Elements that somebody has changed again since are conflicts: without a decision on each of them nothing is written,
    and the answer is 409 with both values of each. `preview` tells them, and what has come to the survivor since.
    """
    _existing(environment, merge)
    decisions = UndoDecisions(of=wish.decisions, otherwise=wish.otherwise)
    if wish.preview:
        outcome = await environment.merges.preview_undo(merge, decisions)
    else:
        outcome = await environment.merges.undo(
            merge, user=caller.user, via="api", reason=wish.reason, decisions=decisions
        )
    body = told_record(_existing(environment, merge)) | told_undo(outcome)
    return json_response(body, 409 if outcome.conflicts and not wish.preview else 200)


def _page(environment: ServedEnvironment, wanted: MergeFilter, limit: int, cursor: str) -> list[MergeRecord]:
    return environment.merges.records(wanted, before=_before(cursor), limit=limit)


def _existing(environment: ServedEnvironment, merge: int) -> MergeRecord:
    record = environment.merges.record(merge)
    if record is None:
        raise RequestRefusedError(404, "there is no merge of this number in this environment")
    return record


def _cursor(records: list[MergeRecord]) -> str:
    return base64.urlsafe_b64encode(f"m{records[-1].merge.id}".encode()).decode().rstrip("=")


def _before(cursor: str) -> int | None:
    """Return the merge before which a page begins; raises 400 for a cursor that is none of ours."""
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        text = b""
    form = _CURSOR.fullmatch(text)
    if form is None:
        raise RequestRefusedError(400, "the cursor is none that this server has given")
    return int(form[1])
