"""Checks a ledger's history and everything that stands beside it, row by row."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Row

from fhir_gateway.audit.verify_history import Checkpoint, HistoryCheck, PublicKey, StoredPart, leaf_hash
from fhir_gateway.domain.history import HistoryEvent, Part
from fhir_gateway.ledger import codec
from fhir_gateway.ledger.merges import rows as merge_rows
from fhir_gateway.ledger.merges.beside import PAGE, ROWS, Beside, plain, snapshot
from fhir_gateway.ledger.merges.tables import (
    checkpoints,
    history,
    history_details,
    merge_subjects,
    merges,
)

_SUBJECTS = (HistoryEvent.BEGUN, HistoryEvent.PARTED)


def check_history(connection: Connection, given: Mapping[str, Checkpoint], keys: Sequence[PublicKey]) -> HistoryCheck:
    """Recompute everything from the rows and return what was found.

    `given` are checkpoints that were kept elsewhere, by their names; `keys` are trusted, without any those that the
    history itself names.
    """
    with snapshot(connection):
        stored = connection.execute(select(checkpoints).order_by(checkpoints.c.size)).all()
        own = {row.size: checkpoint for row in stored if (checkpoint := _readable(row.note))}
        sizes = {checkpoint.size for checkpoint in (*given.values(), *own.values())}
        check = HistoryCheck(frozenset(sizes))
        try:
            _check_entries(connection, check)
            check.finish()
            _check_merges(connection, check)
            check.judge([*_told_checkpoints(check, stored, own), *given.items()], keys)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            # SQLite takes a value of any kind in any column; whatever that breaks, it was not the gateway that wrote it.
            words = f"a value of another kind stands in a row and cannot be read ({type(error).__name__}); what follows is unchecked"
            check.fault(f"history {check.tree.size + 1} or later", words)
        return check


def _check_entries(connection: Connection, check: HistoryCheck) -> None:
    details, subjects = Beside(connection, history_details), Beside(connection, merge_subjects)
    beside = [(part, Beside(connection, table), line) for part, table, line in ROWS]
    rows = connection.execution_options(yield_per=PAGE).execute(select(history).order_by(history.c.number))
    for row in rows:
        parts = {detail["part"]: StoredPart(detail["salt"], detail["body"]) for detail in details.of(row.number)}
        for part, rows_beside, line in beside:
            _add_lines(parts, part, rows_beside.of(row.number), line)
        entry = check.add(row.number, row.entry, parts)
        if row.leaf != leaf_hash(row.entry):
            check.fault(f"history {row.number}", "the entry does not have the hash that stands beside it")
        if entry and row.merge != entry["merge"]:
            check.fault(f"history {row.number}", "its merge is not the one that the entry names")
        _check_subjects(check, row, entry, parts.get(Part.PERSON), subjects.of(row.number))
    for each in (details, subjects, *(rows for _, rows, _ in beside)):
        for number in each.orphans():
            check.fault(f"{each.name} {number}", "belongs to no entry of the history")


def _add_lines(
    parts: dict[str, StoredPart], part: Part, rows: Sequence[Mapping[str, Any]], line: Callable[[Any], bytes]
) -> None:
    if not rows and part not in parts:
        return
    beside = parts.get(part, StoredPart())
    try:
        lines = tuple(map(line, rows))
    except ValueError:  # text that no JSON can hold: it cannot have been written so
        lines = (b"",)
    parts[part] = StoredPart(beside.salt, beside.body, lines)


def _check_subjects(
    check: HistoryCheck,
    row: Row[Any],
    entry: Mapping[str, Any],
    person: StoredPart | None,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    expected: Iterable[tuple[str, str]] = ()
    if person and entry and entry["event"] in _SUBJECTS:
        try:
            expected = merge_rows.subjects_of(codec.unpack(person.body))
        except Exception:  # noqa: BLE001 - damaged in whatever way: its hash has told so
            return
    found = [(each["kind"], each["value"]) for each in rows if each["merge"] == entry.get("merge")]
    if sorted(found) != sorted(expected) or len(found) != len(rows):
        check.fault(f"merge_subjects {row.number}", "are not those that the entry names")


def _check_merges(connection: Connection, check: HistoryCheck) -> None:
    """Hold each merge's row against the newest facts in the history."""
    expected = 0
    rows = connection.execution_options(yield_per=PAGE).execute(select(merges).order_by(merges.c.id)).mappings()
    for page in rows.partitions(PAGE):
        newest = (
            select(func.max(history.c.number))
            .where(history.c.merge.in_([row["id"] for row in page]))
            .group_by(history.c.merge)
        )
        statement = (
            select(history.c.merge, history_details.c.body)
            .join(history_details, history_details.c.entry == history.c.number)
            .where(history_details.c.part == Part.FACTS, history.c.number.in_(newest))
        )
        facts = {row.merge: row.body for row in connection.execute(statement)}
        for row in page:
            expected += 1
            place = f"merges {row['id']}"
            if row["id"] != expected:
                check.fault(place, f"merge {expected} should stand here")
            if plain(row) != {**_facts(facts.get(row["id"])), "erased": row["id"] in check.erased}:
                check.fault(place, "is not what the history tells of it")
    if expected != check.merges:
        check.fault("merges", f"holds {expected} merges, the history tells of {check.merges}")


def _facts(body: bytes | None) -> dict[str, Any]:
    try:
        return dict(codec.unpack(body)) if body else {}
    except Exception:  # noqa: BLE001 - damaged in whatever way: its hash has told so
        return {}


def _told_checkpoints(
    check: HistoryCheck, rows: Sequence[Row[Any]], own: Mapping[int, Checkpoint]
) -> list[tuple[str, Checkpoint]]:
    """Return the kept checkpoints that are those which the history tells of, with their rows' names."""
    found = []
    for row in rows:
        name, checkpoint = f"checkpoints {row.size}", own.get(row.size)
        if hashlib.sha256(row.note.encode(errors="replace")).hexdigest() != check.checkpoints.get(row.size):
            check.fault(name, "is not the checkpoint that the history tells of")
        elif checkpoint is None or checkpoint.size != row.size:
            check.fault(name, "is no checkpoint of this size")
        else:
            found.append((name, checkpoint))
    for size in sorted(check.checkpoints.keys() - {row.size for row in rows}):
        check.fault(f"checkpoints {size}", "is missing: the history tells of it")
    return found


def _readable(note: str) -> Checkpoint | None:
    try:
        return Checkpoint.parse(note)
    except (ValueError, TypeError):
        return None
