"""The spool: a run's records, people, comparisons and decisions on disk, so that memory stays flat."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, distinct, func, insert, or_, select, update

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Dose
from fhir_gateway.domain.runs import ReviewState, Run, Settlement, SpooledRecord
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.chunks import CHUNK, chunks
from fhir_gateway.ledger.spool.decisions import SpooledDecisions
from fhir_gateway.ledger.spool.people import SpooledPeople
from fhir_gateway.ledger.spool.rows import (
    is_open,
    read_records,
    read_settlement,
    record_row,
    settlement_row,
    with_patient,
)

_WITH_RESOURCES = 100
"""Records that are read together with their resources: a wide row has a dozen doses."""
_PARKED = (Outcome.REVIEW, Outcome.FAILED)
_KEPT = (*_PARKED, Outcome.UNCHANGED)
_SETTLE = update(tables.records).where(
    tables.records.c.run == bindparam("at"), tables.records.c.number == bindparam("of")
)


class Spool(SpooledPeople, SpooledDecisions):
    """The spool of one environment; every method names its run."""

    def add(self, run: Run, records: Sequence[tuple[SpooledRecord, Settlement | None]]) -> None:
        """Write records; one that is settled already (rejected, unchanged) comes with its settlement."""
        if records:
            self._connection.execute(insert(tables.records), [record_row(run, *record) for record in records])

    def conflicts(self, run: Run) -> list[str]:
        """Return the keys that stand in the run with more than one content, in the order of their first records."""
        records = tables.records
        statement = (
            select(records.c.key)
            .where(records.c.run == run.id, records.c.key != "", records.c.content != "")
            .group_by(records.c.key)
            .having(func.count(distinct(records.c.content)) > 1)
            .order_by(func.min(records.c.number))
        )
        return list(self._connection.execute(statement).scalars())

    def unchanged(self, run: Run) -> Iterator[tuple[SpooledRecord, Settlement]]:
        """Yield the records that are as an earlier run loaded them."""
        last = 0
        statement = (
            with_patient(run)
            .where(tables.records.c.outcome == Outcome.UNCHANGED, tables.records.c.payload.is_not(None))
            .order_by(tables.records.c.number)
            .limit(_WITH_RESOURCES)
        )
        while rows := self._connection.execute(statement.where(tables.records.c.number > last)).all():
            yield from zip(read_records(rows), map(read_settlement, rows), strict=True)
            last = rows[-1].number

    def unchanged_of(self, run: Run, patient_ids: Iterable[str]) -> list[tuple[str, SpooledRecord]]:
        """Return (Patient, record) of the unchanged records that stand for these Patients, while the run is open."""
        records = tables.records
        found: list[tuple[str, SpooledRecord]] = []
        for chunk in chunks(patient_ids):
            statement = with_patient().where(
                records.c.patient_id.in_(chunk), records.c.outcome == Outcome.UNCHANGED, records.c.payload.is_not(None)
            )
            statement = statement.where(records.c.run + 0 == run.id)  # else SQLite goes through all of the run
            rows = self._connection.execute(statement.order_by(records.c.number)).all()
            found += zip((row.patient_id for row in rows), read_records(rows), strict=True)
        return found

    def keys_of(self, run: Run, people: Iterable[int], *, waiting: Collection[str] = ()) -> dict[int, list[str]]:
        """Return person → keys of their unsettled records, and of those that wait for these reasons."""
        records = tables.records
        found: dict[int, list[str]] = {}
        for chunk in chunks(people):
            statement = select(records.c.person, records.c.key).where(
                records.c.run == run.id, records.c.person.in_(chunk), is_open(waiting)
            )
            for person, key in self._connection.execute(statement):
                found.setdefault(person, []).append(key)
        return found

    def records_of(self, run: Run, people: Iterable[int], *, waiting: Collection[str] = ()) -> list[SpooledRecord]:
        """Return the unsettled records of spooled people, and those that wait for these reasons, by number."""
        records = tables.records
        found: list[SpooledRecord] = []
        for chunk in chunks(people):
            statement = with_patient(run).where(records.c.person.in_(chunk), is_open(waiting))
            found.extend(read_records(self._connection.execute(statement)))
        return sorted(found, key=lambda record: record.number)

    def records_with(self, run: Run, keys: Iterable[str]) -> list[SpooledRecord]:
        """Return the unsettled records with these keys, by number."""
        records = tables.records
        found: list[SpooledRecord] = []
        for chunk in chunks(keys):
            statement = with_patient().where(records.c.key.in_(chunk), records.c.outcome.is_(None))
            statement = statement.where(records.c.run + 0 == run.id)  # else SQLite goes through all of the run
            found.extend(read_records(self._connection.execute(statement)))
        return sorted(found, key=lambda record: record.number)

    def parked(self, run: Run, outcome: Outcome) -> Iterator[SpooledRecord]:
        """Yield the records that the run left with this outcome and that can still be sent."""
        records = tables.records
        statement = with_patient(run).where(records.c.outcome == outcome, records.c.payload.is_not(None))
        yield from self._by_number(statement)

    def parked_numbers(self, pairs: Iterable[tuple[int, int]]) -> list[SpooledRecord]:
        """Return parked records by (run, number)."""
        records = tables.records
        found: list[SpooledRecord] = []
        for chunk in chunks(pairs, 200):
            statement = with_patient().where(
                records.c.payload.is_not(None),
                or_(*(and_(records.c.run == run, records.c.number == number) for run, number in chunk)),
            )
            found.extend(read_records(self._connection.execute(statement)))
        return found

    def settle(self, run: Run, settlements: Sequence[Settlement]) -> None:
        """Write final outcomes; what is parked keeps its payload, what is unchanged until the run ends, all else loses it."""
        for kept in (True, False):
            rows = [settlement_row(one) | {"of": one.number} for one in settlements if (one.outcome in _KEPT) is kept]
            if rows:
                self._connection.execute(
                    _SETTLE if kept else _SETTLE.values(payload=None), [r | {"at": run.id} for r in rows]
                )

    def release(self, run: Run, keys: Iterable[str]) -> None:
        """Drop what other runs have parked of these keys, which this run has loaded.

        What open questions hang on stays, as does what a run that goes on has not settled yet.
        """
        records, persons = tables.records, tables.persons
        hanging, questions = tables.review_records, tables.reviews
        asked = (
            select(hanging.c.review)
            .join(questions, questions.c.id == hanging.c.review)
            .where(
                hanging.c.key == records.c.key,
                hanging.c.run == records.c.run,
                hanging.c.number == records.c.number,
                questions.c.state == ReviewState.OPEN,
            )
        )
        for chunk in chunks(keys):
            parked = (
                records.c.key.in_(chunk),
                records.c.run != run.id,
                records.c.outcome.in_(_PARKED),
                records.c.payload.is_not(None),
                ~asked.exists(),
            )
            people = self._connection.execute(select(records.c.run, records.c.person).where(*parked)).all()
            if not people:
                continue
            self._connection.execute(update(records).where(*parked).values(payload=None))
            for other, person in set(people):
                waiting = select(records.c.number).where(
                    records.c.run == other, records.c.person == person, records.c.payload.is_not(None)
                )
                self._connection.execute(
                    update(persons)
                    .where(persons.c.run == other, persons.c.number == person, ~waiting.exists())
                    .values(payload=None)
                )

    def settle_open(self, run: Run, settlement: Settlement) -> int:
        """Give every record that has no outcome yet this one, which is parked; return how many they were."""
        records = tables.records
        statement = update(records).where(records.c.run == run.id, records.c.outcome.is_(None))
        return self._connection.execute(statement.values(settlement_row(settlement))).rowcount

    def given(self, run: Run) -> Iterator[tuple[int, str, int, tuple[Dose, ...]]]:
        """Yield (person, clinic, file, doses) of every record that still has its doses, by number; see unpack_given()."""
        records = tables.records
        last = 0
        page = (
            select(records.c.number, records.c.person, records.c.clinic, records.c.file, records.c.payload)
            .where(records.c.run == run.id, records.c.payload.is_not(None))
            .order_by(records.c.number)
            .limit(CHUNK)
        )
        while rows := self._connection.execute(page.where(records.c.number > last)).all():
            yield from ((row.person, row.clinic, row.file, codec.unpack_given(row.payload)) for row in rows)
            last = rows[-1].number

    def unsettled(self, run: Run) -> Iterator[SpooledRecord]:
        """Yield every record that has no outcome yet."""
        yield from self._by_number(with_patient(run).where(tables.records.c.outcome.is_(None)))

    def _by_number(self, statement: Select[Any]) -> Iterator[SpooledRecord]:
        last = 0
        page = statement.order_by(tables.records.c.number).limit(_WITH_RESOURCES)
        while found := read_records(self._connection.execute(page.where(tables.records.c.number > last))):
            yield from found
            last = found[-1].number

    def settlements(self, run: Run, *, file: int) -> Iterator[tuple[int, str, Settlement]]:
        """Yield (row, key, settlement) of a file's settled records, by row: they were numbered in that order."""
        records = tables.records
        last = 0
        page = (
            select(records)
            .where(records.c.run == run.id, records.c.file == file, records.c.outcome.is_not(None))
            .order_by(records.c.number)
            .limit(CHUNK)
        )
        while rows := self._connection.execute(page.where(records.c.number > last)).all():
            yield from ((row.row, row.key, read_settlement(row)) for row in rows)
            last = rows[-1].number

    def record_at(self, run: Run, *, file: int, row: int) -> tuple[int, str, Settlement | None] | None:
        """Return (spooled person, key, settlement) of a row, None where the run has no such row."""
        records = tables.records
        found = self._connection.execute(
            select(records).where(records.c.run == run.id, records.c.file == file, records.c.row == row)
        ).first()
        return (found.person, found.key, read_settlement(found) if found.outcome else None) if found else None

    def rows(self, run: int) -> list[tuple[int, int]]:
        """Return (file's number, row) of everything in a run, in its order."""
        records = tables.records
        statement = select(records.c.file, records.c.row).where(records.c.run == run).order_by(records.c.number)
        return [(file, row) for file, row in self._connection.execute(statement)]

    def sweep(self, run: Run) -> None:
        """Drop what only the decisions needed once the run is finished; parked records stay, and by what their people are found."""
        for table in (tables.edges, tables.candidates):
            self._connection.execute(table.delete().where(table.c.run == run.id))
        records, persons = tables.records, tables.persons
        unchanged = (records.c.run == run.id, records.c.outcome == Outcome.UNCHANGED, records.c.payload.is_not(None))
        self._connection.execute(update(records).where(*unchanged).values(payload=None))
        parked = select(records.c.person).where(records.c.run == run.id, records.c.outcome.in_(_PARKED))
        blocks = tables.blocks
        self._connection.execute(blocks.delete().where(blocks.c.run == run.id, blocks.c.person.not_in(parked)))
        self._connection.execute(
            update(persons).where(persons.c.run == run.id, persons.c.number.not_in(parked)).values(payload=None)
        )
