"""The access keys of one environment: who may use what is served."""

from datetime import datetime

from sqlalchemy import Column, Connection, MetaData, String, Table, Text, insert, select, update
from sqlalchemy.engine import Row

from fhir_gateway.domain.access import AccessKey, Role

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created", String(40), nullable=False),
    Column("revoked", String(40)),
)


class AccessKeys:
    """The keys; a change counts when the ledger's transaction is committed, for every process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, key: AccessKey) -> None:
        """Write a new key down."""
        self._connection.execute(
            insert(access_keys).values(
                id=key.id, name=key.name, role=key.role, digest=key.digest, created=key.created.isoformat()
            )
        )

    def get(self, key_id: str) -> AccessKey | None:
        """Return a key, revoked or not."""
        row = self._connection.execute(select(access_keys).where(access_keys.c.id == key_id)).first()
        return _key(row) if row else None

    def all(self) -> list[AccessKey]:
        """Return all keys, the oldest first."""
        rows = self._connection.execute(select(access_keys).order_by(access_keys.c.created, access_keys.c.id))
        return [_key(row) for row in rows]

    def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key that is not; return whether there was one."""
        changed = self._connection.execute(
            update(access_keys)
            .where(access_keys.c.id == key_id, access_keys.c.revoked.is_(None))
            .values(revoked=at.isoformat())
        )
        return changed.rowcount == 1


def _key(row: Row[tuple[object, ...]]) -> AccessKey:
    return AccessKey(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        digest=row.digest,
        created=datetime.fromisoformat(row.created),
        revoked=datetime.fromisoformat(row.revoked) if row.revoked else None,
    )
