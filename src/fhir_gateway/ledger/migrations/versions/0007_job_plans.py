"""Plans that were reviewed and handed in as jobs."""

from alembic import op

from fhir_gateway.ledger.merges import jobs as merge_jobs

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    merge_jobs.plans_metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop the table; what was handed in and not begun has to be handed in again."""
    merge_jobs.plans_metadata.drop_all(op.get_bind())
