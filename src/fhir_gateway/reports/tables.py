"""Write a table of the gateway's own (no input behind it), as safe to open in a spreadsheet program as a report is."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import orjson

from fhir_gateway.reports.csv_report import harmless
from fhir_gateway.reports.targets import check_target, whole_file

_NO_CHOICES: Mapping[str, Sequence[str]] = MappingProxyType({})


def write_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    target: Path,
    *,
    choices: Mapping[str, Sequence[str]] = _NO_CHOICES,
) -> None:
    """Write the rows under their columns to OUT.csv, .xlsx or .ndjson; all cells are text, none can run.

    `choices` are column → the words that a workbook offers in it. Raises ReportError for a target that cannot be and
    InterruptedRunError where writing failed: there is never half a table.
    """
    check_target(target)
    with whole_file(target) as path:
        if target.suffix.lower() == ".xlsx":
            from fhir_gateway.reports.xlsx_table import write_sheet  # noqa: PLC0415 - openpyxl takes 5 MiB

            write_sheet(columns, rows, path, choices=choices)
        else:
            _WRITERS[target.suffix.lower()](columns, rows, path)


def _write_csv(columns: Sequence[str], rows: Iterable[Sequence[str]], path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([harmless(name) for name in columns])
        writer.writerows([harmless(cell) for cell in row] for row in rows)


def _write_ndjson(columns: Sequence[str], rows: Iterable[Sequence[str]], path: Path) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(dict(zip(columns, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE))


_WRITERS: Mapping[str, Callable[[Sequence[str], Iterable[Sequence[str]], Path], None]] = {
    ".csv": _write_csv,
    ".ndjson": _write_ndjson,
}
