"""A report as NDJSON: an NDJSON input's values keep their types and digits."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from fhir_gateway.ports import Source
from fhir_gateway.reports.rows import GATEWAY_COLUMNS, ReportRow, column_names

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


def write_ndjson(source: Source, rows: Iterator[ReportRow], path: Path) -> None:
    """Write one object a line, UTF-8 without a byte order mark."""
    names = _distinct(column_names(source))
    places = {_compared(name): place for place, name in enumerate(names)}
    with path.open("wb") as file:
        for row in rows:
            item = _as_written(row, places) if row.written else _as_cells(row, names)
            item.update(zip(GATEWAY_COLUMNS, row.gateway, strict=True))
            item[GATEWAY_COLUMNS[0]] = int(row.gateway[0])
            file.write(orjson.dumps(item) + b"\n")


def _as_written(row: ReportRow, places: Mapping[str, int]) -> dict[str, Any]:
    item = json.loads(row.written, parse_int=orjson.Fragment, parse_float=orjson.Fragment)
    kept = ((name, value, places.get(_compared(name))) for name, value in item.items())
    return {name: _restored(value, row, place) for name, value, place in kept if place is not None}


def _restored(value: Any, row: ReportRow, place: int) -> Any:
    """Return a value as it is written, but a text or a number that was restored since as the row's cell has it."""
    is_number = isinstance(value, orjson.Fragment)
    return row.cells[place] if isinstance(value, str) or (is_number and place not in row.numeric) else value


def _compared(name: str) -> str:
    """Return a key as sources compare it: objects of one file may differ in case and blanks."""
    return " ".join(name.split()).casefold()


def _as_cells(row: ReportRow, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: orjson.Fragment(cell) if place in row.numeric and _NUMBER.fullmatch(cell) else cell
        for place, (name, cell) in enumerate(zip(names, row.cells, strict=True))
    }


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Name unnamed columns by their number, and number the repeated ones."""
    seen: Counter[str] = Counter()
    distinct = []
    for number, written in enumerate(names, start=1):
        name = written.strip() or f"column {number}"
        seen[name] += 1
        distinct.append(f"{name} ({number})" if seen[name] > 1 else name)
    return tuple(distinct)
