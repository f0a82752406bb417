"""What every command pays at its start: only what it needs is imported."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib.metadata import version

import pytest

from fhir_gateway.cli.app import run

LARGE = ("alembic", "fastapi", "fhir", "openpyxl", "uvicorn")
NOT_OF_A_LOAD = ("cli.demo", "cli.merge", "embedded_server.server", "merging", "registry", "synth")


def imported_by(first):
    words = f"import sys, fhir_gateway.cli.app as app; app.command_line({first!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def imported():
    return imported_by("")


@pytest.fixture(scope="module")
def imported_by_load():
    return imported_by("load")


@pytest.mark.parametrize("package", LARGE)
def test_a_large_package_is_imported_by_what_needs_it_only(imported, package):
    assert package not in imported


@pytest.mark.parametrize("package", NOT_OF_A_LOAD)
def test_a_load_imports_nothing_that_only_other_commands_need(imported_by_load, package):
    assert f"fhir_gateway.{package}" not in imported_by_load


def test_the_module_is_the_command_and_tells_its_version():
    call = partial(subprocess.run, capture_output=True, text=True, timeout=300, check=False)
    told = call([sys.executable, "-m", "fhir_gateway", "--version"])
    assert (told.returncode, told.stdout, told.stderr) == (0, f"fhir-gateway {version('fhir-gateway')}\n", "")
    wrong = call([sys.executable, "-m", "fhir_gateway", "lod"])
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Usage: fhir-gateway " in wrong.stderr


@pytest.mark.parametrize("columns", ["40", "80"])
def test_help_shows_whole_names_in_a_narrow_terminal(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["merge", "apply", "--help"]) == 0
    assert "--accept-conflicts" in capsys.readouterr().out
    assert run(["--help"]) == 0
    assert "3 finished" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_name_beyond_the_consoles_letters_ends_no_command(tmp_path, options):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("Nama Lengkap;Tgl Lahir;Tgl Vaksin;Vaksin\nZoë Ratna;01/02/2020;03/04/2021;BCG\n", "utf-8")
    words = "from fhir_gateway.cli.start import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", words, "mapping", "preview", str(sheet), *options],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "FHIR_GATEWAY_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=300,
    )
    if options:
        assert "Zoë Ratna" in json.dumps(json.loads(done.stdout), ensure_ascii=False)
    else:
        assert b"Zo\\xeb Ratna" in done.stdout


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_while_the_command_is_imported_ends_it_with_1(number):
    words = (
        "import signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        signal.raise_signal(signal.{number}) if name == 'typer' else None\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from fhir_gateway.cli.start import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fhir-gateway: interrupted before anything was begun\n"


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_ends_no_command_and_leaves_the_other_as_it_is(tmp_path, closed):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("Nama Lengkap;Tgl Lahir;Tgl Vaksin;Vaksin\nRatna Fiktif;01/02/2020;03/04/2021;BCG\n", "utf-8")
    words = f"import sys; sys.{closed} = None; from fhir_gateway.cli.start import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", words, "convert", str(sheet), "--out", str(tmp_path / "out.ndjson"), "--json"],
        env={**os.environ, "FHIR_GATEWAY_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=300,
    )
    said = (done.stdout if closed == "stderr" else done.stderr).decode()
    assert json.loads(said)["read"] == 1 if closed == "stderr" else "sheet.csv: read with" in said
