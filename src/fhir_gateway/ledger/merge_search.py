"""Merges as they are asked for: by NIK, Patient, run, user and time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from fhir_gateway.audit.entries import written_time
from fhir_gateway.domain.history import MergeFilter, MergeRecord, Part, ToldEntry
from fhir_gateway.domain.merges import ChangeState
from fhir_gateway.ledger import merge_rows
from fhir_gateway.ledger.history import History
from fhir_gateway.ledger.merge_tables import history, merge_steps, merge_subjects, merges

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
        found.append(or_(merges.c.user == wanted.user, merges.c.undo_user == wanted.user))
    if wanted.since or wanted.until:
        found.append(
            or_(*(_within(column, wanted.since, wanted.until) for column in (merges.c.begun, merges.c.undone)))
        )
    return found


def _within(column: ColumnElement[str], since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    bounds: list[ColumnElement[bool]] = [column != ""]
    if since:
        bounds.append(column >= written_time(since))
    if until:
        bounds.append(column <= written_time(until))
    return and_(*bounds)
