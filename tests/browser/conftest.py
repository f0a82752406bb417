"""Fixtures: Chromium before `fhir-gateway serve`, which is a process of its own over invented people.

Playwright has an environment of its own, `.venv-browser`; its packages are put behind all others, so that none takes
the place of one that the gateway is tested with. Set FHIR_GATEWAY_SCREENSHOTS to a folder to keep pictures of the pages.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.browser.people import DOUBTFUL, ENVIRONMENT, MERGED, UNMERGED, people
from tests.browser.visiting import Visitor
from tests.fakes.merging_place import fill
from tests.fakes.serving_process import ServingProcess, run_command

REQUIRED = "FHIR_GATEWAY_REQUIRE_BROWSER"
SCREENSHOTS = "FHIR_GATEWAY_SCREENSHOTS"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
BROWSER_PACKAGES = (Path(__file__).parents[2] / ".venv-browser" / "lib").glob("python3.*/site-packages")
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="session")
def chromium():
    if os.environ.get(REQUIRED) != "1":
        pytest.skip(f"runs with {REQUIRED}=1: make browser")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.fail(f"no Chromium is on the PATH ({REQUIRED}=1)", pytrace=False)
    sys.path += map(str, BROWSER_PACKAGES)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - has an environment of its own

    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(chromium, tmp_path_factory):
    """A working folder with people, merges and keys, and the server over it."""
    home = tmp_path_factory.mktemp("served")
    folder = home / "environments"
    folder.mkdir()
    (folder / f"{ENVIRONMENT}.toml").write_text('[fhir_server]\nbase_url = "embedded"\n')
    fill(home, people(), ENVIRONMENT)
    named = ["--env", ENVIRONMENT]
    for number, nik in enumerate(MERGED):
        plan = home / f"plan-{number}.json"
        run_command(home, "merge", "plan", nik, "--out", plan, *named)
        run_command(home, "merge", "apply", plan, "--user", "Sari Wulandari, Dinas Kesehatan", *named)
    server = ServingProcess(home).start()
    yield server
    assert server.stop() == 0
    log = server.log.read_text()
    assert not [nik for nik in (*MERGED, *UNMERGED, DOUBTFUL) if nik in log]


@pytest.fixture(scope="session")
def keys(served):
    """Return role → a key of it."""
    return {
        role: run_command(
            served.home, "access", "add", f"Sari Wulandari ({role})", "--role", role, "--env", ENVIRONMENT
        ).strip()
        for role in ("operator", "auditor")
    }


@pytest.fixture(params=SIZES)
def size(request):
    """The name of each window's size in turn."""
    return request.param


def _visitor(chromium, served, keys, size):
    width, height = SIZES[size]
    context = chromium.new_context(
        base_url=served.url, viewport={"width": width, "height": height}, accept_downloads=True, locale="en-GB"
    )
    context.set_default_timeout(60_000)
    pictures = os.environ.get(SCREENSHOTS)
    return Visitor(context, keys, pictures=Path(pictures) if pictures else None, size=size)


@pytest.fixture
def visitor(chromium, served, keys):
    """A browser window of a desk; whatever a page complains of, or tells in an address, fails the test."""
    found = _visitor(chromium, served, keys, "desk")
    yield found
    found.leave()


@pytest.fixture
def sized_visitor(chromium, served, keys, size):
    """A window of each size in turn."""
    found = _visitor(chromium, served, keys, size)
    yield found
    found.leave()
