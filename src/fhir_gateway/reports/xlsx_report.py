"""A report as a workbook: everything stands as text, so that no program shortens an identifier or runs a cell."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.writer.excel import ExcelWriter

from fhir_gateway.ports import Source
from fhir_gateway.reports.rows import GATEWAY_COLUMNS, ReportRow, column_names

_ROWS_OF_A_SHEET = 1_048_575
"""Rows below the header (https://support.microsoft.com: Excel specifications and limits)."""
_LONGEST_CELL = 32_767
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
"""Beside what openpyxl refuses (https://www.w3.org/TR/xml/#charsets)."""


def write_xlsx(source: Source, rows: Iterator[ReportRow], path: Path) -> None:
    """Write the rows to a sheet, and to further ones where one cannot hold them."""
    names = (*column_names(source), *GATEWAY_COLUMNS)
    with saved_book(path) as book:
        for number in itertools.count(1):
            first = next(rows, None)
            if first is None and number > 1:
                break
            sheet = book.create_sheet("Report" if number == 1 else f"Report {number}")
            sheet.freeze_panes = "A2"
            written = SheetCells(sheet)
            sheet.append(written.texts(names))
            if first is not None:
                for row in itertools.chain([first], itertools.islice(rows, _ROWS_OF_A_SHEET - 1)):
                    sheet.append(written.texts(row.cells + row.gateway))


@contextmanager
def saved_book(path: Path) -> Iterator[Workbook]:
    """Yield a workbook that is saved when the block ends well.

    Where that fails, on a full disk, all is closed here, and not by the garbage collector, with a traceback.
    """
    book = Workbook(write_only=True)
    try:
        yield book
        for sheet in _sheets(book):
            sheet.close()
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            ExcelWriter(book, archive).save()
    except BaseException:
        for sheet in _sheets(book):
            _abandon(sheet)
        raise


def _sheets(book: Workbook) -> list[Any]:
    return book.worksheets


def _abandon(sheet: Any) -> None:
    """Close what a sheet has open; what its file did not take already, that does not take now either."""
    for generator in (sheet._rows, sheet._writer and sheet._writer.xf):  # noqa: SLF001 -- openpyxl offers nothing else
        if generator is not None:
            with suppress(OSError, RuntimeError):
                generator.close()


class SheetCells:
    """Makes a sheet's cells; one style for all texts, since setting it cell by cell costs more than the cells."""

    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet
        style: Any = WriteOnlyCell(sheet, "")
        style.number_format = "@"
        self._style = style._style  # noqa: SLF001 -- see the class

    def texts(self, values: Sequence[str]) -> list[Any]:
        """Return one text cell for each value, None for an empty one."""
        return [self._cell(_writable(value)) if value else None for value in values]

    def _cell(self, text: str) -> Any:
        cell: Any = WriteOnlyCell(self._sheet, text)
        cell.data_type = "s"  # openpyxl would take a text that begins with = for a formula
        cell._style = self._style  # noqa: SLF001 -- see the class
        return cell


def _writable(text: str) -> str:
    """Return what XML can hold of a text; mappings do not read the rest either, so that the row is the same when it comes back."""
    return _NOT_IN_XML.sub("", ILLEGAL_CHARACTERS_RE.sub("", text))[:_LONGEST_CELL]
