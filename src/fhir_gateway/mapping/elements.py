"""The elements of a resource at work, for one clinic: one element of all rows after the other.

What the same cells became lately is remembered, and looked up for all rows by one call.
"""

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, NamedTuple, Protocol

from fhir_gateway.mapping.columns import Columns
from fhir_gateway.mapping.functions import Facts, Steadiness
from fhir_gateway.mapping.spellings import DoseNumber
from fhir_gateway.mapping.values import Evaluate

_NEW: Any = object()
"""Stands for a value that has to be worked out for its row."""

Known = dict[Any, Any]
Spend = Callable[[], None]


class Element(NamedTuple):
    """An element of a resource, what makes its value, the columns that this reads, and how steady it is."""

    name: str
    evaluate: Evaluate
    columns: tuple[str, ...] = ()
    steadiness: Steadiness = Steadiness.UNSTEADY


class Rows(Protocol):
    """Some rows on their way to a resource each; what is known of them stands at their places."""

    columns: Columns
    doses: list[DoseNumber]
    """What was told of each row's dose number."""

    told: dict[int, Facts]
    """The facts of those rows of which more was told, by place."""

    blank: Facts
    """Facts of no row, for functions that heed none."""

    def facts(self, place: int) -> Facts:
        """Return a row's facts: those that were told, else just its person, date and dose number."""
        ...

    def made(self, name: str, values: list[Any]) -> None:
        """Note an element's value in each row, None where it has none."""
        ...


class Elements:
    """The elements of one resource. Values are shared by all resources that they stand in: nobody changes a resource."""

    __slots__ = ("_elements",)

    def __init__(self, elements: Iterable[Element], spend: Spend) -> None:
        """Build them from compiled ones; `spend` is called for each value that is remembered from now on."""
        self._elements = tuple([_AT_WORK[element.steadiness](element, spend) for element in elements])

    def fill(self, rows: Rows) -> None:
        """Work out all elements of all rows; problems and what cannot be read are told to the rows' facts."""
        for element in self._elements:
            rows.made(element.name, element.values(rows))


class _Unsteady:
    """An element that may heed anything and tell anything: each row has its facts from then on."""

    def __init__(self, element: Element, spend: Spend) -> None:
        self.name, self._evaluate, self._columns, _ = element
        self._spend = spend
        self._known: Known = {}
        self._tells = False
        """Whether a known value is _NEW, since something is told beside it, which has to be told each time."""

    def values(self, rows: Rows) -> list[Any]:
        """Return the element's value in each row."""
        for place in range(len(rows.doses)):
            rows.told[place] = rows.facts(place)
        return self._completed([_NEW] * len(rows.doses), rows)

    def _completed(self, values: list[Any], rows: Rows) -> list[Any]:
        """Work out the values that are _NEW, with all that is told beside them."""
        for place, value in enumerate(values):
            if value is _NEW:
                facts = rows.facts(place)
                values[place] = self._evaluate(rows.columns.row(self._columns, place), facts)
                rows.doses[place] = facts.dose
                if facts.told:
                    rows.told[place] = facts
        return values


class _Steady(_Unsteady):
    """An element that its cells alone decide, whatever was told of the row."""

    def values(self, rows: Rows) -> list[Any]:
        known, texts = self._known, rows.columns.texts(self._columns)
        if not known.keys() >= set(texts):
            for place, text in enumerate(texts):
                if text not in known:
                    known[text] = self._by_cells(rows, place)
                    self._spend()
        values = list(map(known.__getitem__, texts))
        return self._completed(values, rows) if self._tells else values

    def _by_cells(self, rows: Rows, place: int) -> Any:
        told = rows.blank.told
        value = self._evaluate(rows.columns.row(self._columns, place), rows.blank)
        if rows.blank.told == told:
            return value
        self._tells = True
        return _NEW


class _Seldom(_Steady):
    """An element that its cells alone decide, but seldom the same ones."""

    def values(self, rows: Rows) -> list[Any]:
        return self._completed([self._by_cells(rows, place) for place in range(len(rows.doses))], rows)


class _Heeding(_Unsteady):
    """An element that its cells and the dose's number decide in rows of which nothing else was told."""

    def __init__(self, element: Element, spend: Spend) -> None:
        super().__init__(element, spend)
        self._doses: dict[Any, DoseNumber] = {}

    def values(self, rows: Rows) -> list[Any]:
        known = self._known
        asked = list(zip(rows.columns.texts(self._columns), rows.doses, strict=True))
        if not known.keys() >= set(asked):
            for place, one in enumerate(asked):
                if one not in known:
                    self._learn(one, rows, place)
        values = list(map(known.get, asked, repeat(_NEW)))
        if self._doses:
            rows.doses = list(map(self._doses.get, asked, rows.doses))
        for place in rows.told:
            values[place] = _NEW
        return self._completed(values, rows) if rows.told or self._tells else values

    def _learn(self, asked: Any, rows: Rows, place: int) -> None:
        if place in rows.told:
            return
        facts = rows.facts(place)
        value = self._evaluate(rows.columns.row(self._columns, place), facts)
        if facts.told:
            value, self._tells = _NEW, True
        elif facts.dose is not rows.doses[place]:
            self._doses[asked] = facts.dose
        self._known[asked] = value
        self._spend()


class _Each(_Unsteady):
    """An element that has its usual value where no text tells anything, in rows of which nothing was told."""

    def __init__(self, element: Element, spend: Spend) -> None:
        super().__init__(element, spend)
        self._usual: set[str] = set()
        self._value = _NEW

    def values(self, rows: Rows) -> list[Any]:
        texts = [rows.columns[name] for name in self._columns]
        values = [self._value] * len(rows.doses)
        if new := set().union(*texts) - self._usual:
            for place, of_row in enumerate(zip(*texts, strict=True)):
                if not new.isdisjoint(of_row):
                    values[place] = _NEW if place in rows.told else self._learned(of_row, rows, place)
        for place in rows.told:
            values[place] = _NEW
        return self._completed(values, rows) if new or rows.told or self._value is _NEW else values

    def _learned(self, texts: tuple[str, ...], rows: Rows, place: int) -> Any:
        if self._value is not _NEW and self._usual.issuperset(texts):
            return self._value  # a row before this one had the same texts
        facts = rows.facts(place)
        value = self._evaluate(rows.columns.row(self._columns, place), facts)
        if facts.told:
            return _NEW
        self._value = value
        for _ in set(texts) - self._usual:
            self._spend()
        self._usual.update(texts)
        return value


_AT_WORK: dict[Steadiness, type[_Unsteady]] = {
    Steadiness.UNSTEADY: _Unsteady,
    Steadiness.HEEDING: _Heeding,
    Steadiness.EACH: _Each,
    Steadiness.SELDOM: _Seldom,
    Steadiness.STEADY: _Steady,
}
