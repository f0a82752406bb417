"""Reads what a gateway reported of each row: the columns `gateway_row`, `gateway_status`, `patient_id` and the like."""

import csv
import json
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from zipfile import BadZipFile

from fhir_gateway.domain.errors import SourceError

STATUSES = ("loaded", "unchanged", "review", "rejected", "failed")
_NEEDED = ("gateway_row", "gateway_status", "patient_id", "immunization_ids")


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """What became of one data row (`row`, 1-based); empty fields were empty in the report."""

    row: int
    status: str
    patient: str = ""
    immunizations: tuple[str, ...] = ()
    grade: str = ""
    reason: str = ""


def read_report(path: Path) -> Iterator[ReportedRow]:
    """Yield the rows of a report in CSV (any delimiter), XLSX or NDJSON.

    Raises SourceError where it cannot be read, lacks a column, or holds a row number or status that is none.
    """
    for number, cells in enumerate(read_cells(path), start=1):
        yield _reported(cells, f"{path}: row {number} of the report")


def read_cells(path: Path) -> Iterator[dict[str, str]]:
    """Yield the cells of a report's rows by their columns; raises SourceError where it cannot be read."""
    rows = {".xlsx": _xlsx_rows, ".ndjson": _json_rows}.get(path.suffix.lower(), _csv_rows)(path)
    try:
        yield from rows
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not UTF-8, give the report as the gateway wrote it") from error


def _reported(cells: dict[str, str], place: str) -> ReportedRow:
    _check_columns(cells, place)
    if not cells["gateway_row"].isdecimal() or cells["gateway_status"] not in STATUSES:
        raise SourceError(f"{place}: gateway_row must be a number and gateway_status one of {', '.join(STATUSES)}")
    return ReportedRow(
        row=int(cells["gateway_row"]),
        status=cells["gateway_status"],
        patient=cells["patient_id"],
        immunizations=tuple(cells["immunization_ids"].split()),
        grade=cells.get("match_grade", ""),
        reason=cells.get("gateway_reason", ""),
    )


def _check_columns(names: Container[str], place: str) -> None:
    if lacking := [name for name in _NEEDED if name not in names]:
        raise SourceError(f"{place}: no column {', '.join(lacking)}; give a report that `load --report` wrote")


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        delimiter = max(",;\t|", key=header.count)
        reader = csv.DictReader(file, delimiter=delimiter, restval="")
        _check_columns(reader.fieldnames or (), str(path))
        for row in reader:
            yield {name: text for name, text in row.items() if isinstance(name, str)}


def _json_rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SourceError(f"{path}: line {number} is no JSON") from error
            yield {name: _text(value) for name, value in row.items()} if isinstance(row, dict) else {}


def _xlsx_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows below the one that names the gateway's columns: title rows may stand above it.

    A row ends with its last cell that holds something; what is empty behind it is empty in its columns.
    """
    header: list[str] = []
    for cells in sheet_rows(path):
        if header:
            yield dict(zip_longest(header, cells[: len(header)], fillvalue=""))
        elif "gateway_row" in cells:
            header = cells
    _check_columns(header, str(path))


def sheet_rows(path: Path) -> Iterator[list[str]]:
    """Yield the texts of a workbook's rows but for blank ones; raises SourceError for what is no workbook."""
    import openpyxl  # noqa: PLC0415 - it takes 5 MiB, and every command of the program would pay them

    try:
        book = openpyxl.load_workbook(path, read_only=True)
    except (KeyError, ValueError, BadZipFile) as error:
        raise SourceError(f"{path}: cannot be read as XLSX") from error
    try:
        for row in book.worksheets[0].iter_rows(values_only=True):
            if any(cells := [_text(value) for value in row]):
                yield cells
    finally:
        book.close()


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(each) for each in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
