"""What every command pays at its start: only what it needs is imported."""

import subprocess
import sys

import pytest

LARGE = ("alembic", "fastapi", "fhir", "openpyxl", "uvicorn")


@pytest.fixture(scope="module")
def imported():
    words = "import sys, fhir_gateway.cli.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", LARGE)
def test_a_large_package_is_imported_by_what_needs_it_only(imported, package):
    assert package not in imported
