"""Access keys, and merges handed in as jobs."""

from alembic import op

from fhir_gateway.ledger import access
from fhir_gateway.ledger.merges import jobs as merge_jobs

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    access.metadata.create_all(op.get_bind())
    merge_jobs.metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables, and with them every key."""
    merge_jobs.metadata.drop_all(op.get_bind())
    access.metadata.drop_all(op.get_bind())
