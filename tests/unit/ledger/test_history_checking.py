"""No byte of the journal or its history can change without being noticed; what was erased is told, not missed."""

import base64
import shutil
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Integer
from tests.fakes.merge_plans import NIK, NOW, group_plan, provenance

from fhir_gateway.audit.checkpoints import new_private_key, origin, read_signing_key
from fhir_gateway.audit.verify_history import Checkpoint, leaf_hash
from fhir_gateway.domain.errors import LedgerError, UsageError
from fhir_gateway.domain.history import HistoryEvent
from fhir_gateway.domain.merges import ChangeState
from fhir_gateway.ledger.merges import history_checking
from fhir_gateway.ledger.merges.erasing import MergeErasing
from fhir_gateway.ledger.merges.history import Addition
from fhir_gateway.ledger.merges.history_checking import check_history
from fhir_gateway.ledger.merges.rows import step_line
from fhir_gateway.ledger.merges.tables import TABLES
from fhir_gateway.ledger.store import Ledger

SEED = base64.b64encode(bytes(32)).decode()


def applied(ledger, plan):
    with ledger.transaction():
        merge = ledger.merges.begin(7, plan, [provenance()], user="ani", at=NOW)
        answers = [
            replace(change, state=ChangeState.DONE, after_version="2") for change in ledger.merges.changes(merge.id)
        ]
        answers[2] = replace(answers[2], state=ChangeState.FAILED, message="it is locked")
        ledger.merges.settle(merge.id, answers, requests=3)
        ledger.merges.replace(merge.id, [replace(answers[2], state=ChangeState.PLANNED, before_version="4")])
        return ledger.merges.finish(merge.id, at=NOW + timedelta(seconds=5), remaining=["Task/1"])


