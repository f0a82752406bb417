"""A report as CSV, safe to open in a spreadsheet program."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from fhir_gateway.ports import Source
from fhir_gateway.reports.rows import GATEWAY_COLUMNS, ReportRow, column_names

_RUNNABLE = ("=", "+", "-", "@", "\t", "\r")
# Digits beyond the fifteenth that are all zero: what is left of a longer number after a spreadsheet kept it as one.
_CUT_NUMBER = re.compile(r"(\d)(\d{14})0+")


def write_csv(source: Source, rows: Iterator[ReportRow], path: Path) -> None:
    """Write the rows with the input's delimiter; UTF-8, with a byte order mark unless the input was UTF-8 without."""
    encoding = "utf-8-sig" if source.byte_order_mark else "utf-8"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=source.delimiter or ",")
        writer.writerow([harmless(name) for name in (*column_names(source), *GATEWAY_COLUMNS)])
        for row in rows:
            cells = row.cells
            if row.numeric:
                cells = tuple(_as_stored(cell) if place in row.numeric else cell for place, cell in enumerate(cells))
            writer.writerow([harmless(cell) for cell in cells + row.gateway])


def harmless(cell: str) -> str:
    """Return the cell with an apostrophe before it where a spreadsheet program would run it.

    A lone `-` stands for nothing and stays (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    return f"'{cell}" if cell.startswith(_RUNNABLE) and cell != "-" else cell


def _as_stored(number: str) -> str:
    """Write a number that lost its last digits so that it is seen (3.30312010190012E+15), as the program shows it."""
    if not (match := _CUT_NUMBER.fullmatch(number)):
        return number
    decimals = match[2].rstrip("0")
    return f"{match[1]}{'.' if decimals else ''}{decimals}E+{len(number) - 1}"
