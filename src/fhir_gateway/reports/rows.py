"""Rows of a report: the input read again, side by side with the outcomes of its rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.errors import ReportError
from fhir_gateway.domain.outcomes import RowOutcome
from fhir_gateway.domain.records import SourceRecord, UnreadableRow
from fhir_gateway.ports import Source

GATEWAY_COLUMNS = (
    "gateway_row",
    "gateway_status",
    "gateway_reason",
    "gateway_suggestion",
    "patient_id",
    "immunization_ids",
    "match_grade",
    "gateway_key",
)
_PREFIX = "gateway_"
_NOT_READ = "not read: it stands behind the rows that --limit allowed"

Rows = Iterator[SourceRecord | UnreadableRow]
Restore = Callable[[Rows], Rows]
"""Makes of rows as the file has them the rows as they were read: NIKs that a spreadsheet had damaged are whole again."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row: the input's cells under `own_columns`, which of them were stored as numbers, and the gateway's cells.

    `written` is the row as an NDJSON input has it, else "".
    """

    cells: tuple[str, ...]
    numeric: frozenset[int]
    gateway: tuple[str, ...]
    written: str = ""


def own_columns(header: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the input's own columns: those that an earlier report added are left out.

    A report's three columns without the prefix count as added only beside some with it, and then the last of a name.
    """
    names = [name.strip().casefold() for name in header]
    added = {position for position, name in enumerate(names) if name.startswith(_PREFIX)}
    if added:
        for name in GATEWAY_COLUMNS:
            if name in names:
                added.add(len(names) - 1 - names[::-1].index(name))
    return tuple(position for position in range(len(names)) if position not in added)


def column_names(source: Source) -> tuple[str, ...]:
    """Return the names of the input's own columns as the file spells them."""
    return tuple(source.header[position] for position in own_columns(source.header))


def report_rows(
    source: Source, outcomes: Iterator[RowOutcome], *, restore: Restore | None = None
) -> Iterator[ReportRow]:
    """Yield every row of the input with its outcome; a row without one (a load with `--limit`) has no status, but a reason.

    Raises ReportError where outcomes and rows do not belong together.
    """
    kept = own_columns(source.header)
    outcome = next(outcomes, None)
    for record in restore(source.records()) if restore else source.records():
        row = record.ref.row
        if outcome is not None and outcome.row < row:
            raise ReportError(f"{source.path}: row {outcome.row} has more than one outcome: report this as a fault")
        if outcome is not None and outcome.row == row:
            yield _report_row(record, kept, _gateway_cells(outcome))
            outcome = next(outcomes, None)
        else:
            yield _report_row(record, kept, (str(row), "", _NOT_READ, *[""] * (len(GATEWAY_COLUMNS) - 3)))
    if outcome is not None:
        raise ReportError(f"{source.path}: has no row {outcome.row} any more: restore the file that was loaded")


def _report_row(record: SourceRecord | UnreadableRow, kept: Sequence[int], gateway: tuple[str, ...]) -> ReportRow:
    if isinstance(record, UnreadableRow):
        return ReportRow((record.text, *[""] * (len(kept) - 1)), frozenset(), gateway)
    values, keys = tuple(record.cells.values()), tuple(record.cells)
    numeric = frozenset(place for place, position in enumerate(kept) if keys[position] in record.numeric)
    return ReportRow(tuple(values[position] for position in kept), numeric, gateway, record.written)


def _gateway_cells(outcome: RowOutcome) -> tuple[str, ...]:
    return (
        str(outcome.row),
        outcome.outcome.value,
        outcome.reason,
        outcome.suggestion,
        outcome.patient_id,
        " ".join(outcome.immunization_ids),
        outcome.match_grade,
        outcome.key,
    )