def signed(ledger):
    """Sign and keep a checkpoint over everything so far."""
    history = ledger.merges.history
    with ledger.transaction():
        key = read_signing_key(origin("west", history.ledger_id()), SEED)
        history.add(Addition(HistoryEvent.KEY, notes={"key": str(key.public)}))
        head = history.head()
        note = key.sign(head, time=NOW)
        history.keep_checkpoint(note, head, at=NOW)
    return note


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A ledger with three merges, one undone, a decision and two checkpoints; the second one is returned, too."""
    path = tmp_path_factory.mktemp("made") / "ledger.db"
    with Ledger(f"sqlite:///{path}") as ledger:
        applied(ledger, group_plan())
        signed(ledger)
        second = applied(ledger, group_plan(survivor="a1", replaced=("a2", "a3"), nik="3174016203950009"))
        with ledger.transaction():
            ledger.merges.begin_undo(second.id, user="budi", at=NOW, reason="they are twins")
            ledger.merges.finish_undo(second.id, at=NOW, conflicts=[{"resource": "Patient/a2"}])
            ledger.merges.part(["x1", "x2"], user="budi", at=NOW, reason="siblings")
        note = signed(ledger)
        applied(ledger, group_plan(survivor="c1", replaced=("c2",), nik=""))
    return path, note


@pytest.fixture(scope="module")
def bare(made, tmp_path_factory):
    """A copy of the ledger without its triggers, as somebody sees it who opens the file."""
    path = shutil.copy(made[0], tmp_path_factory.mktemp("bare") / "ledger.db")
    with Ledger(f"sqlite:///{path}") as ledger:
        connection = ledger._connection
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        for name in names:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.commit()
        yield connection


@pytest.fixture
def faults_after(bare, monkeypatch):
    """Return a function that does something to the copy, checks it, and takes that back."""
    monkeypatch.setattr(history_checking, "snapshot", lambda _: nullcontext())

    def change(*statements, checkpoint=""):
        try:
            for statement in statements:
                bare.exec_driver_sql(*statement)
            given = {"the given one": Checkpoint.parse(checkpoint)} if checkpoint else {}
            return [str(fault) for fault in check_history(bare, given, []).faults]
        finally:
            bare.rollback()

    return change


def cells(connection, table, column):
    return connection.exec_driver_sql(f'SELECT rowid, "{column}" FROM {table}').all()


def with_another_byte(value, place):
    """Return a value that differs in one byte; numbers and empty texts in the smallest way."""
    if isinstance(value, int):
        return value + 1
    if not value:
        return "x" if isinstance(value, str) else b"x"
    body = bytearray(value.encode() if isinstance(value, str) else value)
    body[place % len(body)] ^= 1
    return body.decode(errors="replace") if isinstance(value, str) else bytes(body)


def test_an_untouched_ledger_passes(made):
    path, note = made
    with Ledger(f"sqlite:///{path}") as ledger:
        check = check_history(ledger._connection, {"kept elsewhere": Checkpoint.parse(note)}, [])
    assert check.faults == []
    assert (check.tree.size, check.merges, len(check.checkpoints), check.erased) == (20, 3, 2, {})


@pytest.mark.parametrize(
    ("table", "column"), [(table.name, column.name) for table in TABLES for column in table.columns]
)
def test_a_change_of_any_column_of_any_row_is_noticed(bare, faults_after, table, column):
    rows = cells(bare, table, column)
    assert rows
    update = f'UPDATE OR REPLACE {table} SET "{column}" = ? WHERE rowid = ?'
    unnoticed = [
        rowid for rowid, value in rows if not faults_after((update, (with_another_byte(value, 7 * rowid), rowid)))
    ]
    assert unnoticed == []


@pytest.mark.parametrize("value", ["x", 7, b"\xff", 1e300, ""], ids=repr)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_value_of_another_kind_is_a_fault_like_any_other(bare, faults_after, table, value):
    unnoticed = []
    for column in table.columns:
        rowid, stands = cells(bare, table, column.name)[-1]
        update = f'UPDATE OR REPLACE {table.name} SET "{column.name}" = ? WHERE rowid = ?'
        with suppress(LedgerError):  # SQLite itself refuses some
            if stands != value and (stands or value) and not faults_after((update, (value, rowid))):
                unnoticed.append(column.name)
    assert unnoticed == []


LONG = [
    (table.name, column.name)
    for table in TABLES
    for column in table.columns
    if column.name in {"entry", "leaf", "salt", "body", "bodies", "note"} and not isinstance(column.type, Integer)
]


@settings(derandomize=True, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(LONG), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 255))
def test_a_change_of_any_byte_is_noticed(bare, faults_after, place, which, byte, change):
    table, column = place
    filled = [(rowid, value) for rowid, value in cells(bare, table, column) if value]
    rowid, value = filled[which % len(filled)]
    body = bytearray(value.encode() if isinstance(value, str) else value)
    body[byte % len(body)] ^= change
    new = body.decode("latin-1") if isinstance(value, str) else bytes(body)
    assert faults_after((f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (new, rowid)))


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_a_row_that_was_deleted_is_missed(bare, faults_after, table):
    rows = [rowid for rowid, _ in cells(bare, table, "rowid")]
    assert [r for r in rows if not faults_after((f"DELETE FROM {table} WHERE rowid = ?", (r,)))] == []


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_rows_that_were_doubled_are_noticed(bare, faults_after, table):
    columns = [column.name for column in next(t for t in TABLES if t.name == table).columns]
    first = {"history_details": "entry", "merges": "id", "checkpoints": "size", "history": "number"}.get(table, "entry")
    kept = ", ".join(f'"{name}"' for name in columns if name != first)
    statement = f'INSERT INTO {table} ("{first}", {kept}) SELECT "{first}" + 1000, {kept} FROM {table} WHERE rowid = 2'
    if table == "checkpoints":
        statement = statement.replace("WHERE rowid = 2", "LIMIT 1")
    assert faults_after((statement,))


def test_entries_that_changed_places_are_named(faults_after):
    swap = "UPDATE history SET number = ? WHERE number = ?"
    found = faults_after((swap, (99, 4)), (swap, (4, 5)), (swap, (5, 99)))
    assert found[0] == "history 4: says of itself that it is entry 5"


def test_bytes_that_moved_from_a_part_into_its_salt_are_missed(bare, faults_after):
    statement = "SELECT salt, body FROM history_details WHERE entry = 2 AND part = 'plan'"
    salt, body = bare.exec_driver_sql(statement).one()
    update = "UPDATE history_details SET salt = ?, body = ? WHERE entry = 2 AND part = 'plan'"
    for at in (1, len(body)):
        found = faults_after((update, (salt + body[:at], body[at:])))
        assert found == ["history_details 2 plan: was changed: bytes stand elsewhere than they were hashed"]


def test_rows_that_moved_into_the_part_beside_them_are_missed(bare, faults_after):
    rows = bare.exec_driver_sql("SELECT * FROM merge_steps WHERE entry = 3 ORDER BY number").mappings().all()
    body = b"".join(step_line(row) + b"\n" for row in rows)
    update = "UPDATE history_details SET body = ? WHERE entry = 3 AND part = 'steps'"
    found = faults_after((update, (body,)), ("DELETE FROM merge_steps WHERE entry = 3",))
    assert found == ["merge_steps 3 steps: was changed: bytes stand elsewhere than they were hashed"]


def test_an_entry_of_a_merge_that_was_not_begun_is_named(bare, faults_after):
    body = (
        bare.exec_driver_sql("SELECT entry FROM history WHERE number = 3").scalar().replace(b'"merge":1', b'"merge":9')
    )
    found = faults_after(
        ("UPDATE history SET entry = ?, leaf = ?, merge = 9 WHERE number = 3", (body, leaf_hash(body)))
    )
    assert found[0] == "history 3: belongs to merge 9, which was not begun"


def with_keys(ledger, *keys):
    check = check_history(ledger._connection, {}, keys)
    return [str(fault) for fault in check.faults], check.signed


def test_a_history_that_was_signed_by_another_key_is_not_the_gateway_s(ledger):
    name = origin("west", ledger.merges.history.ledger_id())
    own = read_signing_key(name, SEED).public
    assert with_keys(ledger) == with_keys(ledger, own) == ([], 15)
    faults, signed = with_keys(ledger, read_signing_key(name, new_private_key()).public)
    assert signed == 0
    assert [fault.partition(":")[0] for fault in faults] == ["checkpoints 6", "checkpoints 15"]
    assert all("which only the history itself names" in fault for fault in faults)


def test_an_environment_that_was_renamed_has_the_same_key(ledger):
    known = ledger.merges.history.ledger_id()
    assert with_keys(ledger, read_signing_key(origin("east", known), SEED).public) == ([], 15)
    assert with_keys(ledger, read_signing_key(origin("west", "00ff"), SEED).public)[1] == 0


def test_the_first_bad_row_is_named(faults_after):
    found = faults_after(("UPDATE merge_changes SET before_version = 'x' WHERE entry = 2 AND number = 3",))
    assert found == ["merge_changes 2 changes: was changed: it does not have the hash that the entry holds"]
    found = faults_after(("DELETE FROM history WHERE number = 9",))
    assert found[0] == "history 10: entry 9 should stand here: entries are missing or out of order"


def cut_off(after, merge):
    """Return what takes everything after an entry away, and the merges that began there."""
    tables = ("history_details", "merge_changes", "merge_steps", "merge_subjects")
    return [
        (f"DELETE FROM history WHERE number > {after}",),
        *((f"DELETE FROM {table} WHERE entry > {after}",) for table in tables),
        (f"DELETE FROM checkpoints WHERE size >= {after}",),
        (f"DELETE FROM merges WHERE id >= {merge}",),
    ]


def test_only_a_checkpoint_shows_that_the_end_was_cut_off(made, faults_after):
    assert faults_after(*cut_off(7, 2)) == []
    found = faults_after(*cut_off(7, 2), checkpoint=made[1])
    assert found == ["the given one: vouches for 15 entries, but there are 7: the end of the history was cut off"]


def test_a_history_that_was_written_anew_does_not_fit_the_checkpoint(made, tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/other.db") as other:
        for n in range(6):
            applied(other, group_plan(survivor=f"n{n}"))
        check = check_history(other._connection, {"mine": Checkpoint.parse(made[1])}, [])
    assert str(check.faults[0]) == "mine: is a checkpoint of another ledger"
    assert "not signed" in str(check.faults[1])


@pytest.fixture
def ledger(made, tmp_path):
    path = shutil.copy(made[0], tmp_path / "ledger.db")
    with Ledger(f"sqlite:///{path}") as opened:
        yield opened


def erased(ledger, **who):
    erasing = MergeErasing(ledger._connection, ledger.merges.history)
    what = erasing.find(**who)
    with ledger.transaction():
        erasing.erase(what, user="ani", reason="request 12", at=NOW)
    return what


def test_what_was_erased_is_gone_and_the_history_is_still_good(made, ledger):
    what = erased(ledger, nik=NIK)
    assert (what.merges, what.applied) == ((1,), (1,))
    merge = ledger.merges.get(1)
    assert (merge.nik, merge.survivor, merge.replaced, merge.failed, merge.remaining) == ("", "", (), (), ())
    assert list(ledger.merges.changes(1)) == []
    assert ledger.merges.plan_of(1) is None
    check = check_history(ledger._connection, {"kept elsewhere": Checkpoint.parse(made[1])}, [])
    assert (check.faults, check.erased) == ([], {1: 21})
    with pytest.raises(LedgerError, match="was erased"), ledger.transaction():
        ledger.merges.begin_undo(1, user="x", at=NOW, reason="")


def test_nothing_of_the_person_stays_in_the_file(ledger, tmp_path):
    erased(ledger, nik=NIK)
    ledger.compact()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert NIK.encode() not in left
    assert b"3174016203950009" in left


def test_decisions_to_part_are_erased_too(ledger):
    what = erased(ledger, patient="x1")
    assert (what.merges, what.entries) == ((), (14,))
    assert ledger.merges.kept_apart(["x1", "x2"]) == set()
    assert check_history(ledger._connection, {}, []).faults == []


def test_an_undone_merge_does_not_drag_the_other_person_s_merges_along(ledger):
    applied(ledger, group_plan(survivor="a3", replaced=("a4",), nik=""))
    erasing = MergeErasing(ledger._connection, ledger.merges.history)
    assert erasing.find(patient="a1").merges == (2,)
    assert erasing.find(patient="a4").merges == (2, 4)
    assert erasing.find(nik="0000000000000000").merges == ()


def test_a_patient_who_was_merged_on_is_followed(ledger):
    applied(ledger, group_plan(survivor="p9", replaced=("p1",), nik=""))
    erasing = MergeErasing(ledger._connection, ledger.merges.history)
    assert erasing.find(nik=NIK).merges == (1, 4)


def test_a_merge_that_is_not_finished_is_not_erased(ledger):
    with ledger.transaction():
        ledger.merges.begin(8, group_plan(survivor="z1"), [], user="ani", at=NOW)
    with pytest.raises(UsageError, match="merge 4 is not finished"):
        MergeErasing(ledger._connection, ledger.merges.history).find(patient="z1")


def test_a_deletion_that_no_entry_tells_of_is_no_erasing(faults_after):
    found = faults_after(
        ("DELETE FROM history_details WHERE entry = 2 AND part IN ('person', 'plan', 'changes')",),
        ("DELETE FROM merge_changes WHERE entry = 2",),
        ("DELETE FROM merge_subjects WHERE entry = 2",),
    )
    assert found == ["history_details 2: a part is missing, and no later entry tells that it was erased"]


def test_what_should_have_been_erased_is_noticed(ledger):
    rows = ledger._connection.exec_driver_sql("SELECT * FROM history_details WHERE entry = 2 AND part = 'plan'").all()
    erased(ledger, nik=NIK)
    with ledger.transaction():
        ledger._connection.exec_driver_sql("INSERT INTO history_details VALUES (?, ?, ?, ?)", tuple(rows[0]))
    faults = [str(fault) for fault in check_history(ledger._connection, {}, []).faults]
    assert faults == ["history_details 2: stands here although entry 21 says erased"]
