"""How the spool's records, settlements, edges and decisions stand in the ledger's rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.engine import Row

from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Run, Settlement, SpooledRecord, StoredDecision, WrittenResource
from fhir_gateway.ledger import codec, tables


def with_patient(run: Run | None = None) -> Select[Any]:
    """Return the statement for records with their persons' Patients, of one run or of all."""
    records, persons = tables.records, tables.persons
    joined = and_(persons.c.run == records.c.run, persons.c.number == records.c.person)
    statement = select(records, persons.c.payload.label("patient")).join(persons, joined)
    return statement.where(records.c.run == run.id) if run else statement


def is_open(waiting: Collection[str] = ()) -> ColumnElement[bool]:
    """Return what tells of records that they have no outcome yet, or wait for one of these reasons."""
    records = tables.records
    unsettled = records.c.outcome.is_(None)
    return (
        or_(unsettled, and_(records.c.outcome == Outcome.REVIEW, records.c.code.in_(waiting))) if waiting else unsettled
    )


def record_row(run: Run, record: SpooledRecord, settlement: Settlement | None) -> dict[str, Any]:
    """Return the row of a new record; one that is rejected already keeps no payload."""
    settled = settlement_row(settlement or Settlement(record.number, Outcome.LOADED))
    if settlement is None:
        settled["outcome"] = None
    rejected = settlement is not None and settlement.outcome is Outcome.REJECTED
    return {
        "run": run.id,
        "number": record.number,
        "file": record.file,
        "row": record.row,
        "key": record.key,
        "clinic": record.clinic,
        "content": record.content,
        "person": record.person,
        "corrected": record.corrected,
        "payload": None if rejected else codec.pack_doses(record.doses, record.missing),
        **settled,
    }


def edges_statement(run: Run) -> Select[tuple[int, str, int, float]]:
    """Return the statement for a run's edges."""
    table = tables.edges
    return select(table.c.person, table.c.other, table.c.other_person, table.c.weight).where(table.c.run == run.id)


def read_edge(row: Sequence[Any]) -> tuple[int, int | str, float]:
    """Return (person, other person or Patient id, weight)."""
    person, other, other_person, weight = row
    return person, other_person or other, weight


def settlement_row(settlement: Settlement) -> dict[str, Any]:
    """Return the columns that a settlement fills."""
    return {
        "outcome": settlement.outcome,
        "code": settlement.code,
        "reason": settlement.reason,
        "suggestion": settlement.suggestion,
        "patient_id": settlement.patient_id,
        "immunization_ids": " ".join(settlement.immunization_ids),
        "grade": settlement.grade or "",
        "written": written_text(settlement.written),
    }


def written_text(written: Iterable[WrittenResource]) -> str:
    """Return how resources that were written stand in a row; ids hold neither a slash nor a space."""
    return " ".join(f"{'C' if one.created else 'U'}/{one.resource}/{one.version}" for one in written)


def read_written(text: str) -> list[WrittenResource]:
    """Return the resources that a row says were written."""
    found = []
    for one in text.split():
        action, resource_type, resource_id, version = one.split("/")
        found.append(WrittenResource(f"{resource_type}/{resource_id}", action == "C", version))
    return found


def read_settlement(row: Row[Any]) -> Settlement:
    """Return the settlement of a settled record's row."""
    return Settlement(
        number=row.number,
        outcome=Outcome(row.outcome),
        code=row.code,
        reason=row.reason,
        suggestion=row.suggestion,
        patient_id=row.patient_id,
        immunization_ids=tuple(row.immunization_ids.split()),
        grade=Grade(row.grade) if row.grade else None,
        written=tuple(read_written(row.written)),
    )


def read_records(rows: Iterable[Row[Any]]) -> list[SpooledRecord]:
    """Return the records of rows of with_patient() that still have their payloads; a person's share one Patient."""
    patients: dict[tuple[int, int], Resource] = {}
    found = []
    for row in rows:
        person = (row.run, row.person)
        if person not in patients:
            patients[person] = codec.unpack(row.patient)
        found.append(_record(row, patients[person]))
    return found


def _record(row: Row[Any], patient: Resource) -> SpooledRecord:
    doses, missing = codec.unpack_doses(row.payload)
    return SpooledRecord(
        number=row.number,
        file=row.file,
        row=row.row,
        key=row.key,
        clinic=row.clinic,
        content=row.content,
        person=row.person,
        patient=patient,
        doses=doses,
        missing=missing,
        corrected=row.corrected,
    )


def read_decision(row: Row[Any]) -> StoredDecision:
    """Return a decision with its receipt."""
    decision = codec.unpack_decision(row.body)
    return StoredDecision(
        number=row.number,
        decision=decision if decision.patient_id == row.patient_id else replace(decision, patient_id=row.patient_id),
        identifier=row.identifier,
        settled=row.settled,
    )
