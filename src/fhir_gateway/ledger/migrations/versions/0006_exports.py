"""Bulk exports, and who belongs to which group."""

from alembic import op

from fhir_gateway.ledger.registry import exports, groups

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    exports.metadata.create_all(op.get_bind())
    groups.metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables, and with them every export and the times of joining."""
    groups.metadata.drop_all(op.get_bind())
    exports.metadata.drop_all(op.get_bind())
