"""CSV files: delimiter, encoding and header are found or given; rows are streamed."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout, SourceRecord, SourceRef, UnreadableRow, maker
from fhir_gateway.sources.columns import HEADER_WITHIN, Header, best_header, fitting_headers, misfit
from fhir_gateway.sources.csv_rows import CsvRows
from fhir_gateway.sources.encodings import UTF8, Encoding, detect_encoding, has_utf8_mark
from fhir_gateway.sources.file_source import FileSource
from fhir_gateway.sources.text_lines import TextLines, readable, terminator_of

_NONE: frozenset[str] = frozenset()
_ref, _record = maker(SourceRef), maker(SourceRecord)
_DELIMITERS = (",", ";", "\t", "|", "^", "~")


class CsvSource(FileSource):
    """An opened CSV file; `title_lines` are the lines up to the header's end, blank ones uncounted.

    `blanks` tells whether quoted cells have a blank before them.
    """

    def __init__(  # noqa: PLR0913 -- what detection found out, each of its own kind
        self,
        path: Path,
        header: Header,
        *,
        delimiter: str,
        blanks: bool,
        encoding: Encoding,
        terminator: str,
        title_lines: int,
    ) -> None:
        super().__init__(path, header)
        self.delimiter = delimiter
        self._blanks = blanks
        self.encoding = encoding.codec
        self.byte_order_mark = encoding.codec != UTF8 or has_utf8_mark(path)
        self._title_lines = title_lines
        self._lines = TextLines(path, encoding, terminator=terminator)

    def position(self) -> int:
        """Return the number of bytes read."""
        return self._lines.position

    def _rows(self) -> Iterator[SourceRecord | UnreadableRow]:
        name, keys = self.path.name, self.keys
        lines = iter(self._lines)
        for _ in itertools.islice(_not_blank(lines), self._title_lines):
            pass
        rows = CsvRows(lines, delimiter=self.delimiter, width=len(keys), blanks=self._blanks)
        for number, row in enumerate(rows, start=1):
            ref = _ref((name, number))
            if isinstance(row, list):
                yield _record((ref, dict(zip(keys, row)), _NONE, "", _NONE))  # noqa: B905 - the keyword alone takes 0.1 µs
            else:
                yield UnreadableRow(ref, row.text, row.problem)


def open_csv(
    path: Path, layouts: Sequence[Layout], *, delimiter: str, encoding: str, others: Sequence[Layout]
) -> CsvSource:
    """Open a CSV file; raises SourceError where no layout fits it."""
    if delimiter and len(delimiter) != 1:
        raise SourceError(f"the delimiter must be one character, not {delimiter!r}")
    expected = {layout.encoding for layout in layouts}
    detected = detect_encoding(path, given=encoding, expected=expected.pop() if len(expected) == 1 else "")
    terminator = terminator_of(path, detected)
    lines = _not_blank(iter(TextLines(path, detected, terminator=terminator)))
    sample = [readable(line) for line in itertools.islice(lines, HEADER_WITHIN)]
    tables = {each: _table(sample, each) for each in ((delimiter,) if delimiter else _DELIMITERS)}
    found = {header: each for each, table in tables.items() for header in fitting_headers(table.rows, layouts)}
    if not found:
        widest = max(tables.values(), key=lambda table: max(map(len, table.rows), default=0))
        raise misfit(str(path), widest.rows, layouts, others=others)
    header = best_header(list(found), str(path))
    table = tables[found[header]]
    return CsvSource(
        path,
        header,
        delimiter=found[header],
        blanks=table.blanks,
        encoding=detected,
        terminator=terminator,
        title_lines=table.ends[header.row],
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of a sample, and how many lines each had taken at its end (a header's cells may hold line breaks).

    `blanks` tells whether quoted cells have a blank before them.
    """

    rows: list[list[str]]
    ends: list[int]
    blanks: bool


def _blanks_before_quotes(lines: Sequence[str], delimiter: str) -> bool:
    return any(f'"{delimiter} "' in line for line in lines)


def _table(sample: Sequence[str], delimiter: str) -> _Table:
    blanks = _blanks_before_quotes(sample, delimiter)
    reader = csv.reader((line + "\n" for line in sample), delimiter=delimiter, skipinitialspace=blanks)
    table = _Table([], [], blanks)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            row = []  # a broken row is no header; it is judged when the rows are read
        if row is None:
            return table
        table.rows.append(row)
        table.ends.append(reader.line_num)


def _not_blank(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if line.strip())
