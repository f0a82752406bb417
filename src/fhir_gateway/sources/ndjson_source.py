"""NDJSON files: one object a line, nested values as JSON text, numbers with the digits that they were written with."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import orjson

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout, Problem, SourceRecord, SourceRef, UnreadableRow
from fhir_gateway.sources.columns import Header, best_header, column_key, fitting_headers, misfit
from fhir_gateway.sources.encodings import UTF8, Encoding, has_utf8_mark, json_encoding
from fhir_gateway.sources.file_source import FileSource
from fhir_gateway.sources.text_lines import LONGEST_ROW, TOO_LONG, UNDECODABLE, TextLines, readable, terminator_of

_MOST_COLUMNS = 5_000
_START = 50
"""Lines in which the beginning of a list of rows is looked for."""
_MARK = "\ufeff"
"""The byte order mark of a file that was joined to another one; JSON may not have it, and readers may pass over it."""
_ROWS_IN_A_LIST = re.compile(r"""\s*\{(?:[^{}\[\]]*,)?\s*"[^"]{0,2000}"\s*:\s*\[\s*\{""")
"""`{"total": 12, "data": [{`: an object that holds the rows, as programming interfaces answer and DBeaver writes them."""


class _Number(str):
    """A number as it was written; a class of its own tells it from a text of digits."""

    __slots__ = ()


class NdjsonSource(FileSource):
    """An opened NDJSON file; its header are the keys of all its objects."""

    def __init__(self, path: Path, header: Header, *, encoding: Encoding) -> None:
        super().__init__(path, header)
        self.encoding = encoding.codec
        self.byte_order_mark = encoding.codec != UTF8 or has_utf8_mark(path)
        self._lines = _lines(path, encoding)

    def position(self) -> int:
        """Return the number of bytes read."""
        return self._lines.position

    def _rows(self) -> Iterator[SourceRecord | UnreadableRow]:
        name = self.path.name
        columns = {column_key(written): key for written, key in zip(self.header, self.keys, strict=True)}
        empty = dict.fromkeys(self.keys, "")
        lines = (line.removeprefix(_MARK) for line in self._lines if line.strip())
        for number, line in enumerate(lines, start=1):
            ref = SourceRef(name, number)
            item = _read(line)
            # A key that was not seen when the file was opened stands in an object that strict JSON does not allow.
            if not isinstance(item, Problem) and not all(column_key(written) in columns for written in item):
                item = _NO_OBJECT
            if isinstance(item, Problem):
                yield UnreadableRow(ref, readable(line[:LONGEST_ROW]), item)
                continue
            cells = empty.copy()
            numeric = set()
            for written, value in item.items():
                key = columns[column_key(written)]
                cells[key] = _text(value)
                if isinstance(value, _Number):
                    numeric.add(key)
            yield SourceRecord(ref, cells, frozenset(numeric), line)


def open_ndjson(path: Path, layouts: Sequence[Layout], *, encoding: str, others: Sequence[Layout]) -> NdjsonSource:
    """Open an NDJSON file; raises SourceError where no layout fits it."""
    detected = json_encoding(path, given=encoding)
    names = _all_keys(path, detected)
    found = fitting_headers([names], layouts)
    if not found:
        _refuse_what_is_no_ndjson(path, detected, names)
        raise misfit(str(path), [names], layouts, others=others, nothing="no key of its objects is a column's name")
    return NdjsonSource(path, best_header(found, str(path)), encoding=detected)


def _lines(path: Path, encoding: Encoding) -> TextLines:
    return TextLines(path, encoding, terminator=terminator_of(path, encoding))


def _refuse_what_is_no_ndjson(path: Path, encoding: Encoding, names: Sequence[str]) -> None:
    """Raise SourceError for JSON whose rows do not stand one a line, with the command that writes them so."""
    start = "\n".join(itertools.islice(_lines(path, encoding), _START))
    if "resourceType" in names:
        raise SourceError(f"{path}: FHIR resources; the gateway reads exports of other systems and makes them")
    if _ROWS_IN_A_LIST.match(start):
        raise SourceError(
            f"{path}: its rows stand in a list: write one object a line (NDJSON), as `jq -c '.[] | arrays[]'` does"
        )
    if not names:
        raise SourceError(
            f"{path}: no line of it is a JSON object with keys: write one object a line (NDJSON), as `jq -c .` does"
        )


def _all_keys(path: Path, encoding: Encoding) -> list[str]:
    """Return every key that an object of the file has, in the order of their first appearance."""
    names: dict[str, str] = {}
    for line in _lines(path, encoding):
        try:
            item = orjson.loads(line.removeprefix(_MARK)) if len(line) <= LONGEST_ROW else None
        except orjson.JSONDecodeError:
            continue
        for name in item if isinstance(item, dict) else ():
            if name.strip():
                names.setdefault(column_key(name), name)
        if len(names) > _MOST_COLUMNS:
            raise SourceError(f"{path}: its objects have more than {_MOST_COLUMNS} different keys: not a table")
    return list(names.values())


def _read(line: str) -> dict[str, Any] | Problem:
    if len(line) > LONGEST_ROW:
        return TOO_LONG
    if UNDECODABLE in line:
        return _NO_TEXT
    try:
        item = json.loads(
            line, parse_int=_Number, parse_float=_Number, parse_constant=_refuse, object_pairs_hook=_without_repeats
        )
    except (ValueError, RecursionError):
        return _NO_OBJECT
    if not isinstance(item, dict) or len({column_key(name) for name in item}) < len(item):
        return _NO_OBJECT
    sound = "\\u" not in line or all(_is_sound(part) for pair in item.items() for part in pair)
    return item if sound else _NO_TEXT


_NO_OBJECT = Problem("row-json", "the line is no JSON object with distinct, named keys", "write one JSON object a line")
_NO_TEXT = Problem("row-encoding", "the row holds characters that are no text", "correct or retype the row")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        raise ValueError("a key stands twice")
    return item


def _is_sound(value: Any) -> bool:
    """Tell whether an escaped text is text: no half of a surrogate pair, no NUL."""
    text = _text(value)
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json_text(value)


def _json_text(value: Any) -> str:
    """Write a nested value as JSON, numbers as they were written."""
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_json_text(each)}" for key, each in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(_json_text, value)) + "]"
    return value if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
