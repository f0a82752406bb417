"""What merges and their undoing wrote on the FHIR server, from their history, the newest first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, tuple_

from fhir_gateway.audit.entries import read_entry, written_time
from fhir_gateway.domain.changes import Change, ChangeFilter, ChangeOrigin, ChangePlace
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.domain.history import HistoryEntry, MergeRecord, Part
from fhir_gateway.domain.merges import ChangeState, JournalledChange
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.ledger.merges import rows as merge_rows
from fhir_gateway.ledger.merges.journal import Merges
from fhir_gateway.ledger.merges.tables import history, merge_changes, merge_steps, merge_subjects, merges

_PAGE = 200
_WROTE = and_(merge_steps.c.state.in_((ChangeState.DONE, ChangeState.UNDONE)), merge_steps.c.message == "")


@dataclass(frozen=True, slots=True)
class _Told:
    """What stands beside a page of steps: the entries, which of them undo, the merges, and what was planned."""

    entries: Mapping[int, HistoryEntry]
    undoing: frozenset[int]
    merges: Mapping[int, MergeRecord]
    planned: Mapping[tuple[int, int], Sequence[Row[Any]]]

    def plan(self, step: Row[Any]) -> Row[Any]:
        """Return the plan that a step carried out: the newest one that was written down by then."""
        return max(
            (row for row in self.planned[step.merge, step.number] if row.entry <= step.entry), key=lambda row: row.entry
        )


class MergeChanged:
    """The changes that the merges of one environment made; an erased merge's are gone."""

    def __init__(self, connection: Connection, journal: Merges) -> None:
        self._connection = connection
        self._journal = journal

    def newest(self) -> ChangePlace:
        """Return a place behind which every change stands that there is now."""
        return ChangePlace((self._connection.execute(select(func.max(history.c.number))).scalar() or 0) + 1, 0)

    def of(self, wanted: ChangeFilter, *, after: ChangePlace) -> Iterator[Change]:
        """Yield changes behind `after`, the newest first."""
        table, last = merge_steps, (after.first, after.second)
        chosen = select(table).where(_WROTE).order_by(table.c.entry.desc(), table.c.number.desc()).limit(_PAGE)
        conditions = _conditions(wanted)
        if conditions:
            chosen = chosen.where(table.c.merge.in_(select(merges.c.id).where(*conditions)))
        behind = tuple_(table.c.entry, table.c.number)
        while rows := self._connection.execute(chosen.where(behind < last)).all():
            told = self._told(rows)
            yield from (one for one in (_change(row, told) for row in rows) if _fits(one, wanted))
            last = (rows[-1].entry, rows[-1].number)

    def get(self, place: ChangePlace) -> Change | None:
        """Return the change at a place, None where there is none."""
        table = merge_steps
        chosen = select(table).where(_WROTE, table.c.entry == place.first, table.c.number == place.second)
        row = self._connection.execute(chosen).first() if not place.third else None
        return _change(row, self._told([row])) if row else None

    def _told(self, rows: Sequence[Row[Any]]) -> _Told:
        numbers, of = {row.entry for row in rows}, {row.merge for row in rows}
        entries = self._connection.execute(select(history.c.entry).where(history.c.number.in_(numbers))).scalars()
        facts = self._journal.history.parts(numbers, Part.FACTS)
        planned: dict[tuple[int, int], list[Row[Any]]] = {}
        chosen = select(merge_changes).where(
            tuple_(merge_changes.c.merge, merge_changes.c.number).in_({(row.merge, row.number) for row in rows})
        )
        for row in self._connection.execute(chosen):
            planned.setdefault((row.merge, row.number), []).append(row)
        return _Told(
            entries={entry.number: entry for entry in map(_read, entries)},
            undoing=frozenset(number for number, fact in facts.items() if fact.get("undo_begun")),
            merges={one.merge.id: one for one in self._journal.search.read(select(merges).where(merges.c.id.in_(of)))},
            planned=planned,
        )


def _read(entry: bytes) -> HistoryEntry:
    try:
        return read_entry(entry)
    except ValueError:
        raise LedgerError("the history of merges is damaged: `fhir-gateway merge verify` says where") from None


def _conditions(wanted: ChangeFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.patients:
        subjects = merge_subjects
        named = and_(subjects.c.kind == "patient", subjects.c.value.in_(wanted.patients))
        found.append(merges.c.id.in_(select(subjects.c.merge).where(named)))
    if wanted.user:
        found.append(or_(merges.c.user == wanted.user, merges.c.undo_user == wanted.user))
    if wanted.run is not None:
        found.append(merges.c.run == wanted.run)
    if wanted.since is not None:
        found.append(or_(_lasted(merges.c.begun, merges.c.finished, wanted.since), _undone_since(wanted.since)))
    if wanted.until is not None:
        found.append(merges.c.begun <= written_time(wanted.until))
    return found


def _undone_since(since: datetime) -> ColumnElement[bool]:
    return and_(merges.c.undo_begun != "", _lasted(merges.c.undo_begun, merges.c.undone, since))


def _lasted(begun: ColumnElement[str], ended: ColumnElement[str], since: datetime) -> ColumnElement[bool]:
    return or_(and_(begun != "", ended == ""), ended >= written_time(since))


def _fits(change: Change, wanted: ChangeFilter) -> bool:
    return (
        (not wanted.user or change.user == wanted.user)
        and (wanted.since is None or change.at >= wanted.since)
        and (wanted.until is None or change.at <= wanted.until)
    )


def _change(step: Row[Any], told: _Told) -> Change:
    record, at = told.merges[step.merge], told.entries[step.entry].at
    planned = merge_rows.read_change(told.plan(step), step)
    undoing = step.entry in told.undoing
    return Change(
        origin=ChangeOrigin.MERGE,
        place=ChangePlace(step.entry, step.number),
        resource=step.resource,
        created=planned.before is None and not planned.before_version,
        version=step.after_version,
        patient=_patient(planned, survivor=record.merge.survivor),
        user=record.undo_user if undoing else record.merge.user,
        why="unmerge" if undoing else "merge",
        at=at,
        until=at,
        run=record.merge.run,
        merge=step.merge,
        via=record.undo_via if undoing else record.via,
    )


def _patient(change: JournalledChange, *, survivor: str) -> str:
    """Return whose the resource is after the change: of what names nobody, the survivor."""
    resource_type, _, resource_id = change.resource.partition("/")
    if resource_type == "Patient":
        return resource_id
    body = (change.before if change.state is ChangeState.UNDONE else change.after) or change.after
    named = (id_referred_to(body.get(element), "Patient") for element in ("patient", "subject"))
    return next(filter(None, named), survivor)
