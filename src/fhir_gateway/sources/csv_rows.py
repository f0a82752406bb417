"""Rows of a CSV file from its lines; a broken row is told apart from its neighbours and never swallows them."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from fhir_gateway.domain.records import Problem
from fhir_gateway.sources.columns import as_typed
from fhir_gateway.sources.text_lines import LONGEST_ROW, TOO_LONG, UNDECODABLE, readable

_TYPED = frozenset("'=")
"""What as_typed takes off begins with one of these."""

_BLANKS = " \t\r\n\v\f\xa0\x1a"  # \x1a: DOS's mark of the end of a file


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be split into its cells: its text, and why."""

    text: str
    problem: Problem


class CsvRows:
    """Splits lines into rows of `width` cells.

    Quoted cells may hold line breaks. An unclosed quote breaks only its own line: a quoted cell is believed to go on
    over lines only when it closes within LONGEST_ROW characters, the row then has the right number of cells, and no
    line in between is a whole row by itself. `blanks` says that quoted cells have a blank before them (`"a"; "b"`).
    """

    def __init__(self, lines: Iterator[str], *, delimiter: str, width: int, blanks: bool = False) -> None:
        self._lines = lines
        self._ahead: deque[str] = deque()
        self._delimiter = delimiter
        self._width = width
        self._blanks = blanks
        # One reader of one line after the other: to make a reader of each takes twice as long as to read it.
        self._alone: deque[str] = deque()
        self._lone_lines = self._reader(iter(self._alone.popleft, None))

    def __iter__(self) -> Iterator[list[str] | BrokenRow]:
        delimiter, width, ahead, lines = self._delimiter, self._width, self._ahead, self._lines
        blanks = _BLANKS + delimiter
        while True:
            line = ahead.popleft() if ahead else next(lines, None)
            if line is None:
                return
            if not line.strip(blanks):
                continue
            text = line[:-1] if line[-1] == "\r" else line
            if "\r" in text or "\0" in text or UNDECODABLE in text or len(text) > LONGEST_ROW:
                row = self._unusual(line)
                if row is None:
                    continue
            elif '"' in text:
                row = self._plainly_quoted(text) or self._unusual(line)
                if row is None:
                    continue
            else:
                row = text.split(delimiter)
                if text is not line and not any(map(str.strip, row)):
                    continue
                if len(row) != width or "'" in text:
                    row = self._fitted(row, text)
            yield row

    def _plainly_quoted(self, text: str) -> list[str] | None:
        """Split a line that is a whole row, and whose quotes are about cells alone, as most are; None for all others."""
        try:
            cells = self._split(text)
        except csv.Error:
            return None
        if len(cells) != self._width or "'" in text or '="' in text or not any(map(str.strip, cells)):
            return None
        return cells

    def _unusual(self, line: str) -> list[str] | BrokenRow | None:
        """Split a line that holds more than plain cells; None where it was put back as several rows, or is blank."""
        if '"' in line:
            cells, text = self._quoted(line)
        else:
            text = line.removesuffix("\r")
            if "\r" in text:
                return self._lone_carriage_return(text)
            cells = text.split(self._delimiter)
        if reason := _unusable(text):
            return BrokenRow(readable(text[:LONGEST_ROW]), reason)
        if cells is None:
            return BrokenRow(readable(text), _UNCLOSED)
        if not any(map(str.strip, cells)):
            return None
        return self._fitted(cells, text)

    def _fitted(self, cells: list[str], text: str) -> list[str] | BrokenRow:
        """Return exactly as many cells as the header has, as they were typed; more are tolerated where they are empty."""
        width = self._width
        if len(cells) < width:
            return BrokenRow(readable(text), _too_few(len(cells), width))
        if any(map(str.strip, cells[width:])):
            return BrokenRow(readable(text), _too_many(len(cells), width))
        if "'" in text or '="' in text:
            return [as_typed(cell) if cell[:1] in _TYPED else cell for cell in cells[:width]]
        return cells[:width]

    def _lone_carriage_return(self, line: str) -> BrokenRow | None:
        """Take apart rows that end in a carriage return alone; elsewhere it is a broken row."""
        pieces = line.split("\r")
        if all(piece.count(self._delimiter) == self._width - 1 for piece in pieces) and self._width > 1:
            self._ahead.extendleft(reversed(pieces))
            return None
        return BrokenRow(readable(line), _LONE_RETURN)

    def _quoted(self, line: str) -> tuple[list[str] | None, str]:
        """Return the cells of a row that begins with this line, and its text; None for quotes that do not match."""
        try:
            return self._split(line), line
        except csv.Error:
            pass
        taken = [line]
        try:
            cells = next(self._reader(self._going_on(taken)))
        except csv.Error:
            cells = []
        if len(cells) < self._width or any(cells[self._width :]) or self._are_two_rows(taken):
            self._ahead.extendleft(reversed(taken[1:]))
            return None, line
        return cells, "\n".join(taken)

    def _split(self, line: str) -> list[str]:
        """Return the cells of a line that is a whole row; raises csv.Error where a quote is left open or misplaced."""
        self._alone.append(line)
        try:
            return next(self._lone_lines)
        except IndexError:
            raise csv.Error("the row would go on") from None

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, skipinitialspace=self._blanks, strict=True)

    def _going_on(self, taken: list[str]) -> Iterator[str]:
        """Yield lines for as long as a quoted cell may go on, and note them in `taken`."""
        length = len(taken[0])
        yield taken[0] + "\n"
        while length <= LONGEST_ROW and not (len(taken) > 1 and self._is_whole_row(taken[-1])):
            line = self._ahead.popleft() if self._ahead else next(self._lines, None)
            if line is None:
                return
            taken.append(line)
            length += len(line) + 1
            yield line + "\n"

    def _is_whole_row(self, line: str) -> bool:
        if self._width == 1:
            return False
        if '"' not in line:
            return line.count(self._delimiter) == self._width - 1
        try:
            return len(self._split(line)) == self._width
        except csv.Error:
            return False

    def _are_two_rows(self, taken: list[str]) -> bool:
        """Tell two rows with a stray quote each from one row with a line break: each has all its delimiters."""
        expected = self._width - 1
        return expected > 0 and all(line.count(self._delimiter) == expected for line in (taken[0], taken[-1]))


_UNCLOSED = Problem(
    "row-quotes", "the row's quotation marks do not match", "close each quoted cell, and double quotation marks in it"
)
_LONE_RETURN = Problem(
    "row-line-end", "a carriage return stands alone in the row", "remove it, or put the cell in quotation marks"
)


def _unusable(text: str) -> Problem | None:
    if len(text) > LONGEST_ROW:
        return TOO_LONG
    if UNDECODABLE in text:
        return Problem(
            "row-encoding", "the row holds bytes that are no text in the file's encoding", "correct or retype the row"
        )
    if "\0" in text:
        return Problem("row-nul", "the row holds NUL bytes", "correct or retype the row")
    return None


def _too_few(found: int, width: int) -> Problem:
    return Problem(
        "row-too-few-cells",
        f"the row has {found} cell{'s' * (found != 1)}, the header {width}",
        "complete the row; a line break inside a cell needs quotation marks around the cell",
    )


def _too_many(found: int, width: int) -> Problem:
    return Problem(
        "row-too-many-cells",
        f"the row has {found} cell{'s' * (found != 1)}, the header {width}",
        "put a cell that holds the delimiter in quotation marks",
    )
