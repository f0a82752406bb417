"""Write a table of the gateway's own (no input behind it), as safe to open in a spreadsheet program as a report is."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import orjson

from fhir_gateway.reports.csv_report import harmless
from fhir_gateway.reports.targets import check_target, whole_file

_LONGEST_CELL = 32_767
"""What a spreadsheet program holds in a cell, in UTF-16 (https://support.microsoft.com: Excel specifications and limits)."""
_CUT = " … (cut off here)"
_NO_CHOICES: Mapping[str, Sequence[str]] = MappingProxyType({})


def write_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    target: Path,
    *,
    choices: Mapping[str, Sequence[str]] = _NO_CHOICES,
) -> None:
    """Write the rows under their columns to OUT.csv, .xlsx or .ndjson; all cells are text, none can run.

    In a sheet what no cell can hold is cut off, and says so: a program would break the row there.
    `choices` are column → the words that a workbook offers in it. Raises ReportError for a target that cannot be and
    InterruptedRunError where writing failed: there is never half a table.
    """
    check_target(target)
    with whole_file(target) as path:
        if target.suffix.lower() == ".xlsx":
            from fhir_gateway.reports.xlsx_table import write_sheet  # noqa: PLC0415 - openpyxl takes 5 MiB

            write_sheet(columns, map(_held, rows), path, choices=choices)
        else:
            _WRITERS[target.suffix.lower()](columns, rows, path)


def _write_csv(columns: Sequence[str], rows: Iterable[Sequence[str]], path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([harmless(name) for name in columns])
        writer.writerows([harmless(cell) for cell in row] for row in map(_held, rows))


def _held(row: Sequence[str]) -> list[str]:
    """Return a row as a spreadsheet's cells can hold it."""
    return [_cut(cell) if len(cell) > _LONGEST_CELL // 2 else cell for cell in row]


def _cut(cell: str) -> str:
    units = cell.encode("utf-16-le", "surrogatepass")
    if len(units) // 2 < _LONGEST_CELL:  # CSV may put an apostrophe before it
        return cell
    return units[: 2 * (_LONGEST_CELL - 1 - len(_CUT))].decode("utf-16-le", "ignore") + _CUT


def _write_ndjson(columns: Sequence[str], rows: Iterable[Sequence[str]], path: Path) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(dict(zip(columns, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE))


_WRITERS: Mapping[str, Callable[[Sequence[str], Iterable[Sequence[str]], Path], None]] = {
    ".csv": _write_csv,
    ".ndjson": _write_ndjson,
}
