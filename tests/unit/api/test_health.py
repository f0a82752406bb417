import re

import httpx
import pytest
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role
from fhir_gateway.serving import environments
from fhir_gateway.serving.environments import ServedEnvironment


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A slow machine's embedded server is no server that is away."""
    monkeypatch.setattr(environments, "_REACHED_WITHIN", 60)


async def test_alive_is_said_without_looking_at_anything(served):
    assert (await served.get("/health/live")).json() == {"status": "live"}
    assert not served.app.state.serving.opened


async def test_ready_where_every_ledger_and_server_answers(served):
    answer = await served.get("/health/ready")
    assert answer.status_code == 200
    good = {"ledger": True, "fhir_server": True}
    assert answer.json() == {"status": "ready", "environments": {"embedded": good, "north": good, "south": good}}


async def test_not_ready_where_a_server_cannot_be_reached(served, home):
    text = '[fhir_server]\nbase_url = "http://127.0.0.1:1/fhir"\nwait_for_server = 0.1\n'
    (home / "environments" / "north.toml").write_text(text)
    answer = await served.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["environments"]["north"] == {"ledger": True, "fhir_server": False}
    assert answer.json()["environments"]["south"] == {"ledger": True, "fhir_server": True}


async def test_not_ready_where_a_file_has_faults(served, home):
    (home / "environments" / "north.toml").write_text("nonsense = 1\n")
    answer = await served.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["environments"]["north"] == {"ledger": False, "fhir_server": False}


async def test_what_is_known_of_a_server_is_believed_for_a_while(served, monkeypatch):
    await served.get("/health/ready")
    environment = served.app.state.serving.opened["north"]
    asked = []
    monkeypatch.setattr(environment.client, "send", asked.append)
    assert (await served.get("/health/ready")).status_code == 200
    assert not asked


async def test_environments_share_nothing(served):
    await served.get("/health/ready")
    north, south = (served.app.state.serving.opened[name] for name in ("north", "south"))
    for field in ("ledger", "client", "reader", "writer", "transport", "doorkeeper"):
        assert getattr(north, field) is not getattr(south, field)
    assert isinstance(north, ServedEnvironment)


async def test_the_docs_name_every_route_and_need_nobody_else(served):
    key = served.key(Role.AUDITOR)[1]
    page = await served.get("/docs", key)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    schema = (await served.get("/docs/openapi.json", key)).json()
    assert all(f"<code>{path}</code>" in page.text for path in schema["paths"])
    assert not re.search(r"<script|style=|(?:src|href)=.https?:|\son\w+=", page.text)
    assert (await served.get("/docs/style.css", key)).headers["content-type"].startswith("text/css")


async def test_every_operation_says_what_it_does(served):
    schema = (await served.get("/docs/openapi.json", served.key(Role.AUDITOR)[1])).json()
    operations = [operation for paths in schema["paths"].values() for operation in paths.values()]
    assert all(operation["summary"] and operation["description"] for operation in operations)
    protected = [paths for path, paths in schema["paths"].items() if re.search("/(access|merges)|merge$", path)]
    assert protected
    assert all(operation["security"] for paths in protected for operation in paths.values())


async def elsewhere(served, path, key="", **headers):
    transport = httpx.ASGITransport(app=served.client._transport.app, client=("192.0.2.9", 1))
    own = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        return await client.get(path, headers=own | headers)


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/docs/openapi.json"])
async def test_how_the_gateway_is_used_is_told_to_whoever_has_a_key_of_any_environment(served, path):
    assert_is_problem(await served.get(path), 401)
    assert_is_problem(await elsewhere(served, path), 401)
    assert_is_problem(await elsewhere(served, path, "fgk-00000000-" + "A" * 43), 401)
    for environment in ("north", "south"):
        key_id, key = served.key(Role.AUDITOR, environment)
        assert [(await elsewhere(served, path, key)).status_code for _ in range(20)] == [200] * 20
        served.revoke(key_id, environment)
        assert_is_problem(await elsewhere(served, path, key), 401)


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/docs/openapi.json"])
async def test_where_serve_was_told_so_this_machine_needs_no_key(served, path):
    served.app.state.open_to_this_machine = True
    assert (await served.get(path)).status_code == 200
    assert_is_problem(await served.get(path, headers={"X-Forwarded-Host": "gateway.test"}), 401)
    assert_is_problem(await elsewhere(served, path), 401)
