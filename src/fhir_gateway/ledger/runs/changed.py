"""What loads and operators' decisions wrote on the FHIR server, from the records of their runs, the newest first."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, text

from fhir_gateway.domain.changes import Change, ChangeFilter, ChangeOrigin, ChangePlace
from fhir_gateway.domain.runs import RunKind
from fhir_gateway.ledger.spool.rows import read_written
from fhir_gateway.ledger.tables import records, runs

_PAGE = 200
_WROTE = text("records.written != ''")
"""As the index `records_written` says it: with the text as a parameter SQLite would not know that it fits."""


class RunChanges:
    """The changes that the runs of one environment made."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest(self) -> ChangePlace:
        """Return a place behind which every change stands that there is now."""
        return ChangePlace((self._connection.execute(select(func.max(runs.c.id))).scalar() or 0) + 1, 0)

    def of(self, wanted: ChangeFilter, *, after: ChangePlace) -> Iterator[Change]:
        """Yield changes behind `after`, the newest run first, and in it the last record."""
        for run in self._runs(wanted, last=after.first):
            last = after if run.id == after.first else None
            yield from self._of_run(run, wanted, after=last)

    def get(self, place: ChangePlace) -> Change | None:
        """Return the change at a place, None where there is none."""
        run = self._connection.execute(select(runs).where(runs.c.id == place.first)).first()
        row = self._connection.execute(
            select(records).where(records.c.run == place.first, records.c.number == place.second)
        ).first()
        found = _changes(run, row) if run and row else []
        return next((one for one in found if one.place == place), None)

    def _runs(self, wanted: ChangeFilter, *, last: int) -> Sequence[Row[Any]]:
        wrote = select(records.c.number).where(records.c.run == runs.c.id, _WROTE).limit(1)
        chosen = select(runs).where(runs.c.id <= last, wrote.exists()).order_by(runs.c.id.desc())
        if wanted.user:
            chosen = chosen.where(runs.c.user == wanted.user)
        if wanted.run is not None:
            chosen = chosen.where(runs.c.id == wanted.run)
        if wanted.since is not None:
            chosen = chosen.where(or_(runs.c.finished.is_(None), runs.c.finished >= _stamp(wanted.since)))
        if wanted.until is not None:
            chosen = chosen.where(runs.c.started <= _stamp(wanted.until))
        if wanted.patients:
            chosen = chosen.where(or_(runs.c.id.in_(_runs_of(wanted.patients)), runs.c.kind == RunKind.UNLINK))
        return self._connection.execute(chosen).all()

    def _of_run(self, run: Row[Any], wanted: ChangeFilter, *, after: ChangePlace | None) -> Iterator[Change]:
        table, last = records, after.second if after else None
        chosen = select(table).where(_WROTE).order_by(table.c.number.desc()).limit(_PAGE)
        if not wanted.patients:
            chosen = chosen.where(table.c.run == run.id)
        elif run.kind == RunKind.UNLINK:  # few records; one of them tells of the Patient from whom it took, too
            chosen = chosen.where(table.c.run == run.id, _concerns(wanted.patients))
        else:  # few records, which the index by Patient finds; without the sum SQLite goes through the run
            chosen = chosen.where(table.c.run + 0 == run.id, table.c.patient_id.in_(wanted.patients))
        page = chosen.where(table.c.number <= last) if last is not None else chosen
        while rows := self._connection.execute(page).all():
            for row in rows:
                yield from (one for one in _changes(run, row) if after is None or one.place < after)
            page = chosen.where(table.c.number < rows[-1].number)


def _runs_of(patients: Sequence[str]) -> Any:
    return select(records.c.run).where(records.c.patient_id.in_(patients), _WROTE)


def _concerns(patients: Sequence[str]) -> ColumnElement[bool]:
    written = (records.c.written.contains(f"/Patient/{one}/", autoescape=True) for one in patients)
    return or_(records.c.patient_id.in_(patients), *written)


def _changes(run: Row[Any], row: Row[Any]) -> list[Change]:
    """Return what a record's load wrote, the last first."""
    written = list(enumerate(read_written(row.written), start=1))
    return [
        Change(
            origin=ChangeOrigin.RUN,
            place=ChangePlace(run.id, row.number, place),
            resource=one.resource,
            created=one.created,
            version=one.version,
            patient=one.resource.partition("/")[2] if one.resource.startswith("Patient/") else row.patient_id,
            user=run.user,
            why=run.kind,
            at=datetime.fromisoformat(run.started),
            until=datetime.fromisoformat(run.finished) if run.finished else None,
            run=run.id,
        )
        for place, one in reversed(written)
    ]


def _stamp(moment: datetime) -> str:
    """Return a moment as it compares with those that are written down."""
    return moment.astimezone(UTC).isoformat()
