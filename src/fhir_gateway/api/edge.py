"""The server's outermost ring: hosts, sizes, times, headers, counters and the access log, for every request alike."""

import asyncio
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from fhir_gateway.api.answers import outcome, problem_response
from fhir_gateway.api.metrics import METHODS, Metrics
from fhir_gateway.api.negotiation import ASKED_AS_HEAD

_ACCESS = logging.getLogger("fhir_gateway.access")
_LOG = logging.getLogger(__name__)
_Message = MutableMapping[str, Any]
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_UNMATCHED = "none"
_PACKAGE = f"fhir_gateway{os.sep}"
_FOR_MACHINES = ("/health/", "/metrics")
"""Asked by orchestrators, which name the address of a container as host."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
_TWO_YEARS = "max-age=63072000"


@dataclass(frozen=True, slots=True)
class EdgePolicy:
    """What requests may be like: `hosts` are the names that the server is called by, times are in seconds."""

    hosts: frozenset[str]
    largest_body: int = 1 << 20
    body_within: float = 60.0
    answer_within: float = 120.0


class Edge:
    """The ASGI application around the application."""

    def __init__(self, app: _App, *, policy: EdgePolicy, metrics: Metrics) -> None:
        self._app = app
        self._policy = policy
        self._metrics = metrics

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._count(scope, receive, send)

    async def _count(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        if is_head := method == "HEAD":
            scope = {**scope, "method": "GET", ASKED_AS_HEAD: True}
        answer = _Answer(send, secure=scope["scheme"] == "https", is_head=is_head)
        began = time.perf_counter()
        self._metrics.begin()
        try:
            await self._guard(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - began
            route = _route(scope)
            self._metrics.end(method=method, route=route, status=answer.status, seconds=seconds)
            _ACCESS.info("%s %s %d %.0f ms", method, route, answer.status, seconds * 1000)

    async def _guard(self, scope: _Scope, receive: _Receive, answer: "_Answer") -> None:
        headers = Headers(scope=scope)
        if not self._is_ours(scope["path"], headers):
            words = "this host name is not served here; [serving] public_url in an environment's file names it"
            await _refuse(400, words, scope, answer)
        elif _length(headers) > self._policy.largest_body:
            await _refuse(413, f"a body may have {self._policy.largest_body} bytes", scope, answer)
        else:
            await self._call(scope, _Body(receive, self._policy), answer)

    async def _call(self, scope: _Scope, body: "_Body", answer: "_Answer") -> None:
        limit = asyncio.timeout(self._policy.answer_within)
        try:
            async with limit:
                answer.on_start = lambda: limit.reschedule(None)
                await self._app(scope, body, answer)
        except Exception as error:  # noqa: BLE001 - the edge: the client gets an answer, the log a place
            answer.on_start = None
            if limit.expired():
                await _refuse(504, "the answer took too long; nothing is known of what was done", scope, answer)
                return
            # No message: it could quote what the request held.
            _LOG.error("a request failed with %s\n%s", type(error).__name__, _places(error))
            if not answer.status:
                await _refuse(500, "the gateway stumbled over this request; its log says where", scope, answer)

    def _is_ours(self, path: str, headers: Headers) -> bool:
        if path.startswith(_FOR_MACHINES):
            return True
        return _host(headers.get("host", "")) in self._policy.hosts


class _Body:
    """What the application receives: no more bytes, and no more slowly, than is allowed."""

    def __init__(self, receive: _Receive, policy: EdgePolicy) -> None:
        self._receive = receive
        self._policy = policy
        self._size = 0
        self._until = 0.0
        self._complete = False

    async def __call__(self) -> _Message:
        if self._complete:
            return await self._receive()  # waits for the client to go away
        loop = asyncio.get_running_loop()
        self._until = self._until or loop.time() + self._policy.body_within
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        self._size += len(message.get("body", b""))
        if self._size > self._policy.largest_body:
            raise HTTPException(413)
        self._complete = not message.get("more_body")
        return message


class _Answer:
    """What the application sends, with the headers that every answer carries."""

    def __init__(self, send: _Send, *, secure: bool, is_head: bool) -> None:
        self._send = send
        self._secure = secure
        self._is_head = is_head
        self.status = 0
        self.on_start: Callable[[], None] | None = None

    async def __call__(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self._secure:
                headers.setdefault("Strict-Transport-Security", _TWO_YEARS)
            message["headers"] = headers.raw
            if self.on_start:
                self.on_start()
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)


async def _refuse(status: int, words: str, scope: _Scope, answer: _Answer) -> None:
    """Answer before the application was asked; the connection ends, since its body is unread."""
    headers = {"Connection": "close"}
    response: Response
    if scope["path"].startswith("/console"):
        response = PlainTextResponse(outcome(status, words)["issue"][0]["diagnostics"], status, headers)
    else:
        response = problem_response(status, words, headers=headers)
    scope.pop("route", None)
    await response(scope, _nothing, answer)


async def _nothing() -> _Message:
    return {"type": "http.disconnect"}


def _places(error: BaseException) -> str:
    """Return where in this package the error passed, innermost last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in frame.filename]
    return "".join(traceback.format_list(frames))


def _route(scope: _Scope) -> str:
    """Return the pattern that the path fitted: a path itself could hold a number of a person."""
    path = getattr(scope.get("route"), "path", None)
    return f"{scope.get('root_path', '')}{path}" if path else _UNMATCHED


def _host(header: str) -> str:
    """Return a Host header's name in lower case, without its port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.rpartition(":")[0].lower() if header.count(":") == 1 else header.lower()


def _length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length") or 0)
    except ValueError:
        return 0
