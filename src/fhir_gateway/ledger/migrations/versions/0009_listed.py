"""The thresholds of each run, and what each row told of doses; of older runs and rows that is not known."""

import sqlalchemy as sa
from alembic import op

from fhir_gateway.ledger.tables import known_lots

revision = "0009"
down_revision = "0008"

_COLUMNS = (("runs", "thresholds"), ("keys", "listed"))


def upgrade() -> None:
    """Add the columns and the table, where the first migration has not made them already."""
    bind = op.get_bind()
    for table, column in _COLUMNS:
        if column not in {one["name"] for one in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, sa.Column(column, sa.Text, nullable=False, server_default=""))
    known_lots.create(bind, checkfirst=True)


def downgrade() -> None:
    """Drop the columns and the table."""
    known_lots.drop(op.get_bind())
    for table, column in _COLUMNS:
        op.drop_column(table, column)
