"""What merges made of records' keys."""

from alembic import op

from fhir_gateway.ledger.merges import merged_keys

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    merged_keys.metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the table; what was merged stays merged."""
    merged_keys.metadata.drop_all(op.get_bind())
