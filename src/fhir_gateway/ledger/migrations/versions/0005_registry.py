"""A registry's clients, what they pulled, and what of it was wrong."""

from alembic import op

from fhir_gateway.ledger.registry import clients as registry_clients
from fhir_gateway.ledger.registry import pulls

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables."""
    registry_clients.metadata.create_all(op.get_bind())
    pulls.metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables, and with them every client and the record of what it pulled."""
    pulls.metadata.drop_all(op.get_bind())
    registry_clients.metadata.drop_all(op.get_bind())
