"""The spool: a run's records, people, comparisons and decisions on disk, so that memory stays flat."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, distinct, func, insert, or_, select, update

from fhir_gateway.domain.identity import PersonAction, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Run, Settlement, SpooledRecord, StoredDecision
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.spool_rows import (
    edges_statement,
    read_decision,
    read_edge,
    read_record,
    read_settlement,
    record_row,
    settlement_row,
    with_patient,
)

_PARKED = (Outcome.REVIEW, Outcome.FAILED)
_CHUNK = 500
"""Values in one IN list; SQLite takes 32,766 parameters, PostgreSQL plans shorter lists faster."""


_SETTLE = update(tables.records).where(
    tables.records.c.run == bindparam("at"), tables.records.c.number == bindparam("of")
)
_DECIDE = update(tables.persons).where(
    tables.persons.c.run == bindparam("at"), tables.persons.c.number == bindparam("of")
)
_RECEIVE = update(tables.decisions).where(
    tables.decisions.c.run == bindparam("at"), tables.decisions.c.number == bindparam("of")
)


def chunks(values: Iterable[Any], size: int = _CHUNK) -> Iterator[list[Any]]:
    """Yield the values in lists of at most `size`."""
    chunk: list[Any] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class Spool:
    """The spool of one environment; every method names its run."""

    def __init__(self, connection: Connection, engine: Engine) -> None:
        self._connection = connection
        self._engine = engine

    def add(self, run: Run, records: Sequence[tuple[SpooledRecord, Settlement | None]]) -> None:
        """Write records; one that is settled already (rejected, unchanged) comes with its settlement."""
        if records:
            self._connection.execute(insert(tables.records), [record_row(run, *record) for record in records])

    def people(self, run: Run, patients: Mapping[str, Resource]) -> dict[str, int]:
        """Return digest → number; `patients` is digest → Patient, a new person is written with the next free number."""
        table = tables.persons
        known: dict[str, int] = {}
        for chunk in chunks(patients):
            rows = self._connection.execute(
                select(table.c.digest, table.c.number).where(table.c.run == run.id, table.c.digest.in_(chunk))
            )
            known.update((digest, number) for digest, number in rows)
        last = self._connection.execute(select(func.max(table.c.number)).where(table.c.run == run.id)).scalar() or 0
        new = {digest: last + n for n, digest in enumerate((d for d in patients if d not in known), start=1)}
        if new:
            self._connection.execute(
                insert(table),
                [
                    {"run": run.id, "number": number, "digest": digest, "payload": codec.pack(patients[digest])}
                    for digest, number in new.items()
                ],
            )
        return {**known, **new}

    def block(self, run: Run, keys: Sequence[tuple[int, int]]) -> None:
        """Write blocking keys as (hashed key, person) pairs."""
        if keys:
            self._connection.execute(
                insert(tables.blocks).prefix_with("OR IGNORE", dialect="sqlite"),
                [{"run": run.id, "key": key, "person": person} for key, person in dict.fromkeys(keys)],
            )

    def conflicts(self, run: Run) -> list[str]:
        """Return the keys that stand in the run with more than one content."""
        records = tables.records
        statement = (
            select(records.c.key)
            .where(records.c.run == run.id, records.c.key != "", records.c.content != "")
            .group_by(records.c.key)
            .having(func.count(distinct(records.c.content)) > 1)
        )
        return list(self._connection.execute(statement).scalars())

    def open_people(self, run: Run) -> Iterator[tuple[int, str, Resource]]:
        """Yield (number, digest, Patient) of every person who has an unsettled record, by number."""
        table, records = tables.persons, tables.records
        last = 0
        waiting = select(records.c.person).where(
            records.c.run == run.id, records.c.person == table.c.number, records.c.outcome.is_(None)
        )
        statement = select(table.c.number, table.c.digest, table.c.payload).where(
            table.c.run == run.id, waiting.exists()
        )
        while rows := self._connection.execute(
            statement.where(table.c.number > last).order_by(table.c.number).limit(_CHUNK)
        ).all():
            for number, digest, payload in rows:
                yield number, digest, codec.unpack(payload)
            last = rows[-1][0]

    def patients_of(self, run: Run, numbers: Iterable[int]) -> dict[int, Resource]:
        """Return number → Patient of spooled people; who has been settled is no longer kept."""
        table = tables.persons
        found: dict[int, Resource] = {}
        for chunk in chunks(numbers):
            statement = select(table.c.number, table.c.payload).where(
                table.c.run == run.id, table.c.number.in_(chunk), table.c.payload.is_not(None)
            )
            found.update((number, codec.unpack(payload)) for number, payload in self._connection.execute(statement))
        return found

    def digests_of(self, run: Run, numbers: Iterable[int]) -> dict[int, str]:
        """Return number → digest of spooled people."""
        table = tables.persons
        found: dict[int, str] = {}
        for chunk in chunks(numbers):
            statement = select(table.c.number, table.c.digest).where(table.c.run == run.id, table.c.number.in_(chunk))
            found.update((number, digest) for number, digest in self._connection.execute(statement))
        return found

    def pairs(self, run: Run, *, largest_block: int) -> Iterator[tuple[int, int]]:
        """Yield pairs of people that share a blocking key, each pair once; blocks above `largest_block` are passed over."""
        left, right = tables.blocks.alias(), tables.blocks.alias()
        sizes = (
            select(tables.blocks.c.key)
            .where(tables.blocks.c.run == run.id)
            .group_by(tables.blocks.c.key)
            .having(func.count().between(2, largest_block))
            .subquery()
        )
        statement = (
            select(left.c.person, right.c.person)
            .distinct()
            .select_from(sizes)
            .join(left, and_(left.c.run == run.id, left.c.key == sizes.c.key))
            .join(right, and_(right.c.run == run.id, right.c.key == sizes.c.key, right.c.person > left.c.person))
            .order_by(left.c.person)
        )
        with self._engine.connect() as reading:
            result = reading.execution_options(yield_per=_CHUNK).execute(statement)
            yield from ((a, b) for a, b in result)

    def connect(self, run: Run, edges: Sequence[tuple[int, int | str, float]]) -> None:
        """Write edges (person, other person or patient id, weight); an edge that is there stays."""
        if edges:
            self._connection.execute(
                insert(tables.edges).prefix_with("OR IGNORE", dialect="sqlite"),
                [
                    {
                        "run": run.id,
                        "person": person,
                        "other": f"#{other}" if isinstance(other, int) else other,
                        "other_person": other if isinstance(other, int) else 0,
                        "weight": weight,
                    }
                    for person, other, weight in edges
                ],
            )

    def edges(self, run: Run) -> Iterator[tuple[int, int | str, float]]:
        """Yield every edge as (person, other person or patient id, weight)."""
        with self._engine.connect() as reading:
            for row in reading.execution_options(yield_per=_CHUNK).execute(edges_statement(run)):
                yield read_edge(row)

    def edges_of(self, run: Run, people: Iterable[int]) -> list[tuple[int, int | str, float]]:
        """Return the edges that begin at these people."""
        return [
            read_edge(row)
            for chunk in chunks(people)
            for row in self._connection.execute(edges_statement(run).where(tables.edges.c.person.in_(chunk)))
        ]

    def keep_candidates(self, run: Run, patients: Mapping[str, Resource]) -> None:
        """Keep Patients of the server for the decisions."""
        if patients:
            self._connection.execute(
                insert(tables.candidates).prefix_with("OR REPLACE", dialect="sqlite"),
                [
                    {"run": run.id, "patient_id": patient_id, "payload": codec.pack(resource)}
                    for patient_id, resource in patients.items()
                ],
            )

    def candidates(self, run: Run, patient_ids: Iterable[str]) -> dict[str, Resource]:
        """Return id → Patient of kept candidates."""
        table = tables.candidates
        found: dict[str, Resource] = {}
        for chunk in chunks(patient_ids):
            statement = select(table.c.patient_id, table.c.payload).where(
                table.c.run == run.id, table.c.patient_id.in_(chunk)
            )
            found.update(
                (patient_id, codec.unpack(payload)) for patient_id, payload in self._connection.execute(statement)
            )
        return found

    def decide(self, run: Run, decisions: Sequence[tuple[PersonDecision, str]]) -> None:
        """Write decisions, each with the PERSON identifier that it would create, and whose they are."""
        table = tables.decisions
        last = self._connection.execute(select(func.max(table.c.number)).where(table.c.run == run.id)).scalar() or 0
        rows: list[dict[str, Any]] = []
        members: list[dict[str, int]] = []
        for number, (decision, identifier) in enumerate(decisions, start=last + 1):
            rows.append(
                {
                    "run": run.id,
                    "number": number,
                    "action": decision.action,
                    "patient_id": decision.patient_id,
                    "identifier": identifier,
                    "settled": False,
                    "body": codec.pack_decision(decision),
                }
            )
            members.extend({"at": run.id, "of": member, "decision": number} for member in decision.members)
        if rows:
            self._connection.execute(insert(table), rows)
            self._connection.execute(_DECIDE, members)

    def open_decisions(self, run: Run, *, after: int, limit: int) -> list[StoredDecision]:
        """Return unsettled decisions with a number above `after`, by number."""
        table = tables.decisions
        statement = (
            select(table)
            .where(table.c.run == run.id, table.c.number > after, table.c.settled.is_(False))
            .order_by(table.c.number)
            .limit(limit)
        )
        return [read_decision(row) for row in self._connection.execute(statement)]

    def decision_of(self, run: Run, person: int) -> StoredDecision | None:
        """Return the decision on a spooled person."""
        table, persons = tables.decisions, tables.persons
        row = self._connection.execute(
            select(table)
            .join(persons, and_(persons.c.run == table.c.run, persons.c.decision == table.c.number))
            .where(table.c.run == run.id, persons.c.number == person)
        ).first()
        return read_decision(row) if row else None

    def receive(self, run: Run, receipts: Mapping[int, str]) -> None:
        """Note the Patients that decisions led to: decision's number → Patient id."""
        rows = [{"at": run.id, "of": number, "patient_id": patient_id} for number, patient_id in receipts.items()]
        if rows:
            self._connection.execute(_RECEIVE, rows)

    def close(self, run: Run, decisions: Sequence[int]) -> None:
        """Note that nothing is left to do for these decisions."""
        for chunk in chunks(decisions):
            self._connection.execute(
                update(tables.decisions)
                .where(tables.decisions.c.run == run.id, tables.decisions.c.number.in_(chunk))
                .values(settled=True)
            )

    def created(self, run: Run) -> Iterator[tuple[str, Resource]]:
        """Yield (Patient id, Patient as its records had it) of everybody whom the run created."""
        table, persons = tables.decisions, tables.persons
        statement = (
            select(table.c.number, table.c.patient_id, persons.c.payload)
            .join(persons, and_(persons.c.run == table.c.run, persons.c.decision == table.c.number))
            .where(table.c.run == run.id, table.c.action == PersonAction.CREATE, table.c.patient_id != "")
        )
        with self._engine.connect() as reading:
            for _, patient_id, payload in reading.execution_options(yield_per=_CHUNK).execute(statement):
                yield patient_id, codec.unpack(payload)

    def unchanged(self, run: Run) -> Iterator[tuple[SpooledRecord, Settlement]]:
        """Yield the records that are as an earlier run loaded them and have not been verified on the server yet."""
        last = 0
        statement = (
            with_patient(run)
            .where(tables.records.c.outcome == Outcome.UNCHANGED, tables.records.c.payload.is_not(None))
            .order_by(tables.records.c.number)
            .limit(_CHUNK)
        )
        while rows := self._connection.execute(statement.where(tables.records.c.number > last)).all():
            yield from ((read_record(row), read_settlement(row)) for row in rows)
            last = rows[-1].number

    def keys_of(self, run: Run, people: Iterable[int]) -> dict[int, list[str]]:
        """Return person → keys of their unsettled records."""
        records = tables.records
        found: dict[int, list[str]] = {}
        for chunk in chunks(people):
            statement = select(records.c.person, records.c.key).where(
                records.c.run == run.id, records.c.person.in_(chunk), records.c.outcome.is_(None)
            )
            for person, key in self._connection.execute(statement):
                found.setdefault(person, []).append(key)
        return found

    def records_of(self, run: Run, people: Iterable[int]) -> list[SpooledRecord]:
        """Return the unsettled records of spooled people, by number."""
        records = tables.records
        found: list[SpooledRecord] = []
        for chunk in chunks(people):
            statement = with_patient(run).where(records.c.person.in_(chunk), records.c.outcome.is_(None))
            found.extend(read_record(row) for row in self._connection.execute(statement))
        return sorted(found, key=lambda record: record.number)

    def parked(self, run: Run, outcome: Outcome) -> Iterator[SpooledRecord]:
        """Yield the records that the run left with this outcome and that can still be sent."""
        records = tables.records
        statement = with_patient(run).where(records.c.outcome == outcome, records.c.payload.is_not(None))
        statement = statement.order_by(records.c.number)
        yield from (read_record(row) for row in self._connection.execute(statement))

    def parked_numbers(self, pairs: Iterable[tuple[int, int]]) -> list[SpooledRecord]:
        """Return parked records by (run, number)."""
        records = tables.records
        found: list[SpooledRecord] = []
        for chunk in chunks(pairs, 200):
            statement = with_patient().where(
                records.c.payload.is_not(None),
                or_(*(and_(records.c.run == run, records.c.number == number) for run, number in chunk)),
            )
            found.extend(read_record(row) for row in self._connection.execute(statement))
        return found

    def settle(self, run: Run, settlements: Sequence[Settlement]) -> None:
        """Write final outcomes; what is parked keeps its payload, everything else loses it."""
        for parked in (True, False):
            rows = [
                settlement_row(one) | {"of": one.number} for one in settlements if (one.outcome in _PARKED) is parked
            ]
            if rows:
                self._connection.execute(
                    _SETTLE if parked else _SETTLE.values(payload=None), [r | {"at": run.id} for r in rows]
                )

    def release(self, run: Run, keys: Iterable[str]) -> None:
        """Drop what other runs have parked of these keys: this run has loaded them."""
        records, persons = tables.records, tables.persons
        for chunk in chunks(keys):
            parked = (records.c.key.in_(chunk), records.c.run != run.id, records.c.payload.is_not(None))
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

    def unsettled(self, run: Run) -> Iterator[SpooledRecord]:
        """Yield every record that has no outcome yet."""
        records = tables.records
        last = 0
        statement = with_patient(run).where(records.c.outcome.is_(None)).order_by(records.c.number).limit(_CHUNK)
        while rows := self._connection.execute(statement.where(records.c.number > last)).all():
            yield from (read_record(row) for row in rows)
            last = rows[-1].number

    def settlements(self, run: Run, *, file: int) -> Iterator[tuple[int, str, Settlement]]:
        """Yield (row, key, settlement) of a file's settled records, by row."""
        records = tables.records
        statement = (
            select(records)
            .where(records.c.run == run.id, records.c.file == file, records.c.outcome.is_not(None))
            .order_by(records.c.row)
        )
        with self._engine.connect() as reading:
            for row in reading.execution_options(yield_per=_CHUNK).execute(statement):
                yield row.row, row.key, read_settlement(row)

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
        """Drop what only the decisions needed once the run is finished; parked records and their people stay."""
        for table in (tables.blocks, tables.edges, tables.candidates):
            self._connection.execute(table.delete().where(table.c.run == run.id))
        records, persons = tables.records, tables.persons
        parked = select(records.c.person).where(records.c.run == run.id, records.c.outcome.in_(_PARKED))
        self._connection.execute(
            update(persons).where(persons.c.run == run.id, persons.c.number.not_in(parked)).values(payload=None)
        )
