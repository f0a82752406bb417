"""A report as CSV, safe to open in a spreadsheet program."""

import csv
from collections.abc import Iterator
from pathlib import Path

from fhir_gateway.ports import Source
from fhir_gateway.reports.rows import GATEWAY_COLUMNS, ReportRow, column_names

_RUNNABLE = ("=", "+", "-", "@", "\t", "\r")


def write_csv(source: Source, rows: Iterator[ReportRow], path: Path) -> None:
    """Write the rows with the input's delimiter; UTF-8, with a byte order mark unless the input was UTF-8 without."""
    encoding = "utf-8-sig" if source.byte_order_mark else "utf-8"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=source.delimiter or ",")
        writer.writerow([harmless(name) for name in (*column_names(source), *GATEWAY_COLUMNS)])
        for row in rows:
            writer.writerow([harmless(cell) for cell in row.cells + row.gateway])


def harmless(cell: str) -> str:
    """Return the cell with an apostrophe before it where a spreadsheet program would run it.

    A lone `-` stands for nothing and stays (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    return f"'{cell}" if cell.startswith(_RUNNABLE) and cell != "-" else cell
