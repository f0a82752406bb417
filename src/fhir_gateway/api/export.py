"""`$export`: bulk exports kicked off, watched, fetched and deleted.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from fhir_gateway.api.answers import FHIR_JSON, JSON, RequestRefusedError, json_response, problem_response
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT
from fhir_gateway.api.negotiation import NDJSON_TYPES, is_head, is_lenient, takes_gzip
from fhir_gateway.api.registry import INSUFFICIENT_SCOPE, LetIn, Visit, visitor
from fhir_gateway.api.registry_models import ExportManifest
from fhir_gateway.api.security import client_address
from fhir_gateway.bootstrap.gateway import SystemClock
from fhir_gateway.domain import registry as pulled
from fhir_gateway.domain.exports import ExportFile, ExportJob, ExportState, FileKind
from fhir_gateway.domain.registry import PullKind
from fhir_gateway.fhir import json_text
from fhir_gateway.registry.exports import (
    ASSOCIATED,
    EXPORTED_TYPES,
    Asking,
    ExportOrder,
    Level,
    NotPermittedError,
    from_json,
    pairs_in,
    parse_export,
    to_query,
)
from fhir_gateway.registry.parameters import SearchProblemError
from fhir_gateway.registry.scopes import allows
from fhir_gateway.serving.exporting.giving import Given
from fhir_gateway.serving.exporting.jobs import TooManyExportsError

router = APIRouter(prefix="/{environment}/fhir", tags=["bulk export"], responses=OF_AN_ENVIRONMENT)

STATUS_PATH = "bulk-status"
FILES_PATH = "bulk-files"
_NDJSON = "application/fhir+ndjson"

_MOST_PARAMETERS = 2000
_LONGEST_PAUSE = 30
_GONE = "there is no such export: it was deleted, has expired, or is another client's"


class _Ndjson(Response):
    """What OpenAPI is told of a file."""

    media_type = _NDJSON


LetInForFiles = Annotated[Visit, Depends(visitor(NDJSON_TYPES))]


@router.get("/$export", status_code=202, response_class=Response, summary="Export everything")
@router.post("/$export", status_code=202, response_class=Response, summary="Export everything, parameters in the body")
async def export_system(let_in: LetIn) -> Response:
    """Kick off an export of everything that the token permits."""
    return await _kick_off(let_in, Level.SYSTEM)


@router.get("/Patient/$export", status_code=202, response_class=Response, summary="Export everybody")
@router.post(
    "/Patient/$export",
    status_code=202,
    response_class=Response,
    summary="Export everybody, or some people, parameters in the body",
)
async def export_patients(let_in: LetIn) -> Response:
    """Kick off an export of all Patients, or (POST with `patient`) of some, and their doses."""
    return await _kick_off(let_in, Level.PATIENT)


@router.get("/Group/{group_id}/$export", status_code=202, response_class=Response, summary="Export a group's members")
@router.post(
    "/Group/{group_id}/$export",
    status_code=202,
    response_class=Response,
    summary="Export a group's members, parameters in the body",
)
async def export_group(group_id: str, let_in: LetIn) -> Response:
    """Kick off an export of the members of a district or a clinic and their doses."""
    return await _kick_off(let_in, Level.GROUP, group=group_id)


@router.get(
    f"/{STATUS_PATH}/{{job_id}}",
    response_model=ExportManifest,
    responses={202: {"description": "The export is not finished; `X-Progress` says how far it is."}},
    summary="How far is an export?",
)
async def status(job_id: str, let_in: LetIn) -> Response:
    """Return 202 with the progress while an export runs, then 200 with the manifest of its files."""
    exports = let_in.environment.exports
    job = exports.get(job_id, client=let_in.puller.client)
    if job is None:
        return problem_response(404, _GONE, media_type=JSON)
    if retry := exports.poll(job):
        words = "polled too fast: wait as long as Retry-After says"
        raise RequestRefusedError(429, words, headers={"Retry-After": str(retry)})
    if job.state is ExportState.RUNNING:
        headers = {"X-Progress": _progress(job), "Retry-After": str(_pause(job)), "Cache-Control": "no-store"}
        return Response(None, 202, headers)
    expires = format_datetime(exports.expires(job), usegmt=True)
    return json_response(_manifest(job, let_in.base), headers={"Expires": expires, "Cache-Control": "no-store"})


@router.delete(
    f"/{STATUS_PATH}/{{job_id}}",
    status_code=202,
    response_class=Response,
    summary="Cancel an export, or delete its files",
)
async def cancel(job_id: str, let_in: LetIn) -> Response:
    """Cancel an export that runs; remove the files of one that is done."""
    exports = let_in.environment.exports
    job = exports.get(job_id, client=let_in.puller.client)
    if job is None:
        return problem_response(404, _GONE, media_type=JSON)
    await exports.cancel(job)
    return Response(None, 202)


@router.get(f"/{FILES_PATH}/{{job_id}}/{{name}}", response_class=_Ndjson, summary="A file of an export")
async def fetch(job_id: str, name: str, let_in: LetInForFiles) -> Response:
    """Stream one NDJSON file to the client that asked for the export, packed where it takes that."""
    exports = let_in.environment.exports
    job = exports.get(job_id, client=let_in.puller.client)
    finished = job is not None and job.state is ExportState.FINISHED
    file = next((one for one in job.checkpoint.files if one.name == name), None) if job and finished else None
    if job is None or file is None:
        return problem_response(404, _GONE, media_type=JSON)
    for needed in _types_of(file, from_json(job.order)):
        let_in.check_scope(needed, "rs")
    packs = takes_gzip(let_in.request)
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding, Authorization"}
    headers |= {"Content-Encoding": "gzip"} if packs else {"Content-Length": str(file.size)}
    if is_head(let_in.request):  # nothing is given, so nothing is noted as given
        return Response(None, 200, headers, _NDJSON)
    try:
        given = await exports.given(job, file)
    except FileNotFoundError:
        return problem_response(404, _GONE, media_type=JSON)
    return StreamingResponse(_streamed(given, packed=packs), headers=headers, media_type=_NDJSON)


async def _kick_off(let_in: Visit, level: Level, *, group: str = "") -> Response:
    exports = let_in.environment.exports
    if is_head(let_in.request):  # an export is begun by a request that says so
        raise RequestRefusedError(405, "an export is kicked off by GET or POST", headers={"Allow": "GET, POST"})
    _check_headers(let_in.request)
    if group and not await exports.groups.has(group):
        raise RequestRefusedError(404, "there is no such Group; GET Group lists those that there are")
    raw, pairs = await _parameters(let_in.request)
    asking = Asking(
        level=level,
        served={one: names for one, names in (await let_in.registry.served()).items() if one in EXPORTED_TYPES},
        permitted=[one for one in (*EXPORTED_TYPES, ASSOCIATED) if _permits(let_in, one)],
        now=SystemClock().now(),
        group=group,
        lenient=is_lenient(let_in.request),
        by_post=let_in.request.method == "POST",
    )
    try:
        order = parse_export(pairs, asking)
        request = pulled.Request(
            client=let_in.puller.client,
            token=let_in.puller.token,
            kind=PullKind.EXPORT,
            resource_type=",".join(order.types),
            query=raw,
            address=client_address(let_in.request),
            at=asking.now,
        )
        job = await exports.kick_off(order, request, url=_called(let_in, order))
    except SearchProblemError as error:
        raise RequestRefusedError(400, str(error), code=error.code) from None
    except NotPermittedError as error:
        raise RequestRefusedError(403, str(error), headers=INSUFFICIENT_SCOPE) from None
    except TooManyExportsError as error:
        raise RequestRefusedError(429, str(error), headers={"Retry-After": str(error.retry_after)}) from None
    return Response(None, 202, {"Content-Location": f"{let_in.base}/{STATUS_PATH}/{job.id}"})


def _check_headers(request: Request) -> None:
    """Raise 4xx for headers that an export needs and does not have."""
    accepted = [part.partition(";")[0].strip() for part in ",".join(request.headers.getlist("accept")).split(",")]
    if FHIR_JSON not in accepted:
        raise RequestRefusedError(406, f"an export needs the header Accept: {FHIR_JSON}")
    wishes = "".join(",".join(request.headers.getlist("prefer")).lower().split()).replace(";", ",").split(",")
    if "respond-async" not in wishes:
        raise RequestRefusedError(400, "an export needs the header Prefer: respond-async")


async def _parameters(request: Request) -> tuple[bytes, list[tuple[str, str]]]:
    """Return what was asked as it came, and as pairs: the address's, then those of the body."""
    raw = request.url.query.encode()
    body = b"" if request.method == "GET" else await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind not in (FHIR_JSON, JSON):
        raise RequestRefusedError(415, f"the body of an export must be {FHIR_JSON}: a Parameters resource")
    try:
        pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        content = json_text.parse(body) if body else None
        return body or raw, pairs + (pairs_in(content) if body else [])
    except SearchProblemError as error:
        raise RequestRefusedError(400, str(error), code=error.code) from None
    except ValueError:
        raise RequestRefusedError(400, "the parameters cannot be read") from None


