"""What each record's load, and each answer of an operator, wrote on the server; of older ones that is not known."""

import sqlalchemy as sa
from alembic import op

from fhir_gateway.ledger import tables

revision = "0008"
down_revision = "0007"

_COLUMN = "written"
_TABLES = ("records", "answers")
_INDEX = next(one for one in tables.records.indexes if one.name == "records_written")


def upgrade() -> None:
    """Add the columns and the index, where the first migration has not made them already."""
    bind = op.get_bind()
    for table in _TABLES:
        if _COLUMN not in {one["name"] for one in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, sa.Column(_COLUMN, sa.Text, nullable=False, server_default=""))
    _INDEX.create(bind, checkfirst=True)


def downgrade() -> None:
    """Drop the columns and the index."""
    _INDEX.drop(op.get_bind())
    for table in _TABLES:
        op.drop_column(table, _COLUMN)
