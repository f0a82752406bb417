"""The rows of a sheet as the texts that stand in its XML, and the cells of a row that holds plain ones alone.

An XML parser makes two objects of every cell, and as many events. Nearly all sheets write their cells in the same few
ways, which one pattern takes apart at once. Whatever is written otherwise, a row or a whole sheet, is left to the parser;
that the sheet is XML at all is checked by expat meanwhile.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers.expat import ExpatError, ParserCreate

from openpyxl.xml.constants import SHEET_MAIN_NS

from fhir_gateway.sources.xlsx_archive import SheetStream

_BLOCK = 1 << 16
_BEGINNING = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:<\?xml(?: version=[\"']1\.0[\"']| encoding=[\"'](?i:utf-8)[\"']| standalone=[\"']\w+[\"'])* ?\?>)?"
    rb"\s*(<worksheet(?: [^<>]*)? xmlns=\"%s\"[^<>]*(?<!/)>)" % re.escape(SHEET_MAIN_NS.encode())
)
_SHEET_DATA = b"<sheetData>"
_ROW_END = b"</row>"
_EMPTY_ROW = re.compile(rb"<row(?: [\w:]+=\"[^\"<>&]*\")* ?/>")
_ROW_BEGIN = re.compile(r"<row r=\"[0-9]+\"(?: [\w:]+=\"[^\"<>&]*\")*>")
_CELL = re.compile(
    r'<c r="([A-Z]{1,3})[1-9][0-9]*"(?: s="([0-9]+)")?(?: t="(s|n|inlineStr)")?(?: ?/>|>'
    r"(?:<v>([^<]+)</v>|<is><t(?: xml:space=\"preserve\")?>([^<]*)</t></is>)?</c>)"
)
_GROUPS = _CELL.groups + 1


class UnusualSheetError(Exception):
    """The sheet is written in a way that only an XML parser reads; `rows` were read before it showed."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


PlainCell = tuple[str, str, str | None, str | None, str | None, str | None]
"""What stands before a cell (nothing), its column's letters, style, type, value (of a number or a shared text), own text."""


class RowTexts:
    """Iterates over the rows of a sheet, each as its text from `<row` to before `</row>`.

    Raises UnusualSheetError where rows cannot be told apart without a parser, ParseError where the sheet is no XML.
    """

    def __init__(self, stream: SheetStream) -> None:
        self._stream = stream
        self._checker = ParserCreate(namespace_separator="}")
        self._root = ""
        self._rows = 0

    def __iter__(self) -> Iterator[str]:
        buffer, at = self._begin()
        while True:
            if empty := _EMPTY_ROW.match(buffer, at):
                self._rows += 1
                at = empty.end()
                continue
            end = buffer.find(_ROW_END, at)
            if end < 0:
                if _is_end(buffer, at):
                    return
                block = self._read()
                if not block:
                    raise UnusualSheetError(self._rows)
                buffer, at = buffer[at:] + block, 0
                continue
            if not buffer.startswith(b"<row", at):
                if _is_end(buffer, at):
                    return
                raise UnusualSheetError(self._rows)
            text = buffer[at:end].decode()
            if "<!" in text or "<?" in text:
                raise UnusualSheetError(self._rows)
            self._stream.row_ended()
            yield text
            self._rows += 1
            at = end + len(_ROW_END)

    def element(self, text: str) -> Element:
        """Return a row as an XML element."""
        try:
            rows = fromstring(f"{self._root}{text}</row></worksheet>")  # noqa: S314 - no DTD can stand in a row
        except ParseError as error:
            raise UnusualSheetError(self._rows) from error
        if len(rows) != 1:
            raise UnusualSheetError(self._rows)
        return rows[0]

    def _begin(self) -> tuple[bytes, int]:
        """Read up to the first row; returns what was read and where the rows begin."""
        buffer = b""
        while _SHEET_DATA not in buffer:
            block = self._read()
            if not block or len(buffer) > _BLOCK:
                raise UnusualSheetError(0)
            buffer += block
        at = buffer.index(_SHEET_DATA) + len(_SHEET_DATA)
        beginning = _BEGINNING.match(buffer)
        if beginning is None or b"<!" in buffer[:at] or b"<?" in buffer[beginning.end() : at]:
            raise UnusualSheetError(0)
        self._root = beginning[1].decode()
        return buffer, at

    def _read(self) -> bytes:
        block = self._stream.read(_BLOCK)
        try:
            self._checker.Parse(block, not block)
        except ExpatError as error:
            raise ParseError(str(error)) from error
        return block


def _is_end(buffer: bytes, at: int) -> bool:
    return buffer.startswith(b"</sheetData>", at)


def plain_cells(text: str) -> list[PlainCell] | None:
    """Return the cells of a row's text, None where it holds anything else than plain ones."""
    begin = _ROW_BEGIN.match(text)
    if begin is None or "&" in text or "\r" in text:
        return None
    parts = _CELL.split(text[begin.end() :])
    if any(parts[::_GROUPS]):
        return None
    each = iter(parts)
    return list(zip(*[each] * _GROUPS, strict=False))
