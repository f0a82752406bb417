"""Who may see a page: logins by cookie, forms with the login's own token, and roles."""

import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.responses import Response

from fhir_gateway.console.sessions import Session, Sessions
from fhir_gateway.domain.access import Role
from fhir_gateway.serving.environments import ServedEnvironment, Serving

START = "/console/merges"
LOGIN = "/console/login"


class NotLoggedInError(Exception):
    """There is no login, or it has ended: the form is shown."""


class PageRefusedError(Exception):
    """A page that is not shown, or a form that is not carried out; the text says why."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie that a login hangs on; over TLS it has the prefix that ties it to this host."""

    secure: bool

    @property
    def name(self) -> str:
        """The cookie's name."""
        return "__Host-fhir_gateway" if self.secure else "fhir_gateway"

    @property
    def path(self) -> str:
        """Where it is sent to; the prefix demands the root."""
        return "/" if self.secure else "/console"

    def set(self, answer: Response, value: str) -> None:
        """Put the cookie into an answer; it goes with the browser."""
        answer.set_cookie(self.name, value, path=self.path, httponly=True, samesite="strict", secure=self.secure)

    def clear(self, answer: Response) -> None:
        """Take the cookie away."""
        answer.delete_cookie(self.name, path=self.path, httponly=True, samesite="strict", secure=self.secure)


def session_cookie(request: Request) -> SessionCookie:
    """Return the cookie of this connection."""
    return SessionCookie(secure=request.url.scheme == "https")


def serving(request: Request) -> Serving:
    """Return what is served."""
    found: Serving = request.app.state.serving
    return found


def sessions(request: Request) -> Sessions:
    """Return the logins."""
    found: Sessions = request.app.state.sessions
    return found


async def logged_in(request: Request) -> Session:
    """Return the login; raises NotLoggedInError where there is none, or its key was revoked meanwhile."""
    session = sessions(request).get(request.cookies.get(session_cookie(request).name, ""))
    if session is None:
        raise NotLoggedInError
    environment = await serving(request).environment(session.caller.environment)
    caller = environment.doorkeeper.still(session.caller)
    if caller is None:
        sessions(request).close(session.id)
        raise NotLoggedInError
    session.caller = caller
    request.state.session = session
    return session


LoggedIn = Annotated[Session, Depends(logged_in)]
"""Whoever is logged in, for pages."""


def check_origin(request: Request) -> None:
    """Raise PageRefusedError for a form that another site has sent."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and urlsplit(origin).netloc != host) or site not in {"same-origin", "none"}:
        raise PageRefusedError(403, "This form came from another site; nothing was done.")


async def guarded(request: Request, session: LoggedIn) -> Session:
    """Return the login whose own form this is; raises PageRefusedError for a form of anybody else."""
    check_origin(request)
    token = (await request.form()).get("csrf", "")
    if not isinstance(token, str) or not hmac.compare_digest(token.encode(), session.csrf.encode()):
        raise PageRefusedError(403, "This form does not belong to your login; nothing was done.")
    return session


Guarded = Annotated[Session, Depends(guarded)]
"""Whoever is logged in, for forms."""


async def operating(session: LoggedIn) -> Session:
    """Return an operator's login; raises PageRefusedError for an auditor's."""
    if session.caller.role is not Role.OPERATOR:
        raise PageRefusedError(403, "This needs the key of an operator.")
    return session


async def guarded_operating(session: Guarded) -> Session:
    """Return an operator's login whose own form this is."""
    return await operating(session)


Operating = Annotated[Session, Depends(operating)]
"""An operator, for pages."""
GuardedOperating = Annotated[Session, Depends(guarded_operating)]
"""An operator, for forms."""


async def environment(request: Request, session: LoggedIn) -> ServedEnvironment:
    """Return the environment of the login."""
    return await serving(request).environment(session.caller.environment)


Environment = Annotated[ServedEnvironment, Depends(environment)]
