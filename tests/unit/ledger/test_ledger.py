"""The ledger keeps what it is given, and says clearly when it cannot."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from fhir_gateway.domain.errors import LedgerError, UsageError
from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Dose
from fhir_gateway.domain.runs import (
    KnownKey,
    ListedDose,
    ListedRow,
    ReviewKind,
    RunKind,
    Settlement,
    SpooledRecord,
)
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger import compile_schema
from fhir_gateway.ledger.database import REVISION
from fhir_gateway.ledger.store import Ledger

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENT = {"resourceType": "Patient", "birthDate": "2020-02-02"}
LISTED = ListedRow(
    "clinic/sheet",
    line=True,
    doses=(ListedDose("19", "1", "2020-03-01", "B100"), ListedDose("08", "", "2020-02-03", "")),
)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/ledger.db"


@pytest.fixture
def ledger(url):
    with Ledger(url) as opened:
        yield opened


def started(ledger, kind=RunKind.LOAD):
    with ledger.transaction():
        return ledger.runs.start(kind=kind, fingerprint="f", files=[], clinic="c", user="u", started=NOW)


def record(number=1, *, key="k1", content="c1", person=1):
    return SpooledRecord(number, 0, number, key, "c", content, person, PATIENT, (Dose("", {"lotNumber": "A"}),), ())


def spooled(ledger, run, *records):
    with ledger.transaction():
        ledger.spool.people(run, {"d": PATIENT})
        ledger.spool.add(run, [(r, None) for r in records])


def test_the_newest_revision_is_the_one_that_the_code_names():
    config = Config()
    config.set_main_option("script_location", str(files("fhir_gateway.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_a_new_ledger_is_made_as_the_migrations_make_it():
    assert compile_schema.SCRIPT.read_text(encoding="utf-8") == compile_schema.compiled()


def test_a_new_ledger_is_migrated_where_the_script_is_older(tmp_path, monkeypatch):
    script = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: script)
    with Ledger(f"sqlite:///{tmp_path}/new.db") as ledger:
        monkeypatch.undo()
        started(ledger)
        assert len(ledger.runs.all()) == 1


def test_nobody_else_can_read_the_file(ledger, tmp_path):
    mode = stat.S_IMODE((tmp_path / "deep" / "ledger.db").stat().st_mode)
    assert mode == 0o600


def test_a_ledger_of_a_newer_version_is_refused(ledger, url):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="newer fhir-gateway"):
        Ledger(url)


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 50)
    with pytest.raises(LedgerError, match="damaged or no ledger"):
        Ledger(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE accounts (id INTEGER)",
        "CREATE TABLE runs (id INTEGER); CREATE TABLE keys (id INTEGER)",
        "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE orders (id INTEGER)",
        "PRAGMA application_id = 252006674; CREATE TABLE t (a); DROP TABLE t",
        "PRAGMA user_version = 3; CREATE TABLE t (a); DROP TABLE t",
    ],
)
def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path, script):
    path = tmp_path / "books.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another program's database"):
        Ledger(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["books.db"]


def test_a_folder_in_the_ledgers_place_is_refused_and_left_as_it_is(tmp_path):
    folder = tmp_path / "ledger"
    folder.mkdir(mode=0o755)
    with pytest.raises(UsageError, match="is a folder"):
        Ledger(f"sqlite:///{folder}")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.parametrize("script", ["", "CREATE TABLE t (a); DROP TABLE t"])
def test_an_empty_database_becomes_a_ledger(tmp_path, script):
    path = tmp_path / "ledger.db"
    path.touch()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    with Ledger(f"sqlite:///{path}") as ledger:
        started(ledger)
        assert len(ledger.runs.all()) == 1


def test_a_second_load_is_told_which_one_runs(ledger, url):
    with ledger.load_lock("load of a"), Ledger(url) as other, pytest.raises(LedgerError, match="load of a"):
        other.load_lock("load of b").__enter__()


def test_a_second_load_beside_one_that_has_not_told_its_name_yet_is_told_so(ledger, url):
    with ledger.load_lock(""), Ledger(url) as other, pytest.raises(LedgerError, match="just begun"):
        other.load_lock("load of b").__enter__()


def test_the_lock_is_free_again_after_a_load(ledger, url):
    with ledger.load_lock("first"):
        pass
    with Ledger(url) as other, other.load_lock("second"):
        pass


def test_an_answer_waits_for_that_of_another_process(ledger, url, monkeypatch):
    order = []

    async def answer(of, name, *, after):
        async with of.answer_lock(name), of.answer_lock("what hangs on it"):
            await after
            order.append(name)

    async def both():
        with Ledger(url) as other:
            free = asyncio.Event()
            waiting = asyncio.create_task(answer(ledger, "first", after=free.wait()))
            await asyncio.sleep(0)
            second = asyncio.create_task(answer(other, "second", after=asyncio.sleep(0)))
            await asyncio.sleep(0)
            free.set()
            await asyncio.gather(waiting, second)

    monkeypatch.setattr("fhir_gateway.ledger.store._PAUSE", 0)
    asyncio.run(both())
    assert order == ["first", "second"]


def test_an_answer_waits_no_longer_than_a_minute_for_another(ledger, url, monkeypatch):
    monkeypatch.setattr("fhir_gateway.ledger.store._PAUSE", 0)

    async def held():
        async with ledger.answer_lock("review 6, by dewi"):
            with Ledger(url) as other:
                async with other.answer_lock("review 7"):
                    pass

    with pytest.raises(LedgerError, match="review 6, by dewi"):
        asyncio.run(held())


def test_an_answer_leaves_the_rows_of_a_load_that_goes_on(ledger):
    load, answer = started(ledger), started(ledger, RunKind.REVIEW)
    spooled(ledger, load, record())
    with ledger.transaction():
        ledger.spool.release(answer, ["k1"])
    assert ledger.spool.patients_of(load, [1]) == {1: PATIENT}


def test_a_spooled_record_comes_back_as_it_was(ledger):
    run = started(ledger)
    spooled(ledger, run, record())
    assert ledger.spool.records_of(run, [1]) == [record()]


def test_the_books_count_every_record_once(ledger):
    run = started(ledger)
    spooled(ledger, run, record(1), record(2, key="k2"), record(3, key="k3"))
    with ledger.transaction():
        ledger.spool.settle(run, [Settlement(1, Outcome.LOADED), Settlement(2, Outcome.REVIEW, "why", "words")])
    totals = ledger.runs.totals(run)
    assert (totals.read, totals.outcomes, totals.reasons) == (3, {Outcome.LOADED: 1, Outcome.REVIEW: 1}, {"why": 1})


def test_rows_of_a_person_share_its_patient(ledger):
    run = started(ledger)
    spooled(ledger, run, record(1), record(2, key="k2"))
    first, second = ledger.spool.records_of(run, [1])
    assert first.patient is second.patient


def test_records_are_found_by_their_keys_until_they_are_settled(ledger):
    run = started(ledger)
    spooled(ledger, run, record(1), record(2, key="k2"), record(3, key="k1"), record(4, key="k3"))
    with ledger.transaction():
        ledger.spool.settle(run, [Settlement(3, Outcome.LOADED)])
    assert [found.number for found in ledger.spool.records_with(run, ["k2", "k1", "k9"])] == [1, 2]


def test_what_is_open_gets_one_outcome_and_can_still_be_sent(ledger):
    run = started(ledger)
    spooled(ledger, run, record(1), record(2, key="k2"), record(3, key="k3"))
    with ledger.transaction():
        ledger.spool.settle(run, [Settlement(2, Outcome.LOADED)])
        assert ledger.spool.settle_open(run, Settlement(0, Outcome.FAILED, "gone", "words")) == 2
    assert ledger.runs.totals(run).outcomes == {Outcome.LOADED: 1, Outcome.FAILED: 2}
    assert list(ledger.spool.parked(run, Outcome.FAILED)) == [record(1), record(3, key="k3")]


def test_long_lists_come_page_by_page_and_whole(ledger, monkeypatch):
    monkeypatch.setattr("fhir_gateway.ledger.spool.spool.CHUNK", 2)
    monkeypatch.setattr("fhir_gateway.ledger.spool.spool._WITH_RESOURCES", 3)
    monkeypatch.setattr("fhir_gateway.ledger.spool.people.CHUNK", 2)
    run = started(ledger)
    patients = {f"d{n}": {**PATIENT, "id": str(n)} for n in range(1, 6)}
    with ledger.transaction():
        ledger.spool.people(run, patients)
        rows = [(record(n, key=f"k{n}", person=1 + n % 5), None) for n in range(1, 8)]
        ledger.spool.add(run, rows)
    assert [found.number for found in ledger.spool.unsettled(run)] == [1, 2, 3, 4, 5, 6, 7]
    assert list(ledger.spool.open_numbers(run)) == [1, 2, 3, 4, 5]
    with ledger.transaction():
        ledger.spool.settle_open(run, Settlement(0, Outcome.FAILED, "gone", "words"))
    assert [row for row, _, _ in ledger.spool.settlements(run, file=0)] == [1, 2, 3, 4, 5, 6, 7]
    assert [found.number for found in ledger.spool.parked(run, Outcome.FAILED)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_failed_transaction_leaves_nothing(ledger):
    run = started(ledger)
    transaction = ledger.transaction()
    transaction.__enter__()
    ledger.spool.add(run, [(record(), None)])
    assert not transaction.__exit__(RuntimeError, RuntimeError(), None)
    assert ledger.runs.totals(run).read == 0


def test_a_key_with_two_contents_is_a_conflict(ledger):
    run = started(ledger)
    spooled(ledger, run, record(1), record(2), record(3, key="k2"), record(4, key="k2", content="other"))
    assert ledger.spool.conflicts(run) == ["k2"]


def test_who_only_waits_is_told_from_who_has_an_open_record(ledger):
    run, why = started(ledger), {"why"}
    with ledger.transaction():
        numbers = ledger.spool.people(run, {f"d{n}": {**PATIENT, "id": str(n)} for n in (1, 2, 3)})
        ledger.spool.add(run, [(record(n, key=f"k{n}", person=n if n < 4 else 1), None) for n in (1, 2, 3, 4)])
        settled = [Settlement(1, Outcome.REVIEW, "why"), Settlement(2, Outcome.REVIEW, "why")]
        ledger.spool.settle(run, [*settled, Settlement(3, Outcome.REVIEW, "other")])
    assert sorted(numbers.values()) == [1, 2, 3]
    assert ledger.spool.only_waiting(run, why) == {2}
    assert list(ledger.spool.open_numbers(run)) == [1]
    assert list(ledger.spool.open_numbers(run, waiting=why)) == [1, 2]
    assert [number for number, _, _ in ledger.spool.open_people(run, waiting=why)] == [1, 2]
    assert ledger.spool.keys_of(run, [1, 2, 3], waiting=why) == {1: ["k1", "k4"], 2: ["k2"]}
    assert [found.number for found in ledger.spool.records_of(run, [1, 2, 3], waiting=why)] == [1, 2, 4]


def test_what_is_known_of_a_key_comes_back(ledger):
    run = started(ledger)
    known = KnownKey("k1", "p1", "c1", {"HB0": "i1"}, {"patient": {"name": ("d1", "d2")}}, NOW, ("c0",), LISTED)
    with ledger.transaction():
        ledger.keys.learn(run, [known])
    assert ledger.keys.known(["k1", "k2"]) == {"k1": known}


def test_what_rows_told_of_a_patients_doses_comes_back_but_for_those_that_are_read_again(ledger):
    run, later = started(ledger), started(ledger)
    with ledger.transaction():
        ledger.keys.learn(run, [KnownKey(key, "p1", "c1", {}, {}, NOW, listed=LISTED) for key in ("k1", "k2")])
        ledger.keys.learn(run, [KnownKey("k3", "p1", "c1", {}, {}, NOW), KnownKey("k4", "p2", "c1", {}, {}, NOW)])
    spooled(ledger, later, record(key="k2"))
    assert ledger.keys.listed(later, ["p1", "p2"]) == [("p1", run.id, LISTED)]
    assert len(ledger.keys.listed(run, ["p1"])) == 2


def test_a_lot_is_counted_by_the_patients_who_have_its_rows_now(ledger):
    run = started(ledger)
    with ledger.transaction():
        ledger.keys.learn(run, [KnownKey(f"k{n}", f"p{n}", "c1", {}, {}, NOW) for n in range(3)])
        ledger.keys.count_lots([(7, "k0"), (7, "k0"), (7, "k1"), (-8, "k2")])
        ledger.keys.count_lots([(7, "k0")])
    assert [ledger.keys.received(lot) for lot in (7, -8, 9)] == [2, 1, 0]
    with ledger.transaction():
        ledger.merged_keys.follow(1, survivor="p0", replaced=["p1"], doses={})
    assert ledger.keys.received(7) == 1


def test_a_run_keeps_the_thresholds_that_it_was_decided_by(ledger):
    run = started(ledger)
    assert not ledger.runs.get(run.id).thresholds
    with ledger.transaction():
        ledger.runs.decide_by(run, MatchingPolicy(certain=12.0).thresholds())
    assert ledger.runs.get(run.id).thresholds == {
        "certain": 12.0, "probable": 3.0, "possible": -4.0, "margin": 5.0, "prior": -17.0
    }  # fmt: skip


def asked(ledger, run, *records, person=1):
    with ledger.transaction():
        decision = PersonDecision((person,), PersonAction.REVIEW, Grade.PROBABLE, "why", "words", candidates=("p1",))
        return ledger.reviews.ask(
            run,
            records,
            kind=ReviewKind.PERSON,
            code="why",
            text="words",
            suggestion="do",
            opened=NOW,
            decision=decision,
        )


def test_the_same_doubt_of_a_later_load_does_not_ask_twice(ledger):
    first = started(ledger)
    second = started(ledger)
    assert asked(ledger, first, record()) == asked(ledger, second, record())
    assert [item.rows for item in ledger.reviews.open_items()] == [1]


def test_rows_asked_about_together_before_are_two_questions_once_a_load_takes_them_for_two_people(ledger):
    one, other = record(), record(2, key="k2", person=2)
    before = asked(ledger, started(ledger), one, other)
    run = started(ledger)
    assert asked(ledger, run, one) == before
    second = asked(ledger, run, other, person=2)
    assert second != before
    assert asked(ledger, run, other, person=2) == second  # the same question of a run that was cut off and goes on
    assert [(item.id, item.decision.members) for item in ledger.reviews.open_items()] == [
        (before, (1,)),
        (second, (2,)),
    ]
    assert [item.rows for item in ledger.reviews.open_items()] == [1, 1]


def test_a_doubt_that_has_been_loaded_meanwhile_no_longer_waits(ledger):
    asked(ledger, started(ledger), record())
    with ledger.transaction():
        ledger.reviews.settled_elsewhere(["k1"])
    assert ledger.reviews.open_items() == []


def test_a_dry_run_asks_nobody(ledger):
    asked(ledger, started(ledger, RunKind.DRY_RUN), record())
    assert ledger.reviews.open_items() == []


def test_people_who_share_a_blocking_key_are_paired_once(ledger):
    run = started(ledger)
    with ledger.transaction():
        ledger.spool.block(run, [(7, 1), (7, 2), (8, 1), (8, 2), (9, 3)])
    assert list(ledger.spool.pairs(run, largest_block=10)) == [(7, 1, 2)]


def test_pairs_of_one_block_come_together(ledger):
    run = started(ledger)
    with ledger.transaction():
        ledger.spool.block(run, [(-4, 1), (-4, 3), (9, 1), (9, 2), (9, 3), (6, 2), (6, 3)])
    assert list(ledger.spool.pairs(run, largest_block=10)) == [(-4, 1, 3), (6, 2, 3), (9, 1, 2)]


def test_a_block_that_is_too_large_pairs_nobody(ledger):
    run = started(ledger)
    with ledger.transaction():
        ledger.spool.block(run, [(7, person) for person in range(1, 6)])
    assert list(ledger.spool.pairs(run, largest_block=4)) == []
