"""Two connections of one process and one of another: nobody's log is deleted under somebody else."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

from fhir_gateway.domain.merge_jobs import JobPart
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.ledger.store import Ledger

ANOTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
connection.close()
"""


def visit(database):
    """Let another process open a database and close it again, as a command beside a server does."""
    subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, str(database)], timeout=300, check=True)


def test_a_ledger_opened_twice_keeps_its_log_when_another_process_leaves(tmp_path):
    database = tmp_path / "ledger.db"
    with Ledger(f"sqlite:///{database}") as first:
        with Ledger(f"sqlite:///{database}"):
            pass
        first.access.all()
        visit(database)
        assert database.with_name("ledger.db-wal").exists()
        with first.transaction():
            first.merge_jobs.add(
                [JobPart("3303015203200003")], user="u", dry_run=True, at=datetime(2026, 1, 2, tzinfo=UTC)
            )
        with sqlite3.connect(database) as seen:
            assert seen.execute("SELECT count(*) FROM merge_jobs").fetchone() == (1,)
        seen.close()


def test_an_embedded_server_opened_twice_keeps_its_log_when_another_process_leaves(tmp_path):
    first = EmbeddedServer(tmp_path)
    EmbeddedServer(tmp_path).close()
    visit(tmp_path / "fhir.db")
    assert (tmp_path / "fhir.db-wal").exists()
    first.close()
