"""What every source's writer hands on: a row's text, where it goes in the file, and the truth of it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from fhir_gateway.synth.schedule import EXPORTED_FROM, TODAY

_DAYS = (TODAY - EXPORTED_FROM).days + 1


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """One data row: `at` is its place in the file (0 first, 1 last), `text` is what the file holds of it."""

    at: float
    text: str
    person: str
    tags: tuple[str, ...]
    doses: tuple[str, ...]


def place_by_day(day: date, jitter: float) -> float:
    """Return the place of a row in a file that is sorted by day."""
    return min(max(((day - EXPORTED_FROM).days + jitter) / _DAYS, 0.0), 0.999999)


def csv_line(cells: Sequence[str], delimiter: str) -> str:
    """Return the cells as one line of CSV without its end."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(cells)
    return line.getvalue()
