"""Dates as searches compare them: every date is the range of moments that it covers.

https://hl7.org/fhir/R4/search.html#date; a date without a zone is read as UTC.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_WRITTEN = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?)?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DAY = 24 * 3600 * _SECOND


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included, in microseconds since 1970."""

    low: int
    high: int


def range_of(text: str) -> Range:
    """Return the range that a FHIR date, dateTime or instant covers; raises ValueError where it is none."""
    found = _WRITTEN.fullmatch(text)
    if not found:
        raise ValueError("a date is written YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if month is None:
        return Range(
            _micros(datetime(int(year), 1, 1, tzinfo=UTC)), _micros(datetime(int(year), 12, 31, tzinfo=UTC)) + _DAY - 1
        )
    if day is None:
        first = _micros(datetime(int(year), int(month), 1, tzinfo=UTC))
        return Range(first, first + monthrange(int(year), int(month))[1] * _DAY - 1)
    if hour is None:
        first = _micros(datetime(int(year), int(month), int(day), tzinfo=UTC))
        return Range(first, first + _DAY - 1)
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=_zone(zone))
    digits = (fraction or "")[:6]
    low = _micros(moment) + int(second or 0) * _SECOND + int(digits.ljust(6, "0"))
    width = 60 * _SECOND if second is None else 10 ** (6 - len(digits))
    return Range(low, low + width - 1)


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
