"""Interrupted, locked out, disk full: exit code 1, a message that says what to do, and a run that resumes."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import httpx
import pytest
from tests.fakes.disturbed_server import holds
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN
from tests.flows.server_content import canonical
from tests.flows.test_load import counts
from tests.flows.wrong_usage import refused

from fhir_gateway.bootstrap import gateway
from fhir_gateway.cli import identity_estimate
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.fhir_server import client
from fhir_gateway.ledger import database, store
from fhir_gateway.reports import whole_file

ROWS = (RATNA, RATNA_POLIO, BAYU, VITAMIN)
BOOKS = {"loaded": 3, "rejected": 1}


def stopped(place, *arguments):
    """Run a command that cannot finish, and return what it said."""
    code, out, err = place.run(*arguments)
    assert (code, out) == (1, ""), err
    assert "Traceback" not in err
    assert "fault of the program" not in err
    assert "330301" not in err
    return err


# --- interruption


@pytest.mark.parametrize("kind", ["Patient", "Immunization"])
def test_ctrl_c_in_the_middle_leaves_a_run_that_resumes(place, region, kind):
    def interrupt(request):
        if holds(request, kind):
            signal.raise_signal(signal.SIGINT)

    path = place.sheet(*ROWS)
    region(before=interrupt)
    err = stopped(place, "load", path, "--env", "region", "--json")
    assert "run the same command again" in err
    (run,) = place.json("runs", "list", "--env", "region")
    assert run["state"] != "finished"
    region()
    report = place.home / "report.csv"
    code, out, _ = place.run("load", path, "--env", "region", "--json", "--report", report)
    assert (code, counts(json.loads(out)), json.loads(out)["run"]) == (3, BOOKS, run["run"])
    assert [row["gateway_status"] for row in place.report(report)] == ["loaded", "loaded", "loaded", "rejected"]
    patients, doses = (place.server(kind, environment="region-server") for kind in ("Patient", "Immunization"))
    canonical(patients, doses)
    assert (len(patients), len(doses)) == (2, 3)


def test_ctrl_c_takes_effect_while_rows_are_read(place, monkeypatch):
    monkeypatch.setattr("fhir_gateway.flows.load.reading.CHUNK", 1)
    rows = []
    convert = gateway.open_inputs.__globals__["BoundMapping"].convert_all

    def interrupted(self, records):
        rows.extend(records)
        if len(rows) == 2:
            signal.raise_signal(signal.SIGINT)
        return convert(self, records)

    monkeypatch.setattr("fhir_gateway.bootstrap.inputs.BoundMapping.convert_all", interrupted)
    stopped(place, "load", place.sheet(*ROWS))
    assert len(rows) == 2
    monkeypatch.undo()


def test_an_interrupted_dry_run_leaves_nothing_behind(place, region):
    region(before=lambda request: signal.raise_signal(signal.SIGINT) if request.method == "POST" else None)
    path = place.sheet(*ROWS)
    stopped(place, "load", path, "--env", "region", "--dry-run")
    region()
    assert counts(json.loads(place.run("load", path, "--env", "region", "--dry-run", "--json")[1])) == BOOKS
    assert place.json("runs", "list", "--env", "region") == []


STOPPING = """
import signal, sys, os
number, ctrl_c = int(sys.argv[1]), sys.argv[2]
from fhir_gateway.cli import app
from fhir_gateway.fhir_server.client import FhirClient
send = FhirClient.send
async def stopping(self, request):
    if request.content and b'"Immunization"' in request.content:
        os.kill(os.getpid(), number)
    return await send(self, request)
