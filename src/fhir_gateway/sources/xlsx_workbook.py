"""A workbook's sheets and their rows, streamed: only the shared texts and the styles stay in memory.

The parts are read with openpyxl's own readers. Its read-only worksheet is not used: it believes dimension records,
keeps an element for each row, and does not tell a formula without a value from an empty cell.
"""

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, iterparse

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse as defused_iterparse
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils.cell import coordinate_to_tuple
from openpyxl.utils.datetime import MAC_EPOCH
from openpyxl.worksheet._reader import (
    DATA_TAG,
    FORMULA_TAG,
    INLINE_STRING,
    ROW_TAG,
    VALUE_TAG,
    WorkSheetParser,
)
from openpyxl.xml.constants import SHEET_MAIN_NS

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Problem
from fhir_gateway.sources.csv_rows import BrokenRow
from fhir_gateway.sources.text_lines import LONGEST_ROW, TOO_LONG, readable
from fhir_gateway.sources.xlsx_archive import SheetStream, check_archive
from fhir_gateway.sources.xlsx_cells import EMPTY, LOST, Cell, CellFormats, as_cell, text_cell
from fhir_gateway.sources.xlsx_strict import WorkbookArchive

MOST_COLUMNS = 16_384
"""Columns of a sheet (https://support.microsoft.com: Excel specifications and limits)."""

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A worksheet: its name, whether it is hidden, its part in the archive and that part's unpacked size."""

    name: str
    hidden: bool
    part: str
    size: int


