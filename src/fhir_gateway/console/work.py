"""Waiting for what takes longer than a page: the page asks again by itself, without a script."""

import logging
import time

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from fhir_gateway.console.guarding import LoggedIn, PageRefusedError
from fhir_gateway.console.rendering import page
from fhir_gateway.console.sessions import Work
from fhir_gateway.domain.errors import GatewayError

router = APIRouter(prefix="/work")

_LOG = logging.getLogger(__name__)


@router.get("/{handle}")
async def wait(request: Request, session: LoggedIn, handle: str) -> Response:
    """Show what is being done, or go to what has come of it."""
    work = session.kept.get(handle)
    if not isinstance(work, Work):
        raise PageRefusedError(404, "This is no longer kept; what was begun goes on, see the merges.")
    if not work.task.done():
        return page(request, "work.html", session, words=work.words, seconds=round(time.monotonic() - work.began))
    if work.task.cancelled():
        raise PageRefusedError(503, "The gateway was stopped meanwhile; what is done is kept.")
    error = work.task.exception()
    if error is None:
        return RedirectResponse(work.task.result(), 303)
    if isinstance(error, GatewayError):
        raise PageRefusedError(409, f"{work.words}: {error}")
    _LOG.error("console work failed with %s", type(error).__name__)
    raise PageRefusedError(500, "The gateway stumbled over this; its log says where.")
