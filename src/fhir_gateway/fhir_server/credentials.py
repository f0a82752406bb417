"""What proves to the server who asks; tokens are fetched, kept until shortly before they expire, and never shown."""

import asyncio
import base64
import re
from typing import Protocol

import httpx

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.fhir_server.failures import BusyError, OutageError
from fhir_gateway.fhir_server.payload import NotJsonError, parse_json, whole_body
from fhir_gateway.fhir_server.policy import AuthPolicy, BasicAuth, BearerAuth, ClientCredentialsAuth, NoAuth
from fhir_gateway.fhir_server.timing import Timing
from fhir_gateway.fhir_server.verdicts import Verdict, judge, retry_after

RENEW_BEFORE = 60.0
"""Seconds before its expiry from which a token is no longer used (half its life where that is shorter)."""

ASSUMED_LIFE = 300.0
"""Seconds that a token without a readable `expires_in` is used."""

_LARGEST_ANSWER = 1 << 20


class Credentials(Protocol):
    """Source of the Authorization header."""

    async def header(self, http: httpx.AsyncClient) -> str | None:
        """Return the header's value, None where there is none."""
        ...

    def refused(self, header: str | None) -> bool:
        """Take note that the server answered 401 to `header`; return whether another one may be had."""
        ...


def credentials_for(auth: AuthPolicy, timing: Timing) -> Credentials:
    """Return the credentials that a policy asks for."""
    match auth:
        case NoAuth():
            return _FixedHeader(None)
        case BearerAuth():
            return _FixedHeader(f"Bearer {auth.token.value}")
        case BasicAuth():
            pair = f"{auth.username}:{auth.password.value}".encode()
            return _FixedHeader(f"Basic {base64.b64encode(pair).decode()}")
        case ClientCredentialsAuth():
            return _TokenCredentials(auth, timing)


class _FixedHeader:
    def __init__(self, value: str | None) -> None:
        self._value = value

    async def header(self, http: httpx.AsyncClient) -> str | None:  # noqa: ARG002 - the port's signature
        return self._value

    def refused(self, header: str | None) -> bool:  # noqa: ARG002 - the port's signature
        return False


class _TokenCredentials:
    """Client credentials; one fetch at a time, however many requests wait for it."""

    def __init__(self, auth: ClientCredentialsAuth, timing: Timing) -> None:
        self._auth = auth
        self._timing = timing
        self._fetching = asyncio.Lock()
        self._header: str | None = None
        self._use_until = 0.0

    async def header(self, http: httpx.AsyncClient) -> str:
        async with self._fetching:
            if self._header is None or self._timing.monotonic() >= self._use_until:
                self._header = None
                self._header = await self._fetch(http)
            return self._header

    def refused(self, header: str | None) -> bool:
        if header == self._header:  # else another request has renewed it already
            self._header = None
        return True

    async def _fetch(self, http: httpx.AsyncClient) -> str:
        asked_at = self._timing.monotonic()
        content = _token_answer(*await self._ask(http))
        token = content.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise PermanentServerError("The token server's answer holds no access_token; check auth.token_url")
        life = _seconds(content.get("expires_in"))
        self._use_until = asked_at + life - min(RENEW_BEFORE, life / 2)
        return f"Bearer {token}"

    async def _ask(self, http: httpx.AsyncClient) -> tuple[int, bytes | None]:
        """Ask for a token: `grant_type` in the query, as SATUSEHAT wants it, and in the form, as RFC 6749 does.

        Returns status and body, None for one that is too large.
        """
        url = httpx.URL(self._auth.token_url).copy_merge_params({"grant_type": "client_credentials"})
        form = {
            "grant_type": "client_credentials",
            "client_id": self._auth.client_id,
            "client_secret": self._auth.client_secret.value,
        }
        if self._auth.scope:
            form["scope"] = self._auth.scope
        try:
            # httpx's timeouts are for each read; who drips a byte now and then never answers either.
            async with (
                asyncio.timeout(http.timeout.read),
                http.stream("POST", url, data=form, headers={"Accept": "application/json"}) as response,
            ):
                body = await whole_body(response, most=_LARGEST_ANSWER)
        except (TimeoutError, httpx.TransportError, httpx.DecodingError) as error:
            # `from None`: the request that hangs on the error holds the secret.
            raise OutageError(f"The token server gave no answer ({type(error).__name__})") from None
        asked = retry_after(response.headers, self._timing.now())
        verdict = judge(response.status_code)
        if verdict is Verdict.OUTAGE:
            raise OutageError(f"The token server answered {response.status_code}", retry_after=asked)
        if verdict is Verdict.BUSY:
            raise BusyError(f"The token server answered {response.status_code}", retry_after=asked)
        return response.status_code, body


def _token_answer(status: int, body: bytes | None) -> dict[str, object]:
    try:
        content = parse_json(body) if body is not None else None
    except NotJsonError:
        content = None
    if judge(status) is Verdict.SUCCESS and isinstance(content, dict):
        return content
    code = content.get("error") if isinstance(content, dict) else None
    named = f" ({code})" if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""
    raise AccessRefusedError(
        f"The token server gave no token: it answered {status}{named};"
        " check auth.token_url, auth.client_id and the secret",
        status=status,
    )


def _seconds(expires_in: object) -> float:
    """Return `expires_in` in seconds; SATUSEHAT sends it as a string ("3599", "14399")."""
    if isinstance(expires_in, int | float | str) and not isinstance(expires_in, bool):
        try:
            seconds = float(expires_in)
        except ValueError:
            return ASSUMED_LIFE
        if 0 < seconds < 1e9:
            return seconds
    return ASSUMED_LIFE
