"""Dates and times as clinics write them: named formats, two-digit years, Indonesian months, spreadsheet serials."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import NamedTuple

from fhir_gateway.domain.recent import remembered

FORMATS = (
    "yyyy-mm-dd",
    "dd-mm-yyyy",
    "mm-dd-yyyy",
    "dd-mm-yy",
    "mm-dd-yy",
    "dd-month-yyyy",
    "yyyymmdd",
    "excel-serial",
)
"""The formats that a mapping may name; `/`, `.`, blank and `-` are the same in names and in dates."""

_EARLIEST_YEAR = 1900
_LATEST_YEAR = 2199
"""A year beyond it (9999) is no mistyped one, but stands for "unknown"."""

_LOCAL = len("yyyy-mm-ddThh:mm:ss")
_TO_LAST_SECOND = timedelta(hours=23, minutes=59, seconds=59)
_YEARS_AHEAD = 30
"""How far in the future a two-digit year may lie where the future is allowed (expiry of a lot)."""

_MISSING = frozenset(
    {"", "-", "--", "---", "0", "null", "nan", "none", "n/a", "na", "nat", "?", "belum", "tidak ada", "kosong", "\\n"}
)
_ZEROS = re.compile(r"0{1,4}([-/. ])0{1,2}\1(?:0{4}|0{1,2})(?:[ T]0{1,2}:00(?::00(?:\.0+)?)?)?")
_PLAIN = re.compile(r"\d{1,4}([-/.])(?!0{1,2}\1)\d{1,2}\1\d{1,4}")
"""Three numbers, of which the second is not 0."""

_CLOCK = re.compile(
    r"(?P<day>.*?\d{4}.*?|\d[\d/.\-]*(?=[ T]+\d{1,2}:))[ T]+(?:(?:pukul|jam|pkl)\.?\s*)?"
    r"(?P<clock>\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:\.\d+)?)?(?:\s*[ap]m)?)\s*(?P<zone>Z|[+-]\d{2}:?\d{2}|wib|wita|wit)?",
    re.IGNORECASE,
)
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_OFFSETS = {"WIB": "+07:00", "WITA": "+08:00", "WIT": "+09:00"}
_OFFSET = re.compile(r"\d\s*(wib|wita|wit|[+-]\d{2}:\d{2})\s*", re.IGNORECASE)
_PLAIN_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")
_TIME = re.compile(r"\s*(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d+)?)?\s*(wib|wita|wit|am|pm|[+-]\d{2}:\d{2})?\s*")
_FRACTION = re.compile(r"\s*0[.,](\d{3,})\s*")
_WEEKDAY = re.compile(
    r"(?:senin|selasa|rabu|kamis|jum'?at|sabtu|minggu|ahad|monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
    r"\s*,?\s+",
    re.IGNORECASE,
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "januari january jan",
            "februari pebruari february feb peb",
            "maret march mar mrt",
            "april apr",
            "mei may",
            "juni june jun",
            "juli july jul",
            "agustus august agu agt agust ags aug",
            "september sept sep",
            "oktober october okt oct",
            "november nopember nov nop",
            "desember december des dec",
        ),
        start=1,
    )
    for name in names.split()
}
_EXCEL_EPOCH = date(1899, 12, 30)
_EXCEL_SERIALS = range(10_000, 80_000)
"""1927 to 2119; the smaller numbers are more likely something else."""


class DateFault(StrEnum):
    """Why a date could not be read."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    IMPOSSIBLE = "impossible"


class ReadDate(NamedTuple):
    """A date as it was read: `iso` (yyyy-mm-dd), `clock` (hh:mm:ss, "" where none was written), or why not."""

    iso: str = ""
    clock: str = ""
    fault: DateFault | None = None


_ABSENT = ReadDate(fault=DateFault.MISSING)
_UNREADABLE = ReadDate(fault=DateFault.UNREADABLE)
_IMPOSSIBLE = ReadDate(fault=DateFault.IMPOSSIBLE)


def format_name(text: str) -> str:
    """Return a format's name as FORMATS spells it; unknown ones come back in that spelling, too."""
    return re.sub(r"[\s/.\-_]+", "-", text.strip().lower())


