"""Rows of a table read in the order of the history's entries that they belong to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.engine import RowMapping

from fhir_gateway.domain.history import Part
from fhir_gateway.ledger.merges import rows as merge_rows
from fhir_gateway.ledger.merges.tables import merge_changes, merge_steps

PAGE = 500

ROWS: tuple[tuple[Part, Table, Callable[[Any], bytes]], ...] = (
    (Part.CHANGES, merge_changes, merge_rows.change_line),
    (Part.STEPS, merge_steps, merge_rows.step_line),
)
"""The parts that stand in rows of their own, with how a row is hashed."""


class Beside:
    """The rows of a table beside the history; memory stays flat."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self.name = table.name
        order = [table.c.entry, *(column for column in table.primary_key.columns if column is not table.c.entry)]
        found = connection.execution_options(yield_per=PAGE).execute(select(table).order_by(*order))
        names = tuple(table.columns.keys())
        # Plain dicts, page by page: a million entries have several million rows.
        self._rows = (dict(zip(names, row, strict=True)) for page in found.partitions(PAGE) for row in page)
        self._next: Mapping[str, Any] | None = next(self._rows, None)
        self._orphans: list[int] = []

    def of(self, entry: int) -> list[Mapping[str, Any]]:
        """Return the rows of an entry; entries are asked for in order."""
        found = []
        while self._next is not None and self._next["entry"] <= entry:
            if self._next["entry"] == entry:
                found.append(self._next)
            else:
                self._orphans.append(self._next["entry"])
            self._next = next(self._rows, None)
        return found

    def orphans(self) -> Sequence[int]:
        """Return the entries that rows name and nobody asked for, when all has been read."""
        left = [] if self._next is None else [self._next["entry"], *(row["entry"] for row in self._rows)]
        self._next = None
        return [*self._orphans, *left]


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """See one state of the ledger, whatever others write meanwhile; nothing may be written inside."""
    connection.rollback()
    connection.execute(text("BEGIN"))
    try:
        yield
    finally:
        connection.rollback()


def plain(row: RowMapping) -> dict[str, Any]:
    """Return a row by its columns' names."""
    return {str(column): value for column, value in row.items()}
