"""What a file's cells say together against how its mapping reads each of them: half of it would be wrong silently."""

import re
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from fhir_gateway.domain.records import Layout, SourceRecord, UnreadableRow

_REMEMBERED = 4096
"""Different cells of a column; so many tell enough of it."""
_NOTED_AT_ONCE = 64
_DAY_AND_MONTH = re.compile(r"\s*(\d{1,2})\s*[/.\-]\s*(\d{1,2})\s*[/.\-]\s*(?:\d{4}|\d{2})\b")
_ENOUGH_DATES = 3
"""So many dates that can only be read the other way are no slips any more."""


class Doubts:
    """Collects what the doubtful columns of one file say, and tells what is most likely read wrong."""

    def __init__(self, layout: Layout, keys: Iterable[str]) -> None:
        self._layout = layout
        doubtful = layout.sexes | layout.day_first | layout.month_first
        self._said: dict[str, set[str]] = {key: set() for key in keys if key in doubtful}

    def noted(self, rows: Iterable[SourceRecord | UnreadableRow]) -> Iterator[SourceRecord | UnreadableRow]:
        """Yield rows, and note what they say: many together, which takes a quarter of the time."""
        waiting: list[Mapping[str, str]] = []
        for row in rows:
            if isinstance(row, SourceRecord):
                waiting.append(row.cells)
                if len(waiting) == _NOTED_AT_ONCE:
                    self._note(waiting)
                    waiting.clear()
            yield row
        self._note(waiting)

    def _note(self, rows: Iterable[Mapping[str, str]]) -> None:
        for column, said in self._said.items():
            if len(said) < _REMEMBERED:
                said.update(map(itemgetter(column), rows))

    def told(self) -> str:
        """Return what is wrong with the file as a whole and what to do, "" where nothing is."""
        for column, said in self._said.items():
            if column in self._layout.sexes and _may_mean_pria(said):
                return (
                    f"its column '{column}' says P and W and never L, so that P may be pria or perempuan. Say which in a"
                    f" mapping of your own: `gender: {{column: {column}, through: {{gender: {{male: [P], female: [W]}}}}}}`"
                )
            if column in self._layout.day_first and _is_written_the_other_way(said, first=1):
                return _told_of_dates(column, "month", "mm/dd/yyyy")
            if column in self._layout.month_first and _is_written_the_other_way(said, first=0):
                return _told_of_dates(column, "day", "dd/mm/yyyy")
        return ""


def _may_mean_pria(said: Iterable[str]) -> bool:
    letters = {text.strip(" .").casefold() for text in said}
    return {"p", "w"} <= letters and "l" not in letters


def _is_written_the_other_way(said: Iterable[str], *, first: int) -> bool:
    """Whether dates can only be right where the month stands at the place `first` is not, and none where it is.

    As many as half of the others must be such ones: in any list of dates most days lie behind the twelfth.
    """
    other_way = either = 0
    for found in filter(None, map(_DAY_AND_MONTH.match, said)):
        numbers = int(found[1]), int(found[2])
        month, day = numbers[first], numbers[1 - first]
        if 1 <= month <= 12 < day <= 31:
            return False
        other_way += 1 <= day <= 12 < month <= 31
        either += 1 <= day <= 12 and 1 <= month <= 12 and day != month
    return other_way >= _ENOUGH_DATES and 2 * other_way >= either


def _told_of_dates(column: str, part: str, form: str) -> str:
    return (
        f"its column '{column}' writes the {part} first, as its dates tell, and the mapping reads them otherwise: all"
        f" others would be wrong. Give {form} in the `dates` of a mapping of your own"
    )
