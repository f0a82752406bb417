"""A workbook written as a stream: the same bytes for the same rows, memory flat however many there are."""

import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from xml.sax.saxutils import escape

Cell = str | int | date

_ROW = "\x00"
"""Stands for the row's number, known only when the row is written; XML cannot hold this character otherwise."""

_SAME_TIME = (2025, 12, 31, 0, 0, 0)
_UNIX = 3
_EPOCH = date(1899, 12, 30)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = (*_ALPHABET, *(first + second for first in _ALPHABET[:7] for second in _ALPHABET))
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPES}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_RELATIONS}">'
    '<sheets><sheet name="Kohort" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet {_MAIN}><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}


def row_xml(cells: Sequence[Cell]) -> str:
    """Return a row's cells for Workbook.write: text as text, int as a number, date as a real date cell."""
    return "".join([_cell(_LETTERS[place], value) for place, value in enumerate(cells)])


def _cell(letter: str, value: Cell) -> str:
    if isinstance(value, str):
        return f'<c r="{letter}{_ROW}" t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else ""
    if isinstance(value, int):
        return f'<c r="{letter}{_ROW}"><v>{value}</v></c>'
    return f'<c r="{letter}{_ROW}" s="1"><v>{(value - _EPOCH).days}</v></c>'


class Workbook:
    """An XLSX file with one sheet, open for writing row after row."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        for name, text in _PARTS.items():
            self._archive.writestr(_entry(name), _HEAD + text)
        self._sheet: IO[bytes] = self._archive.open(_entry("xl/worksheets/sheet1.xml"), "w", force_zip64=True)
        self._sheet.write(f"{_HEAD}<worksheet {_MAIN}><sheetData>".encode())
        self._row = 0

    def write(self, cells: str) -> None:
        """Write the next row, made by row_xml."""
        self._row += 1
        number = str(self._row)
        self._sheet.write(f'<row r="{number}">{cells.replace(_ROW, number)}</row>'.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close: tuple[Callable[[], None], ...] = (self._sheet.close, self._archive.close)
        if kind is None:
            self._sheet.write(b"</sheetData></worksheet>")
        for each in close:
            each()


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an archive entry with a fixed time and system: the same rows make the same bytes, with the same zlib."""
    entry = zipfile.ZipInfo(name, _SAME_TIME)
    entry.create_system = _UNIX
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
