"""The application in a working folder of its own, asked as its clients ask it, without a socket between."""

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx

from fhir_gateway.api.app import create_app, create_edge
from fhir_gateway.api.edge import EdgePolicy
from fhir_gateway.console.app import create_console
from fhir_gateway.domain import systems
from fhir_gateway.domain.access import Role
from fhir_gateway.fhir_server.client import Request
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.access import new_key
from fhir_gateway.serving.environments import Serving
from fhir_gateway.settings import load_environment

REGION = '[fhir_server]\nbase_url = "embedded"\n'
POLICY = EdgePolicy(hosts=frozenset({"gateway.test"}), largest_body=20_000, body_within=0.2, answer_within=30)


class Served:
    """A client, and keys for it."""

    def __init__(self, home, client, app):
        self.home = home
        self.client = client
        self.app = app

    def key(self, role=Role.OPERATOR, environment="north"):
        """Add a key as the command does, from outside of the server; return (id, text)."""
        key, text = new_key(name="Sari", role=role, at=datetime.now(UTC))
        with Ledger(load_environment(environment, self.home).ledger_url) as ledger, ledger.transaction():
            ledger.access.add(key)
        return key.id, text

    def revoke(self, key_id, environment="north"):
        with Ledger(load_environment(environment, self.home).ledger_url) as ledger, ledger.transaction():
            assert ledger.access.revoke(key_id, datetime.now(UTC))

    async def put(self, resource, environment="north"):
        """Create a resource on the environment's server and return its id."""
        opened = await self.app.state.serving.environment(environment)
        headers = {"Content-Type": "application/fhir+json"}
        body = json.dumps(resource).encode()
        answer = await opened.client.send(Request("POST", resource["resourceType"], content=body, headers=headers))
        assert answer.status == 201
        return answer.body["id"]

    async def write(self, resource, environment="north"):
        """Write a resource that is there."""
        opened = await self.app.state.serving.environment(environment)
        headers = {"Content-Type": "application/fhir+json"}
        path = f"{resource['resourceType']}/{resource['id']}"
        answer = await opened.client.send(Request("PUT", path, content=json.dumps(resource).encode(), headers=headers))
        assert answer.status == 200

    async def put_pair(self, nik, name="Ratna Dewanti", *, other_name=""):
        """Create two Patients of one invented person and return their ids; with another name they are rather two."""
        patient = {
            "resourceType": "Patient",
            "active": True,
            "identifier": [{"system": systems.NIK, "value": nik}],
            "name": [{"text": name}],
            "gender": "female",
            "birthDate": "2020-03-12",
        }
        return [await self.put(patient), await self.put(patient | {"name": [{"text": other_name or name}]})]

    async def get(self, path, key="", **options):
        return await self.ask("GET", path, key, **options)

    async def ask(self, method, path, key="", *, headers=(), **options):
        own = {"Authorization": f"Bearer {key}"} if key else {}
        return await self.client.request(method, path, headers={**own, **dict(headers)}, **options)


def two_regions(folder):
    """Make a working folder with the environments north and south, each on an embedded server of its own."""
    (folder / "environments").mkdir()
    for name in ("north", "south"):
        (folder / "environments" / f"{name}.toml").write_text(REGION)
    return folder


@asynccontextmanager
async def served_from(home):
    """Serve a working folder's environments."""
    async with Serving(home) as serving:
        app = create_app(serving, pages={"/console": create_console(serving)})
        edge = create_edge(app, host="127.0.0.1", policy=POLICY)
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            yield Served(home, client, app)


def assert_is_problem(response, status, code=None):
    """Assert that a response is this problem, said as FHIR says it."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/fhir+json"
    body = response.json()
    assert body["resourceType"] == "OperationOutcome"
    assert all(issue["severity"] == "error" and issue["diagnostics"] for issue in body["issue"])
    if code:
        assert body["issue"][0]["code"] == code
