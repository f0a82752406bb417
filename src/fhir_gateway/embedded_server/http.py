"""The embedded server over HTTP: an ASGI application, and uvicorn that serves it."""

import asyncio
import logging
import signal
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from fhir_gateway.domain.errors import GatewayError, UsageError
from fhir_gateway.embedded_server.answers import (
    RefusedError,
    Response,
    StorageError,
    json_response,
    outcome,
    refusal_response,
)
from fhir_gateway.embedded_server.server import BASE_PATH, EmbeddedServer, check_size, internal_error

_LOG = logging.getLogger(__name__)
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class EmbeddedApp:
    """The ASGI application; everything stands under /fhir."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one request of ASGI."""
        if scope["type"] != "http":
            return
        try:
            response = await self._answer(scope, receive)
        except RefusedError as refused:
            response = refusal_response(refused)
        except StorageError as error:
            _LOG.error("%s", error)
            response = json_response(503, outcome("error", "transient", str(error)), **{"Retry-After": "2"})
        except Exception as error:  # noqa: BLE001 - the edge of the server: the client gets an answer in any case
            # No message: it could quote what the request held.
            trace = "".join(traceback.format_tb(error.__traceback__))
            _LOG.error("a request failed with %s\n%s", type(error).__name__, trace)
            response = internal_error()
        headers = {"Content-Length": str(len(response.body))} if response.body else {}
        named = [
            (name.lower().encode(), text.encode("latin-1")) for name, text in {**response.headers, **headers}.items()
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": named})
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, scope: _Message, receive: _Receive) -> Response:
        path = scope["raw_path"].decode("ascii").partition("?")[0]
        if path != BASE_PATH and not path.startswith(f"{BASE_PATH}/"):
            return json_response(404, outcome("error", "not-found", f"FHIR is spoken under {BASE_PATH}"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _read_body(receive)
        host = headers.get("host") or ":".join(map(str, scope["server"]))
        return await asyncio.to_thread(
            self._server.handle,
            scope["method"],
            path.removeprefix(BASE_PATH),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            base=f"{scope['scheme']}://{host}{BASE_PATH}",
        )


async def _read_body(receive: _Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        check_size(size)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


class AnnouncingServer(uvicorn.Server):
    """Uvicorn that tells when it is ready, and for which SIGTERM is a clean end."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM without raising them again afterwards, as uvicorn would."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(server: EmbeddedServer, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` gets the base URL when requests are accepted. Port 0 takes a free one.

    Raises UsageError where the address is taken or not this machine's.
    """
    listener = listen(host, port)
    url = f"{address_of(listener, host)}{BASE_PATH}"
    config = uvicorn.Config(
        EmbeddedApp(server), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=10
    )
    running = AnnouncingServer(config, lambda: announce(url))
    with listener:
        running.run(sockets=[listener])
    if not running.started:
        raise GatewayError(f"the server did not start on {url}")


def address_of(listener: socket.socket, host: str) -> str:
    """Return the URL of a listening socket, its port as it was given or taken."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises UsageError where the address is taken or not this machine's."""
    if not host.strip():  # a socket would listen on all addresses
        raise UsageError("--host: name an address to listen on, as 127.0.0.1")
    try:
        host.encode("idna")  # as create_server would, which leaves a socket open where it cannot
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such address or port"
        raise UsageError(f"cannot listen on {host}:{port}: {reason}; choose another --port") from error
    # asyncio does that for sockets of its own only; without it each answer on a kept connection waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
