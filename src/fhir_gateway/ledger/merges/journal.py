"""The journal of merges: every step adds its entry to the history in the same transaction."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.engine import Row

from fhir_gateway.audit.entries import written_time
from fhir_gateway.audit.verify_history import Checkpoint, HistoryCheck, PublicKey
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.domain.history import HistoryEvent, Part
from fhir_gateway.domain.merges import ChangeState, GroupPlan, JournalledChange, Merge, MergeState
from fhir_gateway.ledger.chunks import chunks
from fhir_gateway.ledger.merges import rows as merge_rows
from fhir_gateway.ledger.merges.erasing import MergeErasing
from fhir_gateway.ledger.merges.history import Addition, History
from fhir_gateway.ledger.merges.history_checking import check_history
from fhir_gateway.ledger.merges.history_exporting import Sign, export_lines
from fhir_gateway.ledger.merges.search import MergeSearch
from fhir_gateway.ledger.merges.tables import history, merge_changes, merge_steps, merge_subjects, merges

_PAGE = 200
_OPEN = (MergeState.APPLYING, MergeState.UNDOING)
_PARTING = (MergeState.UNDOING, MergeState.UNDONE)
"""Whoever begins to undo a merge has decided, also where that is interrupted and goes on later."""


class Merges:
    """The merges of one environment (ports.MergeJournal); `now` tells the time of steps that come without one."""

    def __init__(self, connection: Connection, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._connection = connection
        self.history = History(connection, now=now)
        self.search = MergeSearch(connection, self.history)
        self.erasing = MergeErasing(connection, self.history)

    def begin(  # noqa: PLR0913 - a merge is what its row says
        self,
        run: int,
        plan: GroupPlan,
        created: Sequence[JournalledChange],
        *,
        user: str,
        at: datetime,
        via: str = "command",
    ) -> Merge:
        """Write a group's changes down before anything is sent, and return the merge, APPLYING.

        The plan's changes are numbered from 1 in their order, `created` (resources that the merge will add) go on from
        there, whatever their own numbers. `via` says from where it was asked for.
        """
        self.history.lock()
        merge = (self._connection.execute(select(func.max(merges.c.id))).scalar() or 0) + 1
        planned = [JournalledChange(0, c.resource, c.kind, c.before, c.after, c.version) for c in plan.changes]
        numbered = [replace(change, number=n) for n, change in enumerate([*planned, *created], start=1)]
        rows = [merge_rows.change_row(merge, change) for change in numbered]
        row = merge_rows.new_merge(run, plan, user=user, via=via, at=at) | {"id": merge}
        person = merge_rows.person_body(plan)
        entry = self.history.add(
            Addition(
                HistoryEvent.BEGUN,
                merge,
                facts=row,
                bodies={Part.PERSON: person, Part.PLAN: merge_rows.plan_body(plan)},
                lines={Part.CHANGES: [merge_rows.change_line(each) for each in rows]},
            ),
            at=at,
        )
        self._connection.execute(insert(merges).values(**row))
        self._insert(merge_changes, entry, rows)
        self._name_subjects(entry, merge, person)
        return self._existing(merge)

    def unfinished(self) -> list[Merge]:
        """Return merges that are APPLYING or UNDOING, oldest first."""
        return self._read(merges.c.state.in_(_OPEN))

    def get(self, merge: int) -> Merge | None:
        """Return a merge, None where there is none of this number."""
        found = self._read(merges.c.id == merge)
        return found[0] if found else None

    def plan_of(self, merge: int) -> GroupPlan | None:
        """Return the plan that a merge follows (its changes without bodies), None where it was erased."""
        bodies = self.history.parts(self._entries(merge), Part.PLAN)
        return merge_rows.read_plan(bodies[max(bodies)]) if bodies else None

    def changes(self, merge: int, *states: ChangeState, after: int = 0) -> Iterator[JournalledChange]:
        """Yield a merge's changes numbered above `after` in order, of those states only where any are named.

        Changes that are settled while they are read may be told as they were before.
        """
        steps = self._newest_steps(merge)
        numbers = self._connection.execute(
            select(merge_changes.c.number, func.max(merge_changes.c.entry))
            .where(merge_changes.c.merge == merge, merge_changes.c.number > after)
            .group_by(merge_changes.c.number)
            .order_by(merge_changes.c.number)
        ).all()
        wanted = [(number, entry) for number, entry in numbers if not states or _state(steps.get(number)) in states]
        for n in range(0, len(wanted), _PAGE):
            page = dict(wanted[n : n + _PAGE])
            rows = self._connection.execute(
                select(merge_changes)
                .where(merge_changes.c.merge == merge, merge_changes.c.number.in_(page))
                .order_by(merge_changes.c.number)
            ).all()
            for row in rows:
                if page[row.number] == row.entry:
                    yield merge_rows.read_change(row, steps.get(row.number))

    def replace(self, merge: int, changes: Sequence[JournalledChange]) -> None:
        """Write down what changes have become after they were planned anew, before that is sent."""
        if not changes:
            return
        ordered = sorted(changes, key=lambda change: change.number)
        rows = [merge_rows.change_row(merge, change) for change in ordered]
        steps = [merge_rows.step_row(merge, change) for change in ordered]
        entry = self.history.add(
            Addition(
                HistoryEvent.REPLANNED,
                merge,
                facts=self._row(merge),
                lines={
                    Part.CHANGES: [merge_rows.change_line(row) for row in rows],
                    Part.STEPS: [merge_rows.step_line(step) for step in steps],
                },
            )
        )
        self._insert(merge_changes, entry, rows)
        self._insert(merge_steps, entry, steps)

    def settle(self, merge: int, changes: Sequence[JournalledChange], *, requests: int = 0) -> None:
        """Write down what the server did with some changes: their resource, new version, state and message."""
        if not changes and not requests:
            return
        self.history.lock()
        row = self._row(merge)
        steps = [merge_rows.step_row(merge, change) for change in sorted(changes, key=lambda change: change.number)]
        row["requests"] += requests
        row["changed"] = self._changed(merge, steps)
        entry = self.history.add(
            Addition(
                HistoryEvent.SETTLED,
                merge,
                facts=row,
                lines={Part.STEPS: [merge_rows.step_line(step) for step in steps]},
            )
        )
        self._insert(merge_steps, entry, steps)
        self._update(row)

    def finish(self, merge: int, *, at: datetime, remaining: Sequence[str]) -> Merge:
        """Close a merge after its proof: APPLIED, with what still refers to a replaced patient.

        A merge that is APPLIED may be closed anew, after failed changes were repeated.
        """
        row = self._row(merge, MergeState.APPLYING, MergeState.APPLIED)
        row |= {"state": MergeState.APPLIED, "finished": written_time(at)}
        self._close(HistoryEvent.APPLIED, row, {"remaining": list(remaining)}, at)
        return self._existing(merge)

    def begin_undo(  # noqa: PLR0913 - an undoing is what its entry says
        self,
        merge: int,
        *,
        user: str,
        at: datetime,
        reason: str,
        via: str = "command",
        decisions: Mapping[str, Any] = MappingProxyType({}),
    ) -> Merge:
        """Write down that a merge is to be undone, and what was decided of conflicts: UNDOING.

        One that is UNDOING already stays as it is; decisions that are not known yet are added. Raises LedgerError where
        it cannot be undone.
        """
        row = self._row(merge, MergeState.APPLYING, MergeState.APPLIED, MergeState.UNDOING)
        if row["erased"]:
            raise LedgerError(f"merge {merge} cannot be undone: what it changed was erased")
        person = {"decisions": dict(decisions)}
        if row["state"] != MergeState.UNDOING:
            begun = {"state": MergeState.UNDOING, "undo_user": user, "undo_via": via, "undo_begun": written_time(at)}
            self._close(HistoryEvent.UNDO_BEGUN, row | begun, {"reason": reason, **person}, at)
        elif decisions != self.undo_decisions(merge):
            self._close(HistoryEvent.UNDO_BEGUN, row, person, at)
        return self._existing(merge)

    def undo_decisions(self, merge: int) -> dict[str, Any]:
        """Return what was decided when the merge's undoing was begun or went on, {} where nothing was."""
        bodies = sorted(self.history.parts(self._entries(merge), Part.PERSON).items())
        return next((body["decisions"] for _, body in reversed(bodies) if "decisions" in body), {})

    def finish_undo(self, merge: int, *, at: datetime, conflicts: Sequence[dict[str, Any]]) -> Merge:
        """Close an undoing: UNDONE; the pairs are kept apart from now on."""
        row = self._row(merge, MergeState.UNDOING)
        row |= {"state": MergeState.UNDONE, "undone": written_time(at)}
        self._close(HistoryEvent.UNDONE, row, {"conflicts": list(conflicts)}, at)
        return self._existing(merge)

    def part(self, patient_ids: Sequence[str], *, user: str, at: datetime, reason: str, via: str = "command") -> None:
        """Write down that an operator holds these Patients for different people."""
        person = {"patients": sorted(set(patient_ids)), "reason": reason}
        addition = Addition(HistoryEvent.PARTED, facts={"user": user, "via": via}, bodies={Part.PERSON: person})
        self._name_subjects(self.history.add(addition, at=at), 0, person)

    def kept_apart(self, patient_ids: Sequence[str]) -> set[frozenset[str]]:
        """Return the pairs among these Patients that were merged once and undone, or that an operator parted.

        What was decided of a pair last counts.
        """
        wanted, groups = set(patient_ids), defaultdict(set)
        for chunk in chunks(wanted):
            rows = self._connection.execute(
                select(merge_subjects.c.entry, merge_subjects.c.merge, merge_subjects.c.value).where(
                    merge_subjects.c.kind == "patient", merge_subjects.c.value.in_(chunk)
                )
            )
            for row in rows:
                groups[row.entry, row.merge].add(row.value)
        states = self._states({merge for _, merge in groups})
        apart: set[frozenset[str]] = set()
        for (_, merge), patients in sorted(groups.items()):
            pairs = {frozenset(pair) for pair in combinations(patients, 2)}
            apart = apart | pairs if states.get(merge, MergeState.UNDONE) in _PARTING else apart - pairs
        return apart

    def by_patient(self, patient_ids: Sequence[str]) -> list[Merge]:
        """Return the merges in which any of these Patients survived or was replaced, oldest first."""
        found: set[int] = set()
        for chunk in chunks(set(patient_ids)):
            statement = select(merge_subjects.c.merge).where(
                merge_subjects.c.kind == "patient", merge_subjects.c.value.in_(chunk), merge_subjects.c.merge > 0
            )
            found.update(self._connection.execute(statement).scalars())
        return self._read(*(merges.c.id.in_(chunk) for chunk in chunks(sorted(found))))

    def survivors(self, patient_ids: Iterable[str]) -> dict[str, str]:
        """Return replaced Patient → who stands for it now, of these Patients and all with whom merges have made them one."""
        into: dict[str, str] = {}
        seen: set[str] = set()
        asked = set(patient_ids)
        while asked:
            standing = [one for one in self.by_patient(sorted(asked)) if one.state is not MergeState.UNDONE]
            into |= {replaced: one.survivor for one in standing for replaced in one.replaced}
            seen |= asked
            asked = {*into, *into.values()} - seen
        for replaced in into:
            passed = {replaced}
            while (onward := into.get(into[replaced])) and onward not in passed:
                passed.add(onward)
                into[replaced] = onward
        return into

    def _read(self, *conditions: ColumnElement[bool]) -> list[Merge]:
        """Return the merges of each of the conditions, oldest first."""
        return [
            record.merge
            for condition in conditions
            for record in self.search.read(select(merges).where(condition).order_by(merges.c.id))
        ]

    def check(self, given: Mapping[str, Checkpoint], keys: Sequence[PublicKey]) -> HistoryCheck:
        """Recompute the whole history from its rows; `given` are checkpoints by their names, `keys` are trusted."""
        return check_history(self._connection, given, keys)

    def export(self, *, environment: str, personal: bool, at: datetime, sign: Sign) -> Iterator[bytes]:
        """Yield the history's lines for verification elsewhere, with or without personal data, signed as a whole."""
        return export_lines(self._connection, environment=environment, personal=personal, at=at, sign=sign)

    def _close(self, event: HistoryEvent, row: dict[str, Any], person: Mapping[str, Any], at: datetime) -> None:
        bodies = {} if row["erased"] else {Part.PERSON: person}
        self.history.add(Addition(event, row["id"], facts=row, bodies=bodies), at=at)
        self._update(row)

    def _row(self, merge: int, *states: MergeState) -> dict[str, Any]:
        """Return a merge's row; raises LedgerError where there is none, or none in one of the states."""
        self.history.lock()
        row = self._connection.execute(select(merges).where(merges.c.id == merge)).mappings().first()
        if row is None:
            raise LedgerError(f"there is no merge {merge}")
        if states and row["state"] not in states:
            raise LedgerError(f"merge {merge} is {row['state']}, not {' or '.join(states)}")
        return {str(column): value for column, value in row.items()}  # SQLAlchemy's names are no plain texts

    def _update(self, row: Mapping[str, Any]) -> None:
        self._connection.execute(update(merges).where(merges.c.id == row["id"]).values(**row))

    def _existing(self, merge: int) -> Merge:
        found = self.get(merge)
        if found is None:
            raise LedgerError(f"there is no merge {merge}")
        return found

    def _insert(self, table: Any, entry: int, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._connection.execute(insert(table), [{"entry": entry, **row} for row in rows])

    def _name_subjects(self, entry: int, merge: int, person: Mapping[str, Any]) -> None:
        rows = [{"merge": merge, "kind": kind, "value": value} for kind, value in merge_rows.subjects_of(person)]
        self._insert(merge_subjects, entry, rows)

    def _entries(self, merge: int) -> list[int]:
        return list(self._connection.execute(select(history.c.number).where(history.c.merge == merge)).scalars())

    def _newest_steps(self, merge: int) -> dict[int, Row[Any]]:
        statement = select(merge_steps).where(merge_steps.c.merge == merge).order_by(merge_steps.c.entry)
        return {row.number: row for row in self._connection.execute(statement)}

    def _changed(self, merge: int, steps: Sequence[Mapping[str, Any]]) -> int:
        """Return how many resources a merge has changed, with these steps; what it created itself is none of them."""
        planned, table = merge_changes, merge_steps
        changing = set(
            self._connection.execute(
                select(planned.c.number).where(planned.c.merge == merge, planned.c.kind != "")
            ).scalars()
        )
        done = self._connection.execute(
            select(table.c.number, table.c.resource).where(
                table.c.merge == merge, table.c.state == ChangeState.DONE, table.c.message == ""
            )
        ).all()
        now = [
            (step["number"], step["resource"])
            for step in steps
            if step["state"] == ChangeState.DONE and not step["message"]
        ]
        return len({resource for number, resource in [*(tuple(row) for row in done), *now] if number in changing})

    def _states(self, wanted: Iterable[int]) -> dict[int, MergeState]:
        found: dict[int, MergeState] = {}
        for chunk in chunks(wanted):
            rows = self._connection.execute(select(merges.c.id, merges.c.state).where(merges.c.id.in_(chunk)))
            found.update({row.id: MergeState(row.state) for row in rows})
        return found


def _state(step: Row[Any] | None) -> ChangeState:
    return ChangeState(step.state) if step else ChangeState.PLANNED