FhirClient.send = stopping
if ctrl_c == "ignored":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.argv = [sys.argv[0], *sys.argv[3:]]
app.main()
"""


@pytest.mark.parametrize(
    ("number", "ctrl_c"),
    [(signal.SIGTERM, "heeded"), (signal.SIGINT, "heeded"), (signal.SIGTERM, "ignored")],
)
def test_sigterm_and_ctrl_c_end_with_1_and_resume(place, number, ctrl_c):
    path = place.sheet(*ROWS)
    done = subprocess.run(
        [sys.executable, "-c", STOPPING, str(int(number)), ctrl_c, "load", str(path)],
        cwd=place.home,
        env={**os.environ, "FHIR_GATEWAY_HOME": str(place.home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    summary = place.load(path)
    assert (counts(summary), summary["run"]) == (BOOKS, 1)
    assert [len(part) for part in place.content()] == [2, 3]


def test_who_stops_reading_the_output_sees_no_traceback(place):
    path = place.sheet(*ROWS)
    script = "import sys; from fhir_gateway.cli.app import main; main()"
    command = f'{sys.executable} -c "{script}" load {path} | true'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=place.home,
        env={**os.environ, "FHIR_GATEWAY_HOME": str(place.home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# --- the ledger


def ledger(place):
    return place.home / ".fhir-gateway" / "embedded" / "ledger.db"


def test_a_second_load_is_told_which_one_runs(place, region):
    path = place.sheet(*ROWS)
    told = []

    def load_meanwhile(request):
        if holds(request, "Patient") and not told:
            script = "from fhir_gateway.cli.app import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", script, "load", str(path), "--env", "region"],
                cwd=place.home,
                env={**os.environ, "FHIR_GATEWAY_HOME": str(place.home)},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            told.append((done.returncode, done.stdout, done.stderr))

    # The second process has no fake server: it is told before it would wait for one.
    region(before=load_meanwhile)
    code, _, _ = place.run("load", path, "--env", "region", "--user", "ratih")
    assert code == 3
    ((code, out, err),) = told
    assert (code, out) == (1, "")
    assert "run 1 (load of sheet.csv) by ratih" in err


def test_a_ledger_of_a_newer_version_is_left_alone(place):
    path = place.sheet(*ROWS)
    place.load(path)
    with closing(sqlite3.connect(ledger(place), isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (("load", path), ("runs", "list"), ("review", "list")):
        assert "newer fhir-gateway" in stopped(place, *command)


def test_a_ledger_that_is_another_programs_database_is_wrong_configuration(place):
    ledger(place).parent.mkdir(parents=True)
    with closing(sqlite3.connect(ledger(place))) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")
    for command in (("load", place.sheet(*ROWS)), ("runs", "list")):
        code, out, err = place.run(*command)
        assert (code, out) == (2, "")
        assert "another program's database" in err


def test_a_ledger_that_is_no_database_is_told(place):
    ledger(place).parent.mkdir(parents=True)
    ledger(place).write_bytes(b"these are not the bytes of a database " * 100)
    for command in (("load", place.sheet(*ROWS)), ("runs", "list"), ("runs", "show", "1")):
        assert "damaged or no ledger" in stopped(place, *command)


def test_a_ledger_that_is_damaged_in_the_middle_is_told_without_a_traceback(place):
    path = place.sheet(*ROWS)
    place.load(path)
    with closing(sqlite3.connect(ledger(place), isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(ledger(place).read_bytes())
    for page in range(3, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xaa" * 200
    ledger(place).write_bytes(content)
    for file in ledger(place).parent.glob("ledger.db-*"):
        file.unlink()
    for command in (("runs", "list"), ("load", path), ("runs", "show", "1", "--row", "1")):
        code, _, err = place.run(*command)
        assert code == 1
        assert "ledger" in err
        assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_write_protected_ledger_folder_is_told(place):
    place.load(place.sheet(*ROWS))
    folder = ledger(place).parent
    folder.chmod(0o500)
    try:
        stopped(place, "load", place.sheet(*ROWS))
    finally:
        folder.chmod(0o700)


def test_a_ledger_folder_that_cannot_be_made_is_told(place):
    (place.home / ".fhir-gateway").write_text("a file stands where the folder should be")
    assert "ledger" in stopped(place, "load", place.sheet(*ROWS))


# --- disk full


@contextmanager
def full_disk(size):
    """Let no file of this process grow beyond `size` bytes: writing fails as on a full disk (EFBIG for ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_invented_region_that_meets_a_full_disk_can_be_written_again(place):
    command = ("synth", "region", "--persons", 100, "--seed", 1)
    with full_disk(10_000):
        assert "run the command again" in stopped(place, *command)
    assert place.run(*command)[0] == 0


def test_an_estimate_that_meets_a_full_disk_leaves_no_file(place, monkeypatch):
    place.run("synth", "region", "--persons", 60, "--seed", 3)
    command = ("identity", "estimate", place.home / "region" / "puskesmas.csv", "--out", place.home / "own.toml")

    @contextmanager
    def on_a_full_disk(*arguments):
        with full_disk(100), whole_file(*arguments) as file:
            yield file

    with monkeypatch.context() as patched:
        patched.setattr(identity_estimate, "whole_file", on_a_full_disk)
        assert "run the command again" in stopped(place, *command)
    assert place.run(*command)[0] == 0


@pytest.mark.parametrize("size", [0, 10_000, 60_000, 100_000, 180_000, 260_000, 300_000, 400_000, 500_000])
def test_a_load_that_meets_a_full_disk_anywhere_resumes_to_the_same_books(place, size):
    path = place.sheet(*ROWS)
    with full_disk(size):
        code, out, err = place.run("load", path)
    assert code in {1, 3}
    assert "Traceback" not in err
    assert "fault of the program" not in err
    assert (code == 3) == ("read 4 =" in out)
    summary = place.load(path)
    assert counts(summary) in (BOOKS, {"unchanged": 3, "rejected": 1})
    patients, doses = place.content()
    canonical(patients, doses)
    assert (len(patients), len(doses)) == (2, 3)


def pages(most):
    """Return a hook for new connections under which a database of more pages is a full disk (SQLITE_FULL)."""

    def limit(connection, record):
        tune(connection, record)
        connection.execute(f"PRAGMA max_page_count={most}")

    tune = database._tune
    return limit


def test_a_full_disk_under_the_ledger_stops_with_1_and_resumes(place, monkeypatch):
    path = place.sheet(
        *ROWS, *(RATNA.replace("B100", "B" * 3000 + str(n)).replace("15/04", f"{n}/05") for n in range(10, 28))
    )
    place.run("runs", "list")
    size = ledger(place).stat().st_size // 4096
    with monkeypatch.context() as patched:
        patched.setattr(database, "_tune", pages(size + 2))
        err = stopped(place, "load", path)
    assert "full" in err
    assert "run the command again" in err
    assert place.load(path)["loaded"] == 21


def test_a_full_disk_under_the_embedded_data_stops_with_1_and_resumes(place, monkeypatch):
    from fhir_gateway.embedded_server.store import Store  # noqa: PLC0415

    connect = Store._connection

    def full(self):
        connection = connect(self)
        connection.execute("PRAGMA max_page_count=1")  # as many as there are
        return connection

    place.server("Patient")
    path = place.sheet(*ROWS, *(RATNA.replace("15/04", f"{n}/05") for n in range(10, 28)))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "_connection", full)
        err = stopped(place, "load", path)
    assert "embedded server's data" in err
    assert "full" in err
    assert place.load(path)["loaded"] == 21
    assert [len(part) for part in place.content()] == [2, 21]


