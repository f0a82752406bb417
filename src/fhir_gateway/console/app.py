"""The console: pages for auditors and operators, rendered here, without scripts."""

import logging
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from jinja2 import PackageLoader
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from fhir_gateway.console import duplicates, jobs, login, merges, planning, verifying, work
from fhir_gateway.console.guarding import LOGIN, START, NotLoggedInError, PageRefusedError, session_cookie
from fhir_gateway.console.rendering import page, pages
from fhir_gateway.console.sessions import Sessions
from fhir_gateway.domain.errors import ConfigurationError, GatewayError
from fhir_gateway.serving.environments import Serving

_LOG = logging.getLogger(__name__)

ROUTERS: Sequence[APIRouter] = (
    login.router,
    verifying.router,
    merges.router,
    duplicates.router,
    planning.router,
    jobs.router,
    work.router,
)


def create_console(serving: Serving) -> FastAPI:
    """Return the console's application, to be put under /console."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.serving = serving
    app.state.sessions = Sessions()
    for router in ROUTERS:
        app.router.routes += router.routes  # as they are: include_router would build each anew
    app.add_api_route("/", _start)
    app.add_api_route("/style.css", partial(_file, "console.css", "text/css"))
    app.add_api_route("/icon.svg", partial(_file, "icon.svg", "image/svg+xml"))
    app.add_exception_handler(NotLoggedInError, _not_logged_in)
    app.add_exception_handler(PageRefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(GatewayError, _gateway)
    app.add_exception_handler(Exception, _fault)
    return app


async def _start() -> Response:
    return RedirectResponse(START, 303)


async def _file(name: str, media_type: str) -> Response:
    source, *_ = PackageLoader("fhir_gateway.console").get_source(pages, name)
    return Response(source, media_type=media_type, headers={"Cache-Control": "private, max-age=600"})


async def _not_logged_in(request: Request, _: Exception) -> Response:
    answer = RedirectResponse(LOGIN, 303)
    session_cookie(request).clear(answer)
    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PageRefusedError)  # noqa: S101 - as registered above
    return _problem(request, error.status, str(error))


async def _invalid(request: Request, _: Exception) -> Response:
    return _problem(request, 422, "That form was not filled in as it can be; please go back and look at it again.")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered above
    if error.status_code == HTTPStatus.NOT_FOUND:
        return _problem(request, 404, "There is no such page.")
    return _problem(request, error.status_code, "That cannot be done here.")


async def _gateway(request: Request, error: Exception) -> Response:
    _LOG.warning("%s", error)
    if isinstance(error, ConfigurationError):
        return _problem(request, 503, "The environment's file has faults; the server's log tells which.")
    return _problem(request, 503, str(error))


async def _fault(request: Request, _: Exception) -> Response:
    return _problem(request, 500, "The gateway stumbled over this; its log says where.")


def _problem(request: Request, status: int, words: str) -> Response:
    return page(request, "problem.html", getattr(request.state, "session", None), status=status, words=words)
