"""Merges and their append-only history, with the triggers that guard it."""

from alembic import op

from fhir_gateway.ledger.merges.tables import metadata

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables; their guards come with them."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables, and the history with them."""
    metadata.drop_all(op.get_bind())
