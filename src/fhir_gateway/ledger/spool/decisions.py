"""A run's decisions on disk, with what became of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from fhir_gateway.domain.identity import PersonAction, PersonDecision
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Run, StoredDecision
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.chunks import CHUNK, chunks
from fhir_gateway.ledger.spool.rows import read_decision

_DECIDE = update(tables.persons).where(
    tables.persons.c.run == bindparam("at"), tables.persons.c.number == bindparam("of")
)
_RECEIVE = update(tables.decisions).where(
    tables.decisions.c.run == bindparam("at"), tables.decisions.c.number == bindparam("of")
)


class SpooledDecisions:
    """The decisions of one environment's runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
        last = 0
        page = (
            select(persons.c.number, table.c.patient_id, persons.c.payload)
            .join(persons, and_(persons.c.run == table.c.run, persons.c.decision == table.c.number))
            .where(table.c.run == run.id, table.c.action == PersonAction.CREATE, table.c.patient_id != "")
            .order_by(persons.c.number)
            .limit(CHUNK)
        )
        while rows := self._connection.execute(page.where(persons.c.number > last)).all():
            yield from ((patient_id, codec.unpack(payload)) for _, patient_id, payload in rows)
            last = rows[-1].number
