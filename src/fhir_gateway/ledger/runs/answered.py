"""What operators wrote on the FHIR server by taking an answer back, from the answers themselves, the newest first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from fhir_gateway.domain.changes import Change, ChangeFilter, ChangeOrigin, ChangePlace
from fhir_gateway.ledger.spool.rows import read_written
from fhir_gateway.ledger.tables import answers


class AnswerChanges:
    """The changes that answers without a run made in one environment; there are as many as an operator can give."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest(self) -> ChangePlace:
        """Return a place behind which every change stands that there is now."""
        return ChangePlace((self._connection.execute(select(func.max(answers.c.id))).scalar() or 0) + 1, 0)

    def of(self, wanted: ChangeFilter, *, after: ChangePlace) -> Iterator[Change]:
        """Yield changes behind `after`, the newest first."""
        if wanted.run is not None:
            return
        chosen = select(answers).where(answers.c.written != "", answers.c.id <= after.first)
        if wanted.user:
            chosen = chosen.where(answers.c.user == wanted.user)
        if wanted.patients:
            chosen = chosen.where(answers.c.patient_id.in_(wanted.patients))
        if wanted.since is not None:
            chosen = chosen.where(answers.c.decided >= wanted.since.astimezone(UTC).isoformat())
        if wanted.until is not None:
            chosen = chosen.where(answers.c.decided <= wanted.until.astimezone(UTC).isoformat())
        for row in self._connection.execute(chosen.order_by(answers.c.id.desc())):
            yield from (one for one in _changes(row) if one.place < after)

    def get(self, place: ChangePlace) -> Change | None:
        """Return the change at a place, None where there is none."""
        row = self._connection.execute(select(answers).where(answers.c.id == place.first)).first()
        return next((one for one in (_changes(row) if row else ()) if one.place == place), None)


def _changes(row: Row[Any]) -> list[Change]:
    """Return what an answer wrote, the last first."""
    at = datetime.fromisoformat(row.decided)
    return [
        Change(
            origin=ChangeOrigin.ANSWER,
            place=ChangePlace(row.id, place),
            resource=one.resource,
            created=one.created,
            version=one.version,
            patient=row.patient_id,
            user=row.user,
            why="undo",
            at=at,
            until=at,
            run=row.run,
            review=row.review,
        )
        for place, one in reversed(list(enumerate(read_written(row.written), start=1)))
    ]
