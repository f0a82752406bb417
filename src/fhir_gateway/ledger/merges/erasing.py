"""Erases a person from the journal and the jobs of merges: identifiers, plans and resources go, salted hashes stay."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, text, update

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.history import ERASABLE, Erasure, HistoryEvent
from fhir_gateway.domain.merge_jobs import GroupState
from fhir_gateway.domain.merges import MergeState
from fhir_gateway.ledger.chunks import chunks
from fhir_gateway.ledger.codec import pack, unpack
from fhir_gateway.ledger.merges.history import Addition, History
from fhir_gateway.ledger.merges.jobs import merge_job_groups
from fhir_gateway.ledger.merges.tables import (
    history,
    history_details,
    merge_changes,
    merge_steps,
    merge_subjects,
    merges,
)

_FINAL = (MergeState.APPLIED, MergeState.UNDONE)


class MergeErasing:
    """Finds what is kept of a person and erases it."""

    def __init__(self, connection: Connection, known: History) -> None:
        self._connection = connection
        self._history = known

    def find(self, *, nik: str = "", patient: str = "") -> Erasure:
        """Return what would be erased: merges of the NIK or Patient, and of the Patients who still are one with it.

        What merge jobs tell of the person's NIKs belongs to it. Raises UsageError where a merge or a job among them is
        not finished.
        """
        kind, value = ("nik", nik) if nik else ("patient", patient)
        table = merge_subjects
        known = (table.c.kind == kind) & (table.c.value == value)
        found: dict[int, str] = {}
        entries = set(self._select(table.c.entry, known & (table.c.merge == 0)))
        new = self._with_states(self._select(table.c.merge, known & (table.c.merge > 0)))
        while new := {merge: state for merge, state in new.items() if merge not in found}:
            found |= new
            standing = [merge for merge, state in new.items() if state != MergeState.UNDONE]
            same = self._values(table.c.value, table.c.merge, standing, table.c.kind == "patient")
            new = self._with_states(self._values(table.c.merge, table.c.value, same, table.c.merge > 0))
        if unfinished := sorted(merge for merge, state in found.items() if state not in _FINAL):
            raise UsageError(
                f"merge {unfinished[0]} is not finished: repeat the command that began it, then nothing is lost"
            )
        standing = [merge for merge, state in found.items() if state == MergeState.APPLIED]
        niks = self._values(table.c.value, table.c.merge, found, table.c.kind == "nik") | ({nik} if nik else set())
        people = self._values(table.c.value, table.c.merge, found, table.c.kind == "patient") | {patient} - {""}
        jobs = {*self._jobs_by_nik(niks), *self._jobs_by_patient(people)}
        return Erasure(tuple(sorted(found)), tuple(sorted(entries)), tuple(sorted(standing)), tuple(sorted(jobs)))

    def erase(self, what: Erasure, *, user: str, reason: str, at: datetime, via: str = "command") -> int:
        """Erase that and return the number of the entry that tells of it; `reason` stays and names nobody."""
        # Else what was deleted stays in the file until it is overwritten.
        self._connection.execute(text("PRAGMA secure_delete=ON"))
        self._history.lock()
        numbers = [*what.entries]
        for chunk in chunks(what.merges):
            numbers += self._select(history.c.number, history.c.merge.in_(chunk))
            self._connection.execute(update(merges).where(merges.c.id.in_(chunk)).values(erased=True))
            for rows in (merge_changes, merge_steps, merge_subjects):
                self._connection.execute(delete(rows).where(rows.c.merge.in_(chunk)))
        for chunk in chunks(numbers):
            details = history_details
            self._connection.execute(delete(details).where(details.c.entry.in_(chunk), details.c.part.in_(ERASABLE)))
            self._connection.execute(delete(merge_subjects).where(merge_subjects.c.entry.in_(chunk)))
        for job, number in what.jobs:
            self._connection.execute(
                update(merge_job_groups)
                .where(merge_job_groups.c.job == job, merge_job_groups.c.number == number)
                .values(nik="", result=pack({"erased": True}))
            )
        notes = {"merges": list(what.merges), "entries": list(what.entries)}
        facts = {"user": user, "via": via, "reason": reason}
        return self._history.add(Addition(HistoryEvent.ERASED, facts=facts, notes=notes), at=at)

    def _jobs_by_nik(self, niks: Iterable[str]) -> Iterator[tuple[int, int]]:
        table = merge_job_groups
        for chunk in chunks(niks):
            rows = self._connection.execute(
                select(table.c.job, table.c.number, table.c.state).where(table.c.nik.in_(chunk), table.c.nik != "")
            )
            yield from self._finished(rows)

    def _jobs_by_patient(self, people: AbstractSet[str]) -> Iterator[tuple[int, int]]:
        """Yield the lines without a NIK, of Patients that somebody named; which ones stands in what is told of them."""
        rows = self._connection.execute(select(merge_job_groups).where(merge_job_groups.c.nik == ""))
        yield from self._finished(row for row in rows if not people.isdisjoint(_named(unpack(row.result))))

    def _finished(self, rows: Iterable[Any]) -> Iterator[tuple[int, int]]:
        for row in rows:
            if row.state == GroupState.WAITING:
                raise UsageError(f"merge job {row.job} is not finished and names this person: let it end first")
            yield row.job, row.number

    def _select(self, column: Any, condition: ColumnElement[bool]) -> list[Any]:
        return list(self._connection.execute(select(column).where(condition).distinct()).scalars())

    def _values(self, column: Any, known: Any, values: Iterable[Any], condition: ColumnElement[bool]) -> set[Any]:
        found: set[Any] = set()
        for chunk in chunks(values):
            found.update(self._select(column, known.in_(chunk) & condition))
        return found

    def _with_states(self, ids: Iterable[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for chunk in chunks(ids):
            found |= {
                row.id: row.state
                for row in self._connection.execute(select(merges.c.id, merges.c.state).where(merges.c.id.in_(chunk)))
            }
        return found


def _named(told: Mapping[str, Any]) -> list[str]:
    return [told.get("survivor", ""), *told.get("replaced", ())]
