"""Dates as people write them, right and wrong."""

from collections.abc import Callable
from datetime import date, timedelta

from fhir_gateway.synth.dice import Dice

MONTHS = (
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
)
_SPREADSHEET_EPOCH = date(1899, 12, 30)


_FORMS: tuple[Callable[[date], str], ...] = (
    *[lambda day: f"{day:%d/%m/%Y}"] * 20,
    *[lambda day: f"{day:%d-%m-%Y}"] * 6,
    *[lambda day: f"{day:%d-%m-%y}"] * 4,
    *[lambda day: f"{day.day}/{day.month}/{day.year}"] * 3,
    *[lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year}"] * 2,
    lambda day: f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}",
    lambda day: str((day - _SPREADSHEET_EPOCH).days),
    *[lambda day: day.isoformat()] * 2,
)
"""The forms of one sheet, each as often as it is found (assumed)."""


def written_date(dice: Dice, day: date) -> str:
    """Return a date in one of the forms that a sheet typed by many hands holds."""
    return dice.pick(_FORMS)(day)


def swapped(day: date) -> date:
    """Return the date with day and month changed about; the same date where that is none."""
    return day.replace(month=day.day, day=day.month) if day.day <= 12 else day


def wrong_year(dice: Dice, day: date) -> date:
    """Return the date a year, or a decade, off."""
    return _in_year(day, day.year + dice.pick((-1, -1, -1, 1, 1, -10, 10, -2)))


def wrong_digit(dice: Dice, day: date) -> date:
    """Return the date with one digit of its day or its month mistyped."""
    if dice.happens(0.7):
        return day + timedelta(days=dice.pick((-1, 1, -10, 10, 2, -3, 20)))
    month = dice.pick([month for month in range(1, 13) if month != day.month])
    return day.replace(month=month, day=min(day.day, 28))


def _in_year(day: date, year: int) -> date:
    return day.replace(year=year, day=min(day.day, 28) if day.month == 2 else day.day)
