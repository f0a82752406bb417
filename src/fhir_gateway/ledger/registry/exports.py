"""The bulk exports of one environment: what was asked for, and how far each has come."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy import update as update_rows
from sqlalchemy.engine import Row

from fhir_gateway.domain.exports import Checkpoint, ExportFile, ExportJob, ExportState, FileKind
from fhir_gateway.ledger.codec import pack, unpack

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

exports = Table(
    "exports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client", String(36), nullable=False, index=True),
    Column("pull", Integer, nullable=False),
    Column("request", Text, nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created", String(40), nullable=False),
    Column("finished", String(40)),
    Column("checkpoint", LargeBinary, nullable=False),
)


class Exports:
    """The exports; what is written counts when the ledger's transaction is committed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, job: ExportJob) -> None:
        """Write a new export down."""
        self._connection.execute(
            insert(exports).values(
                id=job.id,
                client=job.client,
                pull=job.pull,
                request=job.request,
                asked=pack(dict(job.order)),
                state=job.state,
                created=job.created.isoformat(),
                checkpoint=_packed(job.checkpoint),
            )
        )

    def get(self, job: str) -> ExportJob | None:
        """Return an export, None where there is none of this id any more."""
        row = self._connection.execute(select(exports).where(exports.c.id == job)).first()
        return _job(row) if row else None

    def all(self, *, state: ExportState | None = None, client: str = "") -> list[ExportJob]:
        """Return exports, the oldest first."""
        wanted = select(exports).order_by(exports.c.created)
        if state is not None:
            wanted = wanted.where(exports.c.state == state)
        if client:
            wanted = wanted.where(exports.c.client == client)
        return [_job(row) for row in self._connection.execute(wanted)]

    def reach(self, job: str, checkpoint: Checkpoint) -> bool:
        """Write down how far an export has come; say whether it is still wanted."""
        return self._update(job, checkpoint=_packed(checkpoint))

    def finish(self, job: str, checkpoint: Checkpoint, *, at: datetime) -> bool:
        """Write down that an export is done; say whether it is still wanted."""
        return self._update(job, checkpoint=_packed(checkpoint), state=ExportState.FINISHED, finished=at.isoformat())

    def drop(self, job: str) -> bool:
        """Forget an export; say whether there was one."""
        return self._connection.execute(delete(exports).where(exports.c.id == job)).rowcount > 0

    def _update(self, job: str, **values: Any) -> bool:
        return self._connection.execute(update_rows(exports).where(exports.c.id == job).values(values)).rowcount > 0


def _packed(checkpoint: Checkpoint) -> bytes:
    said = asdict(checkpoint)
    moment = checkpoint.transaction_time
    return pack(said | {"transaction_time": moment.isoformat() if moment else None})


def _unpacked(payload: bytes) -> Checkpoint:
    said: Mapping[str, Any] = unpack(payload)
    moment = said["transaction_time"]
    return Checkpoint(
        step=said["step"],
        cursor=tuple(said["cursor"]),
        transaction_time=datetime.fromisoformat(moment) if moment else None,
        files=tuple(ExportFile(**{**one, "kind": FileKind(one["kind"])}) for one in said["files"]),
        failed=tuple(said["failed"]),
        written=said["written"],
        said=said["said"],
    )


def _job(row: Row[Any]) -> ExportJob:
    return ExportJob(
        id=row.id,
        client=row.client,
        pull=row.pull,
        request=row.request,
        order=unpack(row.asked),
        state=ExportState(row.state),
        created=datetime.fromisoformat(row.created),
        checkpoint=_unpacked(row.checkpoint),
        finished=datetime.fromisoformat(row.finished) if row.finished else None,
    )
