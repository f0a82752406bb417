import asyncio
import logging

import httpx
import pytest
from tests.fakes.served_gateway import POLICY, assert_is_problem

from fhir_gateway.api.answers import json_response
from fhir_gateway.api.app import create_edge
from fhir_gateway.serving.environments import Serving

NIK = "3303015203200003"


async def test_every_answer_carries_the_security_headers(served):
    for path in ("/health/live", "/docs", "/north/access", "/nowhere"):
        headers = (await served.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


async def test_only_what_came_by_tls_is_told_to_stay_there(served):
    assert "strict-transport-security" not in (await served.get("/health/live")).headers
    answer = await served.get("https://gateway.test/health/live")
    assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("host", ["evil.test", "gateway.test.evil.test", "", "[::1", "gateway.test@evil.test"])
async def test_another_host_is_refused(served, host):
    assert_is_problem(await served.get("/north/access", headers={"Host": host}), 400)


@pytest.mark.parametrize("host", ["gateway.test", "GATEWAY.test:443"])
async def test_the_own_host_is_served_whatever_its_port(served, host):
    assert_is_problem(await served.get("/north/access", headers={"Host": host}), 401)


async def test_health_is_told_under_any_host(served):
    assert (await served.get("/health/live", headers={"Host": "10.1.2.3:8000"})).status_code == 200


async def test_the_public_address_of_an_environment_is_a_host(home):
    path = home / "environments" / "north.toml"
    path.write_text(path.read_text() + '[serving]\npublic_url = "https://Gateway.Example.org/imun"\n')
    async with Serving(home) as serving:
        from fhir_gateway.api.app import create_app  # noqa: PLC0415

        edge = create_edge(create_app(serving), host="0.0.0.0")
        transport = httpx.ASGITransport(app=edge)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example.org") as client:
            assert (await client.get("/north/access")).status_code == 401
            assert (await client.get("/north/access", headers={"Host": "0.0.0.0"})).status_code == 400


async def test_a_body_that_is_announced_too_large_is_refused_unread(served):
    async def endless():
        raise AssertionError("read")
        yield b""

    headers = {"Content-Length": str(POLICY.largest_body + 1)}
    assert_is_problem(await served.ask("POST", "/north/echo", headers=headers, content=endless()), 413, "too-long")


def with_route(served, function):
    served.app.router.add_api_route("/north/echo", function, methods=["POST"])


async def test_a_body_that_grows_too_large_is_refused(served):
    async def echo(body: dict):
        return json_response(body)

    async def pieces():
        yield b'{"x": "'
        for _ in range(100):
            yield b"a" * 1000
        yield b'"}'

    with_route(served, echo)
    headers = {"Content-Type": "application/json"}
    assert_is_problem(await served.ask("POST", "/north/echo", headers=headers, content=pieces()), 413, "too-long")


async def test_a_body_that_trickles_is_given_up(served):
    async def echo(body: dict):
        return json_response(body)

    async def stuck():
        yield b"{"
        await asyncio.Event().wait()

    with_route(served, echo)
    headers = {"Content-Type": "application/json"}
    assert_is_problem(await served.ask("POST", "/north/echo", headers=headers, content=stuck()), 408, "timeout")


async def test_an_answer_that_never_comes_is_given_up(home, served):
    async def forever():
        await asyncio.Event().wait()

    from fhir_gateway.api.edge import EdgePolicy  # noqa: PLC0415

    with_route(served, forever)
    policy = EdgePolicy(hosts=frozenset({"gateway.test"}), answer_within=0.05)
    transport = httpx.ASGITransport(app=create_edge(served.app, host="x", policy=policy))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        assert_is_problem(await client.post("/north/echo"), 504, "timeout")


async def test_a_fault_of_the_program_is_a_500_whose_words_stay_inside(served, caplog):
    async def stumble():
        raise ValueError(NIK)

    with_route(served, stumble)
    answer = await served.ask("POST", "/north/echo")
    assert_is_problem(answer, 500, "exception")
    assert "ValueError" in caplog.text
    assert NIK not in answer.text + caplog.text


async def test_the_access_log_knows_patterns_only(served, caplog):
    with caplog.at_level(logging.INFO, "fhir_gateway"):
        for path in (f"/north/access?nik={NIK}", f"/{NIK}/access", f"/north/{NIK}", "/health/live"):
            await served.get(path)
        await served.ask(NIK, "/north/access")
    assert "GET /{environment}/access 401" in caplog.text
    assert "GET none 404" in caplog.text
    assert NIK not in caplog.text


async def test_the_metrics_know_patterns_only(served):
    for path in (f"/north/access?nik={NIK}", f"/{NIK}/access", f"/north/{NIK}"):
        await served.get(path)
    await served.ask(NIK, "/north/access")
    text = (await served.get("/metrics", served.key()[1])).text
    assert 'fhir_gateway_http_requests_total{method="GET",route="/{environment}/access",status="401"} 1.0' in text
    assert 'method="other"' in text
    assert "fhir_gateway_environments_open 3.0" in text  # the key was looked for in each
    assert NIK not in text
