"""What the tests of the API ask: two environments, north and south, each on an embedded server of its own."""

import httpx
import pytest
from tests.fakes.served_gateway import POLICY, REGION, Served

from fhir_gateway.api.app import create_app, create_edge
from fhir_gateway.bootstrap.serving import Serving
from fhir_gateway.console.app import create_console


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "environments"
    folder.mkdir()
    for name in ("north", "south"):
        (folder / f"{name}.toml").write_text(REGION)
    return tmp_path


@pytest.fixture
async def served(home):
    async with Serving(home) as serving:
        app = create_app(serving, pages={"/console": create_console(serving)})
        edge = create_edge(app, host="127.0.0.1", policy=POLICY)
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            yield Served(home, client, app)