def _called(let_in: Visit, order: ExportOrder) -> str:
    """Return the kick-off's address as the client has called it, but for what was ignored: that could be anything."""
    level = {Level.SYSTEM: "", Level.PATIENT: "/Patient", Level.GROUP: f"/Group/{order.group}"}[order.level]
    query = let_in.request.url.query
    if order.ignored and query:
        query = urlencode(to_query(order), quote_via=quote)
    return f"{let_in.base}{level}/$export" + (f"?{query}" if query else "")


def _progress(job: ExportJob) -> str:
    return (job.checkpoint.said or "begun")[:99]


def _pause(job: ExportJob) -> int:
    """Return how many seconds a client should wait: the longer an export runs, the longer."""
    elapsed = (SystemClock().now() - job.created).total_seconds()
    return int(min(max(elapsed / 10, 1), _LONGEST_PAUSE))


def _manifest(job: ExportJob, base: str) -> dict[str, Any]:
    checkpoint = job.checkpoint
    listed: dict[FileKind, list[dict[str, Any]]] = {kind: [] for kind in FileKind}
    for file in checkpoint.files:
        url = f"{base}/{FILES_PATH}/{job.id}/{file.name}"
        listed[file.kind].append({"type": file.resource_type, "url": url, "count": file.count})
    deleted = {"deleted": listed[FileKind.DELETED]} if from_json(job.order).since else {}
    return {
        "transactionTime": _instant(checkpoint.transaction_time or job.created),
        "request": job.request,
        "requiresAccessToken": True,
        "output": listed[FileKind.OUTPUT],
        **deleted,
        "error": listed[FileKind.ERROR],
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _types_of(file: ExportFile, order: ExportOrder) -> tuple[str, ...]:
    """Return the types that a token must permit for a file: its own, and where it tells of several, all of the order."""
    return (file.resource_type,) if file.kind is FileKind.OUTPUT else order.types


def _permits(let_in: Visit, resource_type: str) -> bool:
    return all(allows(let_in.puller.scopes, resource_type, one) for one in "rs")


async def _streamed(given: Given, *, packed: bool) -> AsyncIterator[bytes]:
    """Yield a file's bytes, read and noted in a thread; memory stays flat however long it is."""
    pieces = given.pieces()
    packer = zlib.compressobj(5, wbits=31) if packed else None
    try:
        while (piece := await asyncio.to_thread(_next, pieces, packer)) is not None:
            if piece:
                yield piece
        if packer is not None:
            yield packer.flush()
    finally:
        await asyncio.to_thread(given.close)


def _next(pieces: Iterator[bytes], packer: "zlib._Compress | None") -> bytes | None:
    piece = next(pieces, None)
    return packer.compress(piece) if packer is not None and piece is not None else piece