@remembered(4096)
def read_date(  # lru_cache is twice as fast with positions
    text: str,
    formats: tuple[str, ...],
    today: date,
    zone: tzinfo = UTC,
    future: bool = False,  # noqa: FBT001, FBT002
) -> ReadDate:
    """Read a date that stands in one of the formats (names of FORMATS); where several fit, the first one holds.

    An ISO date with a time is always understood; one with an offset is turned into the zone's local time. `today`
    decides the century of two-digit years: the latest one that is not in the future, unless `future` allows it.
    """
    latest_year = today.year + _YEARS_AHEAD if future else _LATEST_YEAR
    if plain := _plain_day(text, formats, latest_year):
        return ReadDate(plain)
    if _PLAIN.fullmatch(text):  # nothing of the following concerns it
        day_text, clock, offset = text, "", ""
    else:
        stripped = " ".join(text.split())
        if stripped.lower() in _MISSING or _ZEROS.fullmatch(stripped):
            return _ABSENT
        day_text, clock, offset = _split_clock(stripped)
    if not day_text[:1].isdigit():
        day_text = _WEEKDAY.sub("", day_text, count=1) if _WEEKDAY.match(day_text) else day_text
    if offset and _ISO_DAY.fullmatch(day_text):
        return _read_instant(day_text, clock, offset, zone)
    matched = False
    for name in formats:
        parts = _READERS[name](day_text)
        if parts is None:
            continue
        matched = True
        day = _make_day(*parts, today=today, future=future)
        if day is not None and day.year <= latest_year:
            return _read_instant(day.isoformat(), clock, offset, zone) if offset else ReadDate(day.isoformat(), clock)
    return _IMPOSSIBLE if matched else _UNREADABLE


def _plain_day(text: str, formats: tuple[str, ...], latest_year: int) -> str:
    """Return a day of ten characters, as most are, in a quarter of the time; "" for every other text."""
    if len(text) != len("yyyy-mm-dd"):
        return ""
    if text[4] == text[7] and text[4] in "-/." and "yyyy-mm-dd" in formats:
        iso = text if text[4] == "-" else f"{text[:4]}-{text[5:7]}-{text[8:]}"
    elif text[2] == text[5] and text[2] in "-/." and "dd-mm-yyyy" in formats and "mm-dd-yyyy" not in formats:
        iso = f"{text[6:]}-{text[3:5]}-{text[:2]}"
    else:
        return ""
    try:
        year = date.fromisoformat(iso).year
    except ValueError:
        return ""
    return iso if _EARLIEST_YEAR <= year <= latest_year else ""


def read_clock(text: str) -> str:
    """Return a time of day as hh:mm:ss, "" where there is none; midnight is what databases write for unknown."""
    if _PLAIN_CLOCK.fullmatch(text):
        return "" if text == "00:00:00" else text
    match = _TIME.fullmatch(text.lower())
    if not match:
        return _clock_of_fraction(text)
    hour = int(match[1])
    if match[4] in {"am", "pm"} and 1 <= hour <= 12:
        hour = hour % 12 + (12 if match[4] == "pm" else 0)
    try:
        clock = time(hour, int(match[2]), int(match[3] or 0))
    except ValueError:
        return ""
    return "" if clock == time() else clock.isoformat()


def written_offset(clock: str) -> str:
    """Return the offset from UTC that a time of day names by an Indonesian zone or in digits, "" where it names none."""
    match = _OFFSET.search(clock)
    return _OFFSETS.get(match[1].upper(), match[1]) if match else ""


def _clock_of_fraction(text: str) -> str:
    """Return the time that a spreadsheet stores as a part of a day (0.3125), "" for anything else; 0.50 may be fifty minutes past midnight."""
    match = _FRACTION.fullmatch(text)
    seconds = round(float(f"0.{match[1]}") * 86_400) if match else 0
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" if 0 < seconds < 86_400 else ""


def make_instant(iso: str, clock: str, zone: tzinfo) -> str:
    """Return a FHIR dateTime from a local date (yyyy-mm-dd) and time (hh:mm:ss), with the zone's offset at that time."""
    return f"{iso}T{clock}{_offset_all_day(iso, zone) or _written(iso, clock, zone)[_LOCAL:]}"


@remembered(4096)
def _offset_all_day(iso: str, zone: tzinfo) -> str:
    """Return the offset that the zone's clocks have on a day, "" where they are put forward or back on it."""
    midnight = datetime.fromisoformat(iso)
    first, last = zone.utcoffset(midnight), zone.utcoffset(midnight + _TO_LAST_SECOND)
    return _offset_text(first) if first is not None and first == last else ""


@remembered(64)
def _offset_text(offset: timedelta) -> str:
    """Return an offset from UTC as FHIR writes it, as +07:00."""
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).isoformat()[_LOCAL:]


