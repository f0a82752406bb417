"""The embedded server inside the process: an httpx transport, so that the client speaks to it as to any other."""

import asyncio

import httpx

from fhir_gateway.embedded_server.address import BASE_URL
from fhir_gateway.embedded_server.answers import Response, json_response, outcome
from fhir_gateway.embedded_server.server import BASE_PATH, EmbeddedServer

__all__ = ["BASE_URL", "EmbeddedTransport"]


class EmbeddedTransport(httpx.AsyncBaseTransport):
    """Hands requests under BASE_URL to an EmbeddedServer; a thread does the work, the event loop goes on."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of httpx."""
        body = await request.aread()
        response = await asyncio.to_thread(self._handle, request, body)
        return httpx.Response(response.status, headers=dict(response.headers), content=response.body, request=request)

    def _handle(self, request: httpx.Request, body: bytes) -> Response:
        raw_path, _, query = request.url.raw_path.decode("ascii").partition("?")
        if raw_path != BASE_PATH and not raw_path.startswith(f"{BASE_PATH}/"):
            return json_response(404, outcome("error", "not-found", f"the embedded server is at {BASE_URL}"))
        path = raw_path.removeprefix(BASE_PATH)
        return self.server.handle(
            request.method, path, query=query, headers=dict(request.headers), body=body, base=BASE_URL
        )
