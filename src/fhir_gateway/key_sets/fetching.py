"""Fetches the JWKS that a client has registered: from that address only, small, soon, and not again for a while."""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from fhir_gateway.domain.loopback import is_loopback
from fhir_gateway.ports import Clock
from fhir_gateway.registry.client_keys import LARGEST_SET, ClientKey, UnusableKeysError, read_keys

_SHORTEST, _USUAL, _LONGEST = timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)
_SECONDS = 5.0
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})")


def keys_url_problem(url: str) -> str:
    """Return what is wrong with a JWKS URL, "" if nothing."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "the JWKS URL is no URL"
    if parsed.userinfo or parsed.fragment or not parsed.host:
        return "the JWKS URL must name a host, without user name, password and #"
    if parsed.scheme != "https" and not (parsed.scheme == "http" and is_loopback(parsed.host)):
        return "the JWKS URL must begin with https://: whoever can change the answer can pull everything"
    return ""


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: tuple[ClientKey, ...]
    fetched: datetime
    fresh_until: datetime


class KeySets:
    """The sets that were fetched; an unknown key's id lets a set be fetched again, at most once a minute."""

    def __init__(
        self, clock: Clock, *, transport: httpx.AsyncBaseTransport | None = None, seconds: float = _SECONDS
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._transport = transport
        self._kept: dict[str, _Kept] = {}

    async def keys(self, url: str, *, key_id: str) -> tuple[ClientKey, ...]:
        """Return a client's keys; raises UnusableKeysError where the address gives none."""
        now = self._clock.now()
        kept = self._kept.get(url)
        if kept is not None:
            known = any(key.id == key_id for key in kept.keys) or not key_id
            if now < (kept.fresh_until if known else kept.fetched + _SHORTEST):
                return kept.keys
        response, content = await self._fetch(url)
        fresh = self._kept[url] = _Kept(read_keys(content), now, now + _lifetime(response))
        return fresh.keys

    async def _fetch(self, url: str) -> tuple[httpx.Response, bytes]:
        problem = keys_url_problem(url)
        if problem:
            raise UnusableKeysError(problem)
        try:
            async with (
                asyncio.timeout(self._seconds),  # for all of it: each byte could come just in time
                httpx.AsyncClient(
                    transport=self._transport,
                    timeout=self._seconds,
                    follow_redirects=False,
                    trust_env=not is_loopback(httpx.URL(url).host),
                    # SSL_CERT_FILE holds on loopback, too, where no proxy is asked.
                    verify=self._transport is not None or httpx.create_ssl_context(),
                ) as client,
                client.stream("GET", url, headers={"Accept": "application/json"}) as response,
            ):
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > LARGEST_SET:
                        raise UnusableKeysError("the client's JWKS URL answers with too much")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            raise UnusableKeysError("the client's JWKS URL does not answer") from None
        if response.status_code != httpx.codes.OK:
            raise UnusableKeysError(f"the client's JWKS URL answers {response.status_code}")
        return response, content


def _lifetime(response: httpx.Response) -> timedelta:
    """Return how long an answer may be kept: as Cache-Control says, within reason."""
    control = response.headers.get("Cache-Control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return timedelta(0)
    found = _MAX_AGE.search(control)
    return min(timedelta(seconds=int(found[1])), _LONGEST) if found else _USUAL