def _written(iso: str, clock: str, zone: tzinfo) -> str:
    return datetime.fromisoformat(f"{iso}T{clock}").replace(tzinfo=zone).isoformat()


def _split_clock(text: str) -> tuple[str, str, str]:
    match = _CLOCK.fullmatch(text) if ":" in text or "." in text else None
    if not match:
        return text, "", ""
    clock, zone = read_clock(match["clock"]), (match["zone"] or "").upper()
    named = _OFFSETS.get(zone)
    return match["day"].strip(" ,"), clock, (named if clock else "") if named else zone


def _read_instant(day: str, clock: str, offset: str, zone: tzinfo) -> ReadDate:
    sign = "+00:00" if offset == "Z" else offset
    try:
        local = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{sign}").astimezone(zone)
    except (ValueError, OverflowError):
        return _IMPOSSIBLE
    if local.year < _EARLIEST_YEAR:
        return _IMPOSSIBLE
    return ReadDate(local.date().isoformat(), local.time().replace(microsecond=0).isoformat())


def _make_day(year: int, month: int, day: int, *, today: date, future: bool) -> date | None:
    """Return the date, None where there is no such day; a year below 100 gets its century."""
    for full_year in _centuries(year, today=today, future=future):
        try:
            return date(full_year, month, day)
        except ValueError:
            continue
    return None


def _centuries(year: int, *, today: date, future: bool) -> Iterable[int]:
    if year >= 100:
        return (year,) if year >= _EARLIEST_YEAR else ()
    latest = today.year + (_YEARS_AHEAD if future else 0)
    return (2000 + year,) if 2000 + year <= latest else (1900 + year,)


def _numeric(pattern: str, order: str) -> Callable[[str], tuple[int, int, int] | None]:
    """Return a reader of three numbers; `order` tells which of them are year, month and day."""
    compiled = re.compile(pattern)
    year, month, day = (order.index(part) + 1 for part in "ymd")

    def read(text: str) -> tuple[int, int, int] | None:
        match = compiled.fullmatch(text)
        return (int(match[year]), int(match[month]), int(match[day])) if match else None

    return read


_BETWEEN = r"\s*[-/. ]\s*"
_NAMED_MONTH = re.compile(rf"(\d{{1,2}})(?:{_BETWEEN})?([A-Za-z]+)\.?(?:{_BETWEEN}|,\s*)?(\d{{4}}|\d{{2}})")
_MONTH_FIRST = re.compile(rf"([A-Za-z]+)\.?{_BETWEEN}(\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|{_BETWEEN})(\d{{4}})")
_SERIAL = re.compile(r"(\d{5})(?:[.,]\d+)?")


def _read_named_month(text: str) -> tuple[int, int, int] | None:
    match = _NAMED_MONTH.fullmatch(text)
    if match:
        year, month, day = match[3], match[2], match[1]
    elif match := _MONTH_FIRST.fullmatch(text):
        year, month, day = match[3], match[1], match[2]
    else:
        return None
    number = _MONTHS.get(month.lower())
    return (int(year), number, int(day)) if number else None


def _read_serial(text: str) -> tuple[int, int, int] | None:
    match = _SERIAL.fullmatch(text)
    if not match or int(match[1]) not in _EXCEL_SERIALS:
        return None
    day = _EXCEL_EPOCH + timedelta(days=int(match[1]))
    return day.year, day.month, day.day


_READERS: dict[str, Callable[[str], tuple[int, int, int] | None]] = {
    "yyyy-mm-dd": _numeric(rf"(\d{{4}}){_BETWEEN}(\d{{1,2}}){_BETWEEN}(\d{{1,2}})", "ymd"),
    "dd-mm-yyyy": _numeric(rf"(\d{{1,2}}){_BETWEEN}(\d{{1,2}}){_BETWEEN}(\d{{4}})", "dmy"),
    "mm-dd-yyyy": _numeric(rf"(\d{{1,2}}){_BETWEEN}(\d{{1,2}}){_BETWEEN}(\d{{4}})", "mdy"),
    "dd-mm-yy": _numeric(rf"(\d{{1,2}}){_BETWEEN}(\d{{1,2}}){_BETWEEN}(\d{{2}})", "dmy"),
    "mm-dd-yy": _numeric(rf"(\d{{1,2}}){_BETWEEN}(\d{{1,2}}){_BETWEEN}(\d{{2}})", "mdy"),
    "dd-month-yyyy": _read_named_month,
    "yyyymmdd": _numeric(r"(\d{4})(\d{2})(\d{2})", "ymd"),
    "excel-serial": _read_serial,
}
