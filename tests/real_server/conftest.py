"""Fixtures: other people's FHIR servers, started once in a test session; each gives its base URL."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.fakes.serving_thread import embedded_server_over_http
from tests.real_server.servers import (
    HAPI_PLAIN,
    HAPI_VALIDATING,
    MEDPLUM_ROUTER,
    REQUIRED,
    RunningServer,
    Software,
    hapi_on_disk,
)

JSON = "application/fhir+json"


def require(software: Software) -> None:
    """Skip the test unless these servers are asked for; fail it where the software then cannot be started."""
    if os.environ.get(REQUIRED) != "1":
        pytest.skip(f"{software.name}: runs with {REQUIRED}=1, after tests/real_server/install.sh")
    if reason := software.missing():
        pytest.fail(f"{reason} ({REQUIRED}=1)", pytrace=False)


def _serve(software: Software, folder: Path) -> Iterator[str]:
    require(software)
    server = RunningServer(software, log=folder / "server.log")
    server.start()
    yield server.base_url
    server.stop()


@pytest.fixture(scope="session")
def hapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HAPI FHIR JPA as it comes, in memory."""
    yield from _serve(HAPI_PLAIN, tmp_path_factory.mktemp("hapi"))


@pytest.fixture(scope="session")
def hapi_validating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HAPI FHIR JPA that validates every request, in memory."""
    yield from _serve(HAPI_VALIDATING, tmp_path_factory.mktemp("hapi-validating"))


@pytest.fixture(scope="session")
def medplum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Medplum's FHIR router over its memory repository."""
    yield from _serve(MEDPLUM_ROUTER, tmp_path_factory.mktemp("medplum"))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway's own embedded server: what holds for the others has to hold for it."""
    with embedded_server_over_http(tmp_path_factory.mktemp("embedded")) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def hapi_that_is_killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One HAPI FHIR on disk for all tests that kill it: every start takes as long as many tests."""
    folder = tmp_path_factory.mktemp("hapi-on-disk")
    software = hapi_on_disk(folder / "database")
    require(software)
    server = RunningServer(software, log=folder / "server.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def killable_hapi(hapi_that_is_killed: RunningServer) -> RunningServer:
    """A HAPI FHIR on disk that runs: `kill()`, `stop()` and `start()` it; it keeps its port and what it has stored."""
    if not hapi_that_is_killed.is_running:
        hapi_that_is_killed.start()
    return hapi_that_is_killed


@pytest.fixture(params=["hapi", "hapi_validating", "medplum"])
def real_server(request: pytest.FixtureRequest) -> str:
    """The base URL of each of them in turn."""
    base_url: str = request.getfixturevalue(request.param)
    return base_url


@pytest.fixture(params=["embedded", "hapi", "hapi_validating", "medplum"])
def every_server(request: pytest.FixtureRequest) -> str:
    """The base URL of each of them in turn, and of the embedded server."""
    base_url: str = request.getfixturevalue(request.param)
    return base_url


@pytest.fixture
def connect() -> Iterator[Callable[[str], httpx.Client]]:
    """Open plain HTTP clients that speak FHIR JSON; all are closed in the end."""
    opened: list[httpx.Client] = []

    def open_client(base_url: str) -> httpx.Client:
        client = httpx.Client(base_url=base_url, timeout=300, headers={"Accept": JSON, "Content-Type": JSON})
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        client.close()
