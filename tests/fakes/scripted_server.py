"""A FHIR server at the HTTP seam that answers as a test tells it, and remembers what it was asked."""

import contextlib

import httpx
import orjson
from tests.fakes.fake_time import FakeTime

from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter

BASE = "http://fhir.test/r4"


def answer(status=200, body=None, **headers):
    """Return a JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is None:
        return httpx.Response(status, headers=named)
    return httpx.Response(
        status, content=orjson.dumps(body), headers={"Content-Type": "application/fhir+json", **named}
    )


def html(status=200):
    return httpx.Response(status, content=b"<html><body>Welcome</body></html>", headers={"Content-Type": "text/html"})


def statement(*, conditional_create=True, parameters=("identifier", "birthdate", "gender", "phone", "name"), **changes):
    """Return a CapabilityStatement for Patients and Immunizations."""
    types = [
        {
            "type": name,
            "searchParam": [{"name": parameter, "type": "token"} for parameter in (*parameters, "patient")],
            "interaction": [{"code": "read"}],
            "conditionalCreate": conditional_create,
        }
        for name in ("Patient", "Immunization")
    ]
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "Scripted", "version": "1"},
        "rest": [{"mode": "server", "resource": types}],
        **changes,
    }


def searchset(*resources, **changes):
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **changes}


def outcome(*, severity="error", code="invalid", text="no"):
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }


class ScriptedServer:
    """`handler(request)` returns a response or raises; /metadata is answered unless the handler wants it.

    So is the search for any Patients, which finds none, unless the handler knows `anybody`; it is not counted.
    """

    def __init__(self, handler, *, metadata=None, anybody=False):
        self.handler = handler
        self.anybody = anybody
        self.metadata = statement() if metadata is None else metadata
        self.requests = []
        self.time = FakeTime()
        self.waits = []
        self.told_at = []  # when, in seconds of its time

    async def __call__(self, request):
        if not self.anybody and b"_count=20" in (request.content, request.url.query) and "/Patient" in request.url.path:
            return answer(body=searchset())
        self.requests.append(request)
        if self.metadata is not False and request.url.path.endswith("/metadata"):
            return answer(body=self.metadata)
        said = self.handler(request)
        return await said if hasattr(said, "__await__") else said

    def _note(self, wait):
        self.waits.append(wait)
        self.told_at.append(self.time.seconds - 1000)

    @contextlib.asynccontextmanager
    async def client(self, **policy):
        settings = FhirServerPolicy(**{"base_url": BASE, **policy})
        async with FhirClient(
            settings,
            transport=httpx.MockTransport(self),
            timing=self.time.timing(),
            on_wait=self._note,
        ) as client:
            yield client

    @contextlib.asynccontextmanager
    async def reader(self, **policy):
        async with self.client(**policy) as client:
            yield ServerReader(client)

    @contextlib.asynccontextmanager
    async def writer(self, **policy):
        async with self.client(**policy) as client:
            yield ServerWriter(client, ServerReader(client))

    def asked(self, *, without_metadata=True):
        """Return the requests as `METHOD path?query`."""
        return [
            f"{request.method} {request.url.raw_path.decode()}"
            for request in self.requests
            if not (without_metadata and request.url.path.endswith("/metadata"))
        ]


def in_turn(*answers):
    """Return a handler that gives the answers in turn, the last one for ever."""
    left = list(answers)

    def handler(request):
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, Exception):
            raise said
        return said() if callable(said) else said

    return handler
