"""The registered clients of one environment, and the proofs that they have used up."""

from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from fhir_gateway.domain.registry import RegistryClient, Scope

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

clients = Table(
    "registry_clients",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("jwks_url", Text, nullable=False),
    Column("jwks", Text, nullable=False),
    Column("registered", String(40), nullable=False),
    Column("revoked", String(40)),
)

assertions = Table(
    "registry_assertions",
    metadata,
    Column("client", String(36), nullable=False),
    Column("jti", String(256), nullable=False),
    Column("expires", String(40), nullable=False),
    PrimaryKeyConstraint("client", "jti"),
)

# Asked with every request of a client: building it anew would take longer than the database does.
_ONE = select(clients).where(clients.c.id == bindparam("client"))


class RegistryClients:
    """The clients; a change counts when the ledger's transaction is committed, for every process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, client: RegistryClient) -> None:
        """Write a new client down."""
        self._connection.execute(
            insert(clients).values(
                id=client.id,
                name=client.name,
                scopes=" ".join(map(str, client.scopes)),
                jwks_url=client.jwks_url,
                jwks=client.jwks,
                registered=client.registered.isoformat(),
            )
        )

    def get(self, client_id: str) -> RegistryClient | None:
        """Return a client, revoked or not."""
        row = self._connection.execute(_ONE, {"client": client_id}).first()
        return _client(row) if row else None

    def all(self) -> list[RegistryClient]:
        """Return all clients, the oldest first."""
        rows = self._connection.execute(select(clients).order_by(clients.c.registered, clients.c.id))
        return [_client(row) for row in rows]

    def revoke(self, client_id: str, at: datetime) -> bool:
        """Revoke a client that is not; return whether there was one."""
        changed = self._connection.execute(
            update(clients).where(clients.c.id == client_id, clients.c.revoked.is_(None)).values(revoked=at.isoformat())
        )
        return changed.rowcount == 1

    def use_up(self, client_id: str, jti: str, *, expires: datetime, now: datetime) -> bool:
        """Note that an assertion was used; return False where it was before. What has expired is forgotten."""
        self._connection.execute(delete(assertions).where(assertions.c.expires < now.isoformat()))
        used = select(assertions.c.jti).where(assertions.c.client == client_id, assertions.c.jti == jti)
        if self._connection.execute(used).first() is not None:
            return False
        # Should another process have used it at this very moment, the key of the table refuses the second.
        self._connection.execute(insert(assertions).values(client=client_id, jti=jti, expires=expires.isoformat()))
        return True


def _client(row: Row[tuple[object, ...]]) -> RegistryClient:
    return RegistryClient(
        id=row.id,
        name=row.name,
        scopes=tuple(map(_scope, row.scopes.split())),
        registered=datetime.fromisoformat(row.registered),
        jwks_url=row.jwks_url,
        jwks=row.jwks,
        revoked=datetime.fromisoformat(row.revoked) if row.revoked else None,
    )


def _scope(text: str) -> Scope:
    resource_type, _, permissions = text.removeprefix("system/").partition(".")
    return Scope(resource_type, permissions)