class Workbook:
    """An opened workbook; `position` is how many bytes of a sheet the newest `rows()` has read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: SheetStream | None = None
        try:
            self._open()
        except SourceError:
            raise
        except DefusedXmlException as error:
            raise self._forbidden() from error
        except _DAMAGED as error:
            raise self._damaged() from error

    def _open(self) -> None:
        with self._path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl tells of styles and extensions that are of no concern here
            reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
            reader.archive = WorkbookArchive(file)
            check_archive(self._path, reader.archive)
            reader.read_manifest()
            reader.read_strings()
            reader.read_workbook()
            apply_stylesheet(reader.archive, reader.wb)
            book: Any = reader.wb
            self._strings = reader.shared_strings
            self._formats = CellFormats(frozenset(book._date_formats), frozenset(book._timedelta_formats), book.epoch)  # noqa: SLF001 -- openpyxl has no other name for them
            sizes = {part.filename: part.file_size for part in reader.archive.infolist()}
            self.sheets = tuple(
                Sheet(sheet.name, sheet.state != "visible", rel.target, sizes[rel.target])
                for sheet, rel in reader.parser.find_sheets()
                if rel.target in sizes and "chartsheet" not in rel.Type
            )

    @property
    def position(self) -> int:
        """The bytes of the sheet that the newest `rows()` has read."""
        return self._stream.position if self._stream else 0

    @property
    def counts_from_1904(self) -> bool:
        """Whether day 0 of its serials is 1 January 1904, as old spreadsheet programs of the Mac have it."""
        return self._formats.epoch == MAC_EPOCH

    def rows(self, sheet: Sheet) -> Iterator[list[Cell] | BrokenRow]:
        """Yield every row that is not blank; raises SourceError where the sheet cannot be read on."""
        parser = _CellParser(self._strings, self._formats)
        try:
            with (
                WorkbookArchive(self._path) as archive,
                archive.open(sheet.part) as prolog,
                archive.open(sheet.part) as part,
            ):
                _check_prolog(SheetStream(self._path, prolog))
                self._stream = SheetStream(self._path, part)
                for element in _row_elements(self._stream):
                    row = self._row(element, parser)
                    if row is not None:
                        yield row
        except DefusedXmlException as error:
            raise self._forbidden() from error
        except (zipfile.BadZipFile, zlib.error, ParseError, EOFError, OSError, KeyError) as error:
            raise self._damaged() from error

    def _row(self, element: Any, parser: "_CellParser") -> list[Cell] | BrokenRow | None:
        try:
            cells = parser.row(element)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError):
            text = " ".join(text for text in element.itertext() if text.strip())
            return BrokenRow(readable(text[:LONGEST_ROW]), _UNREADABLE)
        if sum(len(cell.text) for cell in cells) > LONGEST_ROW:
            return BrokenRow(readable(" ".join(cell.text for cell in cells)[:LONGEST_ROW]), TOO_LONG)
        return cells if any(cell.lost or cell.text.strip() for cell in cells) else None

    def _damaged(self) -> SourceError:
        return SourceError(f"{self._path}: the workbook is damaged: open it in a spreadsheet program and save it again")

    def _forbidden(self) -> SourceError:
        return SourceError(f"{self._path}: the workbook's XML declares entities, which no spreadsheet program writes")


TEXT_TAG = f"{{{SHEET_MAIN_NS}}}t"

_UNREADABLE = Problem("row-cells", "the row holds cells that no spreadsheet program writes", "retype the row")


class _CellParser(WorkSheetParser):
    """Reads the cells of a row: plain texts and numbers at once, everything else with openpyxl's parser."""

    def __init__(self, strings: list[str], formats: CellFormats) -> None:
        super().__init__("", strings, data_only=True)  # it is given rows, and opens no file
        self._formats = formats
        self._columns: dict[str, int] = {}

    def row(self, element: Element) -> list[Cell]:
        """Return a row's cells up to its last one; raises ValueError and the like for what no program writes."""
        if not float(element.get("r", "0")).is_integer():
            raise ValueError("a row number that no sheet has")
        self.col_counter = 0
        cells: list[Cell] = []
        for child in element:
            cell = self._plain_cell(child) or self._any_cell(child)
            missing = self.col_counter - len(cells)
            if missing == 1:
                cells.append(cell)
            else:
                cells += [EMPTY] * missing
                cells[self.col_counter - 1] = cell
        return cells

    def _plain_cell(self, element: Element) -> Cell | None:
        """Return a cell with a coordinate and nothing but a text or a number, None for any other."""
        coordinate = element.get("r")
        if len(element) != 1 or not coordinate:
            return None
        child, kind = element[0], element.get("t", "n")
        if kind == "inlineStr" and child.tag == INLINE_STRING and len(child) == 1 and child[0].tag == TEXT_TAG:
            cell = text_cell(child[0].text or "")
        elif kind == "s" and child.tag == VALUE_TAG and child.text:
            cell = text_cell(self.shared_strings[int(child.text)])
        elif kind == "n" and child.tag == VALUE_TAG and child.text:
            cell = as_cell(_number(child.text), int(element.get("s", 0)), self._formats)
        else:
            return None
        self.col_counter = self._column(coordinate)
        return cell

    def _column(self, coordinate: str) -> int:
        letters = coordinate.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None or len(letters) == len(coordinate):
            _, column = coordinate_to_tuple(coordinate)
            if not 1 <= column <= MOST_COLUMNS:
                raise ValueError("a column that no sheet has")
            if letters.isalpha():
                self._columns[letters] = column
        return column

    def _any_cell(self, element: Element) -> Cell:
        cell: dict[str, Any] = self.parse_cell(element)
        if not 1 <= cell["column"] <= MOST_COLUMNS:
            raise ValueError("a column that no sheet has")
        # A formula may well yield an empty text: then its type is `str` and its value element is there, empty.
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            yields_nothing = element.get("t") == "str" and element.find(VALUE_TAG) is not None
            return as_cell(None, 0, self._formats) if yields_nothing else LOST
        return as_cell(cell["value"], cell["style_id"], self._formats)


def _number(text: str) -> float:
    """Return a number as a cell stores it, whole ones as int."""
    return float(text) if "." in text or "E" in text or "e" in text else int(text)


def _check_prolog(stream: SheetStream) -> None:
    """Read up to the root element with defusedxml, which raises where entities or a DTD are declared.

    They can stand nowhere else, so that what follows may be read by the parser in C, twice as fast.
    """
    next(iter(defused_iterparse(stream, events=("start",), forbid_dtd=True)), None)


def _row_elements(stream: SheetStream) -> Iterator[Any]:
    """Yield each row's element and forget it afterwards; ends with the sheet's data."""
    data = None
    for event, element in iterparse(stream, events=("start", "end")):  # noqa: S314 - defusedxml has read the prolog
        if event == "start":
            data = element if element.tag == DATA_TAG else data
        elif element.tag == ROW_TAG:
            stream.row_ended()
            yield element
            if data is not None:
                data.clear()
        elif element.tag == DATA_TAG:
            return
