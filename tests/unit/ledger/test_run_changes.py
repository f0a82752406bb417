"""What runs wrote is found by indexes, whatever a ledger holds beside it."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from fhir_gateway.domain.changes import ChangeFilter, ChangePlace
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import RunKind, Settlement, SpooledRecord, WrittenResource
from fhir_gateway.ledger.store import Ledger

BEGUN = datetime(2024, 5, 1, 23, tzinfo=UTC)


def record(number):
    return SpooledRecord(number, 0, number, f"key-{number}", "c", "x", number, {}, (), ())


def run_of(ledger, hours, *patients, kind=RunKind.LOAD):
    """Write a run of three hours whose records each wrote one Patient ("" wrote nothing); return it."""
    started = BEGUN + timedelta(hours=hours)
    run = ledger.runs.start(kind=kind, fingerprint="f", files=(), clinic="", user=f"user-{hours}", started=started)
    ledger.spool.add(run, [(record(number), None) for number in range(1, len(patients) + 1)])
    ledger.spool.settle(
        run,
        [
            Settlement(
                number,
                Outcome.LOADED if patient else Outcome.UNCHANGED,
                patient_id=patient,
                written=(WrittenResource(f"Patient/{patient}", created=True, version="1"),) if patient else (),
            )
            for number, patient in enumerate(patients, start=1)
        ],
    )
    ledger.runs.finish(run, started + timedelta(hours=3))
    return run


@pytest.fixture
def ledger(tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        with opened.transaction():
            run_of(opened, 0, "a", "b")
            run_of(opened, 1, "", "", "")
            run_of(opened, 24, "a", "c")
        yield opened


def told(ledger, after=None, **wanted):
    found = ledger.run_changes.of(ChangeFilter(**wanted), after=after or ledger.run_changes.newest())
    return [(one.run, one.patient) for one in found]


def test_the_newest_come_first_and_go_on_behind_any_place(ledger):
    everything = [(3, "c"), (3, "a"), (1, "b"), (1, "a")]
    assert told(ledger) == everything
    places = [one.place for one in ledger.run_changes.of(ChangeFilter(), after=ledger.run_changes.newest())]
    for number, place in enumerate(places, start=1):
        assert told(ledger, after=place) == everything[number:]


def test_a_run_is_found_by_all_of_its_time(ledger):
    assert told(ledger, since=BEGUN + timedelta(hours=2), until=BEGUN + timedelta(hours=5)) == [(1, "b"), (1, "a")]
    assert told(ledger, since=BEGUN + timedelta(hours=4), until=BEGUN + timedelta(hours=23)) == []
    assert told(ledger, until=BEGUN) == [(1, "b"), (1, "a")]


def test_by_user_run_and_patient(ledger):
    assert told(ledger, user="user-24") == [(3, "c"), (3, "a")]
    assert told(ledger, run=2) == []
    assert told(ledger, patients=("a",)) == [(3, "a"), (1, "a")]
    assert told(ledger, patients=("a", "b"), run=1) == [(1, "b"), (1, "a")]


def test_one_is_found_at_its_place_only(ledger):
    found = next(iter(ledger.run_changes.of(ChangeFilter(), after=ledger.run_changes.newest())))
    assert ledger.run_changes.get(found.place) == found
    assert ledger.run_changes.get(ChangePlace(3, 2, 2)) is None
    assert ledger.run_changes.get(ChangePlace(9, 1, 1)) is None


@pytest.mark.parametrize("wanted", [{}, {"patients": ("a",)}, {"run": 1}, {"user": "user-0"}])
def test_no_query_goes_through_all_records(ledger, wanted):
    asked = []
    engine = ledger.run_changes._connection.engine
    listen = ("before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    event.listen(engine, *listen)
    told(ledger, **wanted)
    event.remove(engine, *listen)
    plans = [
        step
        for statement, values in asked
        for *_, step in ledger.run_changes._connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    ]
    assert [one for one in plans if "records" in one]
    assert not [one for one in plans if one.startswith("SCAN records") or ("USE TEMP B-TREE" in one and not wanted)]
    expected = "records_by_patient" if "patients" in wanted else "records_written"
    assert any(expected in one for one in plans)


def test_a_ledger_of_the_schema_before_is_given_the_place(tmp_path):
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as before:
        with Ledger(f"sqlite:///{tmp_path}/ledger.db"):
            pass
        before.executescript(
            "DROP INDEX records_written; ALTER TABLE records DROP COLUMN written;"
            "ALTER TABLE answers DROP COLUMN written; UPDATE alembic_version SET version_num = '0007'"
        )
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger, ledger.transaction():
        run_of(ledger, 0, "a")
        assert told(ledger) == [(1, "a")]
        assert list(ledger.answer_changes.of(ChangeFilter(), after=ledger.answer_changes.newest())) == []
