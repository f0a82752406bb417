"""Every error becomes an OperationOutcome; none of them quotes what was asked."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhir_gateway.api.answers import RequestRefusedError, problem_response
from fhir_gateway.domain.errors import (
    ConfigurationError,
    GatewayError,
    LedgerError,
    PermanentServerError,
    TransientServerError,
    UsageError,
)
from fhir_gateway.serving.environments import NoSuchEnvironmentError

_LOG = logging.getLogger(__name__)
_FIELD = re.compile(r"[A-Za-z_$][A-Za-z_$\-]{0,40}|\d{1,5}", re.ASCII)
_MOST_ISSUES = 20
_WORDS = {
    404: "there is nothing at this address",
    405: "this address does not know this method; the Allow header names those that it knows",
    415: "the Content-Type must be application/json or application/fhir+json",
}
_STATUSES: tuple[tuple[type[GatewayError], int], ...] = (
    (NoSuchEnvironmentError, 404),
    (TransientServerError, 503),
    (PermanentServerError, 502),
    (LedgerError, 503),
    (UsageError, 400),
)
_RETRY_AFTER = "5"


def answer_problems(app: FastAPI) -> None:
    """Let every error of the application be answered with an OperationOutcome."""
    app.add_exception_handler(RequestRefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ConfigurationError, _misconfigured)
    app.add_exception_handler(GatewayError, _gateway)
    app.add_exception_handler(Exception, _fault)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)  # noqa: S101 - as registered above
    return problem_response(error.status, str(error), code=error.code, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Tell what is wrong and where; pydantic's own words may name what is expected, never what was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered above
    if any(each["loc"] == ("body",) for each in error.errors()) and not _is_json(request):
        return problem_response(415, _WORDS[415])
    return problem_response(422, *dict.fromkeys(_issue(each) for each in error.errors()[:_MOST_ISSUES]))


def _is_json(request: Request) -> bool:
    """Whether the body does not say that it is anything else: then FastAPI takes it for a text, which no model fits."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return not media_type or media_type == "application/json" or media_type.endswith("+json")


def _issue(error: Mapping[str, Any]) -> str:
    where = _place(error["loc"])
    if error["type"] == "json_invalid":
        return "the body is no JSON"
    if error["type"] == "extra_forbidden":
        return f"{where}: not known here" if where else "a key is not known here"
    own = error.get("ctx", {}).get("error") if error["type"] == "value_error" else None  # our own validators' words
    words = str(own or error["msg"])
    return f"{where}: {words}" if where else words


def _place(location: Sequence[Any]) -> str:
    """Name the place without `body`; a key that the caller made up could be anything, so such a one is left out."""
    parts = [str(part) for part in location[1:]]
    return ".".join(parts) if all(_FIELD.fullmatch(part) for part in parts) else ""


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered above
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request))
    words = _WORDS.get(error.status_code) or _phrase(error.status_code)
    return problem_response(error.status_code, words, headers=headers)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that an address knows, over all routes that it fits: each knows its own only."""
    found: set[str] = set()
    for route in request.app.state.routes:
        if route.path_regex.match(request.url.path):
            found |= route.methods
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the request was not carried out"


async def _misconfigured(_: Request, error: Exception) -> Response:
    _LOG.error("%s", error)
    words = "the environment's file has faults, the server's log tells which"
    return problem_response(503, words, headers={"Retry-After": _RETRY_AFTER})


async def _gateway(_: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        pause = error.retry_after if isinstance(error, TransientServerError) else None
        headers["Retry-After"] = f"{pause:.0f}" if pause else _RETRY_AFTER
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.warning("%s", error)
    code = "processing" if isinstance(error, PermanentServerError) else ""  # else 502 would look as if it passed
    return problem_response(status, str(error), code=code, headers=headers)


async def _fault(_: Request, __: Exception) -> Response:
    """Answer for a fault of the program; the edge of the server logs its place, without its words."""
    return problem_response(500, "the gateway stumbled over this request; its log says where")