def test_a_full_disk_under_the_report_keeps_the_run_and_the_old_report(place, monkeypatch):
    path = place.sheet(*ROWS)
    report = place.home / "report.csv"
    report.write_text("last month's")
    write = gateway.write_report

    def on_a_full_disk(*arguments, **options):
        with full_disk(100):
            write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(gateway, "write_report", on_a_full_disk)
        err = stopped(place, "load", path, "--report", report)
    assert "report could not be written" in err
    assert report.read_text() == "last month's"
    assert list(place.home.glob(".fhir-gateway-*")) == []
    code, _, _ = place.run("load", path, "--report", report)
    assert code == 3
    assert [row["gateway_status"] for row in place.report(report)] == ["unchanged"] * 3 + ["rejected"]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_file_that_changes_before_its_report_is_written_ends_with_1(place, monkeypatch, dry):
    path = place.sheet(*ROWS)
    write = gateway.write_report

    def changed_meanwhile(*arguments, **options):
        path.write_text(path.read_text() + "\n")
        write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(gateway, "write_report", changed_meanwhile)
        err = stopped(place, "load", path, "--report", "report.csv", *dry)
    assert "has changed since it was opened" in err
    assert "the load itself is finished" in err
    assert [run["state"] for run in place.json("runs", "list")] == ([] if dry else ["finished"])
    again = place.load(path, "--report", place.home / "report.csv", *dry)
    assert again["read"] == len(place.report(place.home / "report.csv"))


