"""What each record's load wrote on the server, for auditors; of older runs that is not known."""

import sqlalchemy as sa
from alembic import op

from fhir_gateway.ledger import tables

revision = "0008"
down_revision = "0007"

_COLUMN = "written"
_INDEX = next(one for one in tables.records.indexes if one.name == "records_written")


def upgrade() -> None:
    """Add the column and its index, where the first migration has not made them already."""
    bind = op.get_bind()
    if _COLUMN not in {one["name"] for one in sa.inspect(bind).get_columns("records")}:
        op.add_column("records", sa.Column(_COLUMN, sa.Text, nullable=False, server_default=""))
    _INDEX.create(bind, checkfirst=True)


def downgrade() -> None:
    """Drop the column and its index."""
    _INDEX.drop(op.get_bind())
    op.drop_column("records", _COLUMN)
