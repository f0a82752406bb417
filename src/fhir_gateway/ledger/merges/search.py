"""Merges, and decisions against them, as they are asked for: by NIK, Patient, run, user and time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from fhir_gateway.audit.entries import written_time
from fhir_gateway.domain.history import HistoryEntry, HistoryEvent, MergeFilter, MergeRecord, Part, Parting, ToldEntry
from fhir_gateway.domain.merges import ChangeState, MergeState
from fhir_gateway.ledger.merges import rows as merge_rows
from fhir_gateway.ledger.merges.history import History
from fhir_gateway.ledger.merges.tables import history, merge_steps, merge_subjects, merges

_PAGE = 500


class MergeSearch:
    """Finds merges and reads what stands of them in several tables."""

    def __init__(self, connection: Connection, known: History) -> None:
        self._connection = connection
        self._history = known

    def find(self, wanted: MergeFilter, *, before: int | None = None, limit: int | None = None) -> list[MergeRecord]:
        """Return merges, the newest first: at most `limit`, and only such with a number below `before`."""
        statement = select(merges).where(*_conditions(wanted)).order_by(merges.c.id.desc()).limit(limit)
        return self.read(statement if before is None else statement.where(merges.c.id < before))

    def entries(self, merge: int) -> list[ToldEntry]:
        """Return what the history tells of a merge, in order. Raises ValueError where it is damaged."""
        entries = list(self._history.entries(merge=merge))
        facts = self._history.parts([entry.number for entry in entries], Part.FACTS)
        told = []
        for entry in entries:
            fact = facts.get(entry.number, {})
            undoing = bool(fact.get("undo_begun"))
            user, via = ("undo_user", "undo_via") if undoing else ("user", "via")
            told.append(ToldEntry(entry, str(fact.get(user, "")), str(fact.get(via, ""))))
        return told

    def partings(self, wanted: MergeFilter, *, before: int | None = None, limit: int | None = None) -> list[Parting]:
        """Return decisions that Patients are different people, the newest first: at most `limit`, of entries below `before`.

        Raises ValueError where the history is damaged.
        """
        found: list[Parting] = []
        for entry in reversed(list(self._history.entries(merge=0, events=[HistoryEvent.PARTED]))):
            if limit is not None and len(found) == limit:
                break
            if before is None or entry.number < before:
                one = self._parting(entry)
                found += [one] if _asked(one, wanted) else []
        return found

    def _parting(self, entry: HistoryEntry) -> Parting:
        facts = self._history.part(entry.number, Part.FACTS) or {}
        person = self._history.part(entry.number, Part.PERSON) or {}
        patients = tuple(person.get("patients", ()))
        return Parting(
            entry.number,
            patients,
            str(facts.get("user", "")),
            str(facts.get("via", "")),
            entry.at,
            str(person.get("reason", "")),
            self._merged_since(entry.number, patients),
            not person,
        )

    def _merged_since(self, entry: int, patients: Sequence[str]) -> tuple[int, ...]:
        """Return the merges of two of these Patients that were begun after an entry and stand."""
        subjects = merge_subjects
        statement = (
            select(subjects.c.merge)
            .join(merges, merges.c.id == subjects.c.merge)
            .where(
                subjects.c.kind == "patient",
                subjects.c.value.in_(patients),
                subjects.c.entry > entry,
                merges.c.state != MergeState.UNDONE,
            )
            .group_by(subjects.c.merge)
            .having(func.count(subjects.c.value.distinct()) > 1)
            .order_by(subjects.c.merge)
        )
        return tuple(self._connection.execute(statement).scalars())

    def read(self, statement: Select[Any]) -> list[MergeRecord]:
        """Return the merges whose rows a statement selects, in its order."""
        rows = self._connection.execute(statement).all()
        found = []
        for n in range(0, len(rows), _PAGE):
            page = rows[n : n + _PAGE]
            ids = [row.id for row in page]
            people, failed = self._people(ids), self._failed(ids)
            found += [merge_rows.read_record(row, people[row.id], failed[row.id].values()) for row in page]
        return found

    def _people(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Return merge → what its entries say of the person, the newest last."""
        statement = select(history.c.number, history.c.merge).where(history.c.merge.in_(ids))
        merge_of = {row.number: row.merge for row in self._connection.execute(statement)}
        people: dict[int, dict[str, Any]] = defaultdict(dict)
        for entry, body in sorted(self._history.parts(merge_of, Part.PERSON).items()):
            people[merge_of[entry]].update(body)
        return people

    def _failed(self, ids: Iterable[int]) -> dict[int, dict[int, str]]:
        """Return merge → change → `Type/id` of what could not be changed."""
        suspects = select(merge_steps.c.merge).where(
            merge_steps.c.merge.in_(ids), merge_steps.c.state == ChangeState.FAILED
        )
        statement = select(merge_steps).where(merge_steps.c.merge.in_(suspects)).order_by(merge_steps.c.entry)
        failed: dict[int, dict[int, str]] = defaultdict(dict)
        for step in self._connection.execute(statement):
            if step.state == ChangeState.FAILED:
                failed[step.merge][step.number] = step.resource
            else:
                failed[step.merge].pop(step.number, None)
        return failed


def _asked(one: Parting, wanted: MergeFilter) -> bool:
    """Say whether a decision is one of those that are asked for."""
    return (
        not wanted.nik
        and wanted.run is None
        and wanted.patient in {"", *one.patient_ids}
        and (not wanted.user or one.user == wanted.user or one.user.startswith(_with_key(wanted.user)))
        and (wanted.since is None or one.at >= wanted.since)
        and (wanted.until is None or one.at <= wanted.until)
    )


def _conditions(wanted: MergeFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        merges.c.id.in_(
            select(merge_subjects.c.merge).where(merge_subjects.c.kind == kind, merge_subjects.c.value == value)
        )
        for kind, value in (("nik", wanted.nik), ("patient", wanted.patient))
        if value
    ]
    if wanted.run is not None:
        found.append(merges.c.run == wanted.run)
    if wanted.user:
        columns = (merges.c.user, merges.c.undo_user)
        found.append(
            or_(
                *(c == wanted.user for c in columns),
                *(c.startswith(_with_key(wanted.user), autoescape=True) for c in columns),
            )
        )
    if wanted.since or wanted.until:
        found.append(
            or_(*(_within(column, wanted.since, wanted.until) for column in (merges.c.begun, merges.c.undone)))
        )
    return found


def _with_key(user: str) -> str:
    """Return how the name of an access key's holder begins in the history, where the key's id stands behind it."""
    return f"{user} (key "


def _within(column: ColumnElement[str], since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    bounds: list[ColumnElement[bool]] = [column != ""]
    if since:
        bounds.append(column >= written_time(since))
    if until:
        bounds.append(column <= written_time(until))
    return and_(*bounds)
