"""A run's people on disk: who they are, whom they share a blocking key with, and what comparing them showed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, Engine, and_, delete, func, insert, select

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Run
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.chunks import CHUNK, chunks
from fhir_gateway.ledger.database import second_connection
from fhir_gateway.ledger.spool.rows import edges_statement, is_open, read_edge


class SpooledPeople:
    """The people of one environment's runs."""

    def __init__(self, connection: Connection, engine: Engine) -> None:
        self._connection = connection
        self._engine = engine

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

    def people_in(self, run: Run, key: int) -> list[int]:
        """Return the people under a blocking key, the smallest number first."""
        table = tables.blocks
        statement = select(table.c.person).where(table.c.run == run.id, table.c.key == key).order_by(table.c.person)
        return list(self._connection.execute(statement).scalars())

    def unblock(self, run: Run, people: Iterable[int]) -> None:
        """Forget the blocking keys of people who are settled: they meet nobody."""
        table = tables.blocks
        for chunk in chunks(people):
            self._connection.execute(delete(table).where(table.c.run == run.id, table.c.person.in_(chunk)))

    def open_people(self, run: Run, *, waiting: Collection[str] = ()) -> Iterator[tuple[int, str, Resource]]:
        """Yield (number, digest, Patient) of every person who has an unsettled record, or one that waits for these reasons, by number."""
        table, records = tables.persons, tables.records
        last = 0
        undecided = select(records.c.person).where(
            records.c.run == run.id, records.c.person == table.c.number, is_open(waiting)
        )
        statement = select(table.c.number, table.c.digest, table.c.payload).where(
            table.c.run == run.id, undecided.exists()
        )
        while rows := self._connection.execute(
            statement.where(table.c.number > last).order_by(table.c.number).limit(CHUNK)
        ).all():
            for number, digest, payload in rows:
                yield number, digest, codec.unpack(payload)
            last = rows[-1][0]

    def open_numbers(self, run: Run, *, waiting: Collection[str] = ()) -> Iterator[int]:
        """Yield the number of every person who has an unsettled record, or one that waits for these reasons, the smallest first."""
        records = tables.records
        last = 0
        undecided = select(records.c.person).where(records.c.run == run.id, is_open(waiting))
        page = undecided.distinct().order_by(records.c.person).limit(CHUNK)
        while numbers := self._connection.execute(page.where(records.c.person > last)).scalars().all():
            yield from numbers
            last = numbers[-1]

    def only_waiting(self, run: Run, reasons: Collection[str]) -> frozenset[int]:
        """Return the numbers of the people who have no unsettled record, but one that waits for one of these reasons."""
        records, others = tables.records, tables.records.alias()
        still_open = select(others.c.number).where(
            others.c.run == run.id, others.c.person == records.c.person, others.c.outcome.is_(None)
        )
        waiting = select(records.c.person).where(
            records.c.run == run.id, records.c.outcome == Outcome.REVIEW, records.c.code.in_(reasons)
        )
        return frozenset(self._connection.execute(waiting.where(~still_open.exists())).scalars())

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

    def pairs(self, run: Run, *, largest_block: int) -> Iterator[tuple[int, int, int]]:
        """Yield (hashed key, person, other) of all who share a blocking key, each pair once and by the smallest key that they share.

        Blocks above `largest_block` are passed over. Those of a block come together, as whoever compares them reads them once.
        """
        left, right = tables.blocks.alias(), tables.blocks.alias()
        sizes = (
            select(tables.blocks.c.key)
            .where(tables.blocks.c.run == run.id)
            .group_by(tables.blocks.c.key)
            .having(func.count().between(2, largest_block))
            .subquery()
        )
        key = func.min(sizes.c.key).label("first_key")
        statement = (
            select(key, left.c.person, right.c.person)
            .select_from(sizes)
            .join(left, and_(left.c.run == run.id, left.c.key == sizes.c.key))
            .join(right, and_(right.c.run == run.id, right.c.key == sizes.c.key, right.c.person > left.c.person))
            .group_by(left.c.person, right.c.person)
            .order_by(key)
        )
        with second_connection(self._engine, rows=CHUNK) as reading:
            result = reading.execute(statement)
            yield from ((shared, a, b) for shared, a, b in result)

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
        with second_connection(self._engine, rows=CHUNK) as reading:
            for row in reading.execute(edges_statement(run)):
                yield read_edge(row)

    def links(self, run: Run) -> Iterator[tuple[int, int | str]]:
        """Yield every edge as (person, other person or patient id); those to one Patient one after another."""
        statement = edges_statement(run).order_by(tables.edges.c.other)
        with second_connection(self._engine, rows=CHUNK) as reading:
            for row in reading.execute(statement):
                person, other, _ = read_edge(row)
                yield person, other

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
