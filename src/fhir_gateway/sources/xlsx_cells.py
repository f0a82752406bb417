"""Cells of a workbook as text: dates in ISO form, numbers without exponent, each as its spreadsheet means it."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from openpyxl.utils.datetime import from_excel

from fhir_gateway.sources.columns import as_typed


@dataclass(frozen=True, slots=True)
class CellFormats:
    """Which of the workbook's styles (by number) mean dates or durations, and the day its serials count from."""

    dates: frozenset[int]
    durations: frozenset[int]
    epoch: datetime


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text; `numeric` where it was stored as a number, `lost` for a formula whose value was not stored."""

    text: str
    numeric: bool = False
    lost: bool = False


@lru_cache(maxsize=8192)
def text_cell(text: str) -> Cell:
    """Return a text as a cell; sheets repeat their dates, places and words."""
    return Cell(as_typed(_ESCAPE.sub(_escaped, text) if "_x" in text else text))


def _escaped(found: re.Match[str]) -> str:
    """Return the character that `_x000D_` stands for (ECMA-376, ST_Xstring), a blank for one that is no part of a text."""
    character = chr(int(found[1], 16))
    return character if character.isprintable() else " "


_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")

EMPTY = Cell("")
_FROM_1900_TO_1904 = 1462
"""Days between the two first days of serials (https://learn.microsoft.com: differences between the date systems)."""
_SMALLEST_SERIAL = 10_000
"""Smaller numbers are times of day, years and the like."""
LOST = Cell("", lost=True)


def as_cell(value: Any, style: int, formats: CellFormats) -> Cell:
    """Return a parsed value as a cell; a serial that is no possible date stays a number."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return text_cell(value)
    if isinstance(value, bool):
        return Cell("true" if value else "false")
    if isinstance(value, int | float):
        return _dated(value, style, formats) or Cell(_number(value), numeric=True)
    return Cell(_moment(value))


def as_counted_from_1900(cell: Cell) -> Cell:
    """Return a day's number in a workbook whose days count from 1904 as every other workbook has it.

    A cell that is formatted as a date needs it not: it is no number any more.
    """
    if not cell.numeric or Decimal(cell.text) < _SMALLEST_SERIAL:
        return cell
    return Cell(format(Decimal(cell.text) + _FROM_1900_TO_1904, "f"), numeric=True)


def _dated(value: float, style: int, formats: CellFormats) -> Cell | None:
    return _date_cell(value, formats.epoch, style in formats.durations) if style in formats.dates else None


@lru_cache(maxsize=8192)
def _date_cell(value: float, epoch: datetime, duration: bool) -> Cell | None:  # noqa: FBT001 - of a remembered function
    try:
        return Cell(_moment(from_excel(value, epoch, timedelta=duration)))
    except (OverflowError, ValueError):
        return None


def _number(value: float) -> str:
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(value: Any) -> str:
    """Write a date without a time where there is none; seconds are rounded, serials are not exact."""
    if isinstance(value, datetime):
        rounded = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
        return rounded.date().isoformat() if rounded.time() == time() else rounded.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.replace(microsecond=0).isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(value)