def test_a_file_that_vanishes_before_it_is_read_ends_with_2(place, monkeypatch):
    path = place.sheet(*ROWS)
    opened = gateway.open_inputs

    def gone(*arguments, **options):
        inputs = opened(*arguments, **options)
        path.unlink()
        return inputs

    monkeypatch.setattr(gateway, "open_inputs", gone)
    assert "cannot be read" in refused(place, "load", path)


def test_a_full_disk_under_converted_resources_leaves_no_half_file(place):
    path = place.sheet(*ROWS)
    out = place.home / "out.ndjson"
    out.write_text("last month's")
    with full_disk(300):
        err = stopped(place, "convert", path, "--out", out)
    assert "out.ndjson: the resources could not be written" in err
    assert out.read_text() == "last month's"
    assert list(place.home.glob(".fhir-gateway-*")) == []


def test_no_report_tells_of_resources_that_a_full_disk_refused(place):
    path = place.sheet(*ROWS)
    with full_disk(1500):  # enough for the report
        err = stopped(place, "convert", path, "--out", "out.ndjson", "--report", "report.csv")
    assert "out.ndjson: the resources could not be written" in err
    assert [p.name for p in place.home.iterdir() if p != path] == []


def test_a_conversion_touches_no_file_but_its_own(place):
    path = place.sheet(*ROWS, name="out.ndjson.part")
    before = path.read_bytes()
    assert place.run("convert", path, "--out", "out.ndjson")[0] == 3
    assert path.read_bytes() == before


def test_a_full_disk_under_the_lock_of_a_load_is_told(place):
    place.load(place.sheet(*ROWS))
    told = pytest.raises(LedgerError, match=r"the lock .* cannot be written: .*; what is done is kept")
    with store.Ledger(f"sqlite:///{ledger(place)}") as opened, full_disk(0), told:
        opened.load_lock("test").__enter__()


def test_a_full_disk_under_the_report_of_a_conversion_leaves_no_half_file(place):
    path = place.sheet(*[VITAMIN] * 30)
    with full_disk(1000):
        err = stopped(place, "convert", path, "--out", "out.ndjson", "--report", "report.csv")
    assert "report.csv" in err
    assert not (place.home / "report.csv").exists()
    assert not (place.home / "out.ndjson").exists()


def test_resources_are_readable_by_their_owner_only(place):
    out = place.home / "out.ndjson"
    place.run("convert", place.sheet(*ROWS), "--out", out)
    assert out.stat().st_mode & 0o777 == 0o600


# --- faults of the program itself


def test_a_fault_of_the_program_names_its_place_and_no_data(place, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("Ratna Dewanti 3303015203200003")

    monkeypatch.setattr(client.FhirClient, "send", fail)
    code, out, err = place.run("load", place.sheet(*ROWS))
    assert (code, out) == (1, "")
    assert "ZeroDivisionError at " in err
    assert "Ratna" not in err
    assert "Traceback" not in err


def test_several_failures_at_once_reach_the_user_as_one_message(place, region):
    def fail(request):
        if request.url.path.endswith("_search"):
            raise httpx.ReadError("cut")

    region(before=fail)
    code, out, err = place.run("load", place.sheet(*ROWS), "--env", "region")
    assert (code, out.splitlines()[-1]) == (3, "read 4 = loaded 0 + unchanged 0 + review 0 + rejected 1 + failed 3")
    assert "Group" not in out + err
    assert "TaskGroup" not in json.dumps(place.json("runs", "show", 1, "--row", 1, "--env", "region"))


def test_the_lock_is_free_after_every_end(place):
    path = place.sheet(*ROWS)
    with full_disk(60_000):
        place.run("load", path)
    with store.Ledger(f"sqlite:///{ledger(place)}") as opened, opened.load_lock("test"):
        pass
