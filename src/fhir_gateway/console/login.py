"""Logging in by an access key, and out."""

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from fhir_gateway.console.guarding import LOGIN, START, Guarded, check_origin, serving, session_cookie, sessions
from fhir_gateway.console.rendering import page
from fhir_gateway.serving.access import RefusedKeyError, TooManyAttemptsError
from fhir_gateway.serving.environments import NoSuchEnvironmentError

router = APIRouter()

_LOGIN_COOKIE = "fhir_gateway_login"
_LOGIN_LASTS = 900


@router.get("/login")
async def form(request: Request) -> Response:
    """Show the form."""
    return _form(request)


@router.post("/login")
async def log_in(
    request: Request,
    csrf: Annotated[str, Form(max_length=100)],
    environment: Annotated[str, Form(max_length=63)] = "",
    key: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Begin a login where the key is one of the environment's."""
    check_origin(request)
    if not hmac.compare_digest(csrf.encode(), request.cookies.get(_LOGIN_COOKIE, "").encode()) or not csrf:
        return _form(request, 403, "That form was too old; please try again.", environment)
    address = request.client.host if request.client else ""
    try:
        served = await serving(request).environment(environment.strip())
        caller = served.doorkeeper.authenticate(key.strip(), address=address)
    except (NoSuchEnvironmentError, RefusedKeyError):
        return _form(request, 401, "No such environment, or no valid key of it.", environment)
    except TooManyAttemptsError as error:
        words = f"Too many wrong keys. Please try again in {error.retry_after} seconds."
        return _form(request, 429, words, environment)
    session = sessions(request).open(caller, seconds=served.settings.serving.session_minutes * 60)
    answer = RedirectResponse(START, 303)
    session_cookie(request).set(answer, session.id)
    answer.delete_cookie(_LOGIN_COOKIE, path=LOGIN)
    return answer


@router.post("/logout")
async def log_out(request: Request, session: Guarded) -> Response:
    """End the login."""
    sessions(request).close(session.id)
    answer = RedirectResponse(LOGIN, 303)
    session_cookie(request).clear(answer)
    return answer


def _form(request: Request, status: int = 200, problem: str = "", environment: str = "") -> Response:
    token = secrets.token_urlsafe(32)
    names = serving(request).names
    shown = environment if environment in names else ""
    answer = page(request, "login.html", status=status, problem=problem, token=token, environment=shown)
    answer.set_cookie(
        _LOGIN_COOKIE,
        token,
        max_age=_LOGIN_LASTS,
        path=LOGIN,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer
