"""The embedded server behind a wire that a test disturbs: answers are replaced, lost or broken, by what the test says."""

import asyncio

import httpx
import orjson
from tests.fakes.fake_time import FakeTime

from fhir_gateway.embedded_server.server import EmbeddedServer

BASE = "https://region.test/fhir"


class DisturbedServer(httpx.AsyncBaseTransport):
    """`before(request)` and `after(request, response)` return a response, raise, or return None for no disturbance."""

    def __init__(self, folder, *, before=None, after=None):
        self.server = EmbeddedServer(folder)
        self.before = before or (lambda _: None)
        self.after = after or (lambda *_: None)
        self.requests = []
        self.time = FakeTime()

    async def handle_async_request(self, request):
        await request.aread()
        self.requests.append(request)
        await asyncio.sleep(0)
        said = self.before(request)
        if said is None:
            response = self.answer(request)
            said = self.after(request, response) or response
        said.request = request
        return said

    def answer(self, request):
        """Return what the embedded server says."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        said = self.server.handle(
            request.method,
            path.removeprefix("/fhir"),
            query=query,
            headers=dict(request.headers),
            body=request.content,
            base=BASE,
        )
        return httpx.Response(said.status, headers=dict(said.headers), content=said.body)

    def posted(self, resource_type):
        """Return the bodies of this type's resources in the bundles that were sent, each time they were sent."""
        bundles = [orjson.loads(request.content) for request in self.requests if is_bundle(request)]
        resources = [entry.get("resource", {}) for bundle in bundles for entry in bundle["entry"]]
        return [one for one in resources if one.get("resourceType") == resource_type]


def is_bundle(request):
    """Tell whether a request is a bundle."""
    return request.method == "POST" and request.url.path.rstrip("/") == "/fhir"


def holds(request, resource_type):
    """Tell whether a request is a bundle with such resources."""
    return is_bundle(request) and f'"resourceType":"{resource_type}"'.encode() in request.content
