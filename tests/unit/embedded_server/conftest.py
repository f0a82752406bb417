import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from fhir_gateway.embedded_server.server import EmbeddedServer


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: Any = None


@dataclass
class Caller:
    """Calls a server as HTTP would, JSON in and out."""

    server: EmbeddedServer
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: Any = None, *, query: str = "", **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        response = self.server.handle(method, path, query=query, headers=named, body=raw)
        return Answer(response.status, dict(response.headers), json.loads(response.body) if response.body else None)

    def create(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = self("POST", f"/{resource['resourceType']}", resource)
        assert answer.status == 201, answer.content
        return answer.content

    def find(self, resource_type: str, query: str, **headers: str) -> list[str]:
        answer = self("GET", f"/{resource_type}", query=query, **headers)
        assert answer.status == 200, answer.content
        entries = answer.content.get("entry", [])
        return [e["resource"]["id"] for e in entries if e["search"]["mode"] == "match"]


@pytest.fixture
def server(tmp_path):
    server = EmbeddedServer(tmp_path / "data")
    yield server
    server.close()


@pytest.fixture
def call(server):
    return Caller(server)
