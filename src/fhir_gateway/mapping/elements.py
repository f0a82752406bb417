"""The elements of a resource at work, for one clinic: one element of all rows after the other.

What the same cells became lately is remembered, and looked up for all rows by one call.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import compress, count, repeat
from operator import is_, not_
from typing import Any, NamedTuple, Protocol

from fhir_gateway.mapping.columns import Columns, cells_of
from fhir_gateway.mapping.functions import Facts, Steadiness
from fhir_gateway.mapping.spellings import DoseNumber
from fhir_gateway.mapping.values import Evaluate

_NEW: Any = object()
"""Stands for a value that has to be worked out for its row."""

Spend = Callable[[], None]
NewFacts = Callable[[], Facts]
"""Returns what is known of a row before anything of it was read."""


class Known(dict[Any, Any]):
    """What cells became; what is not known yet is learned when it is asked for.

    `tells` says whether something is told beside a value, which has to be told each time. What learns must not hold what holds
    this: memories are dropped while nobody looks for cycles.
    """

    __slots__ = ("_learn", "tells")

    def __init__(self, learn: Callable[[Any], Any]) -> None:
        super().__init__()
        self._learn = learn
        self.tells = False

    def __missing__(self, asked: Any) -> Any:
        value = self[asked] = self._learn(asked)
        self.tells = self.tells or value is _NEW
        return value


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

    def facts(self, place: int) -> Facts:
        """Return a row's facts: those that were told, else just its person, date and dose number."""
        ...

    def made(self, name: str, values: list[Any]) -> None:
        """Note an element's value in each row, None where it has none."""
        ...


class Elements:
    """The elements of one resource. Values are shared by all resources that they stand in: nobody changes a resource."""

    __slots__ = ("_elements",)

    def __init__(self, elements: Iterable[Element], facts: NewFacts, spend: Spend) -> None:
        """Build them from compiled ones; `spend` is called for each value that is remembered from now on."""
        self._elements = tuple([_AT_WORK[element.steadiness](element, facts, spend) for element in elements])

    def known(self) -> Mapping[Element, Known]:
        """Return what is known of steady elements, by their cells."""
        return {element.element: element.known for element in self._elements if isinstance(element, _Steady)}

    def fill(self, rows: Rows) -> None:
        """Work out all elements of all rows; problems and what cannot be read are told to the rows' facts."""
        for element in self._elements:
            rows.made(element.name, element.values(rows))


class _Unsteady:
    """An element that may heed anything and tell anything: each row has its facts from then on."""

    def __init__(self, element: Element, facts: NewFacts, spend: Spend) -> None:
        self.name, self._evaluate, self._columns, _ = self.element = element
        self._facts = facts
        self._spend = spend

    def values(self, rows: Rows) -> list[Any]:
        """Return the element's value in each row."""
        for place in range(len(rows.doses)):
            rows.told[place] = rows.facts(place)
        return self._completed([_NEW] * len(rows.doses), rows)

    def _completed(self, values: list[Any], rows: Rows) -> list[Any]:
        """Work out the values that are _NEW, with all that is told beside them."""
        for place in compress(count(), map(is_, values, repeat(_NEW))):
            facts = rows.facts(place)
            values[place] = self._evaluate(rows.columns.row(self._columns, place), facts)
            rows.doses[place] = facts.dose
            if facts.told:
                rows.told[place] = facts
        return values


def _by_cells(element: Element, texts: Any, facts: Facts) -> Any:
    """Return what an element's cells become, _NEW where something is told beside it."""
    value = element.evaluate(cells_of(element.columns, texts), facts)
    return _NEW if facts.told else value


class _Steady(_Unsteady):
    """An element that its cells alone decide, whatever was told of the row."""

    def __init__(self, element: Element, facts: NewFacts, spend: Spend) -> None:
        super().__init__(element, facts, spend)
        untold = facts()

        def learn(texts: Any) -> Any:
            nonlocal untold
            spend()
            value = _by_cells(element, texts, untold)
            if value is _NEW:
                untold = facts()
            return value

        self.known = Known(learn)

    def values(self, rows: Rows) -> list[Any]:
        values = list(map(self.known.__getitem__, rows.columns.texts(self._columns)))
        return self._completed(values, rows) if self.known.tells else values


class _Seldom(_Unsteady):
    """An element that its cells alone decide, but seldom the same ones."""

    def values(self, rows: Rows) -> list[Any]:
        facts, values = self._facts(), []
        for cells in rows.columns.rows(self._columns):
            value = self._evaluate(cells, facts)
            if facts.told:
                facts, value = self._facts(), _NEW
            values.append(value)
        return self._completed(values, rows)


class _Heeding(_Unsteady):
    """An element that its cells and the dose's number decide in rows of which nothing else was told."""

    def __init__(self, element: Element, facts: NewFacts, spend: Spend) -> None:
        super().__init__(element, facts, spend)
        doses: dict[Any, DoseNumber] = {}

        def learn(asked: Any) -> Any:
            spend()
            texts, dose = asked
            of_row = facts()
            of_row.dose = dose
            value = _by_cells(element, texts, of_row)
            if value is not _NEW and of_row.dose is not dose:
                doses[asked] = of_row.dose
            return value

        self._known = Known(learn)
        self._doses = doses

    def values(self, rows: Rows) -> list[Any]:
        asked = list(zip(rows.columns.texts(self._columns), rows.doses, strict=True))
        values = list(map(self._known.__getitem__, asked))
        if self._doses:
            rows.doses = list(map(self._doses.get, asked, rows.doses))
        for place in rows.told:
            values[place] = _NEW
        return self._completed(values, rows) if rows.told or self._known.tells else values


class _Each(_Unsteady):
    """An element that has its usual value where no text tells anything, in rows of which nothing was told."""

    def __init__(self, element: Element, facts: NewFacts, spend: Spend) -> None:
        super().__init__(element, facts, spend)
        self._usual: set[str] = set()
        self._value = _NEW

    def values(self, rows: Rows) -> list[Any]:
        texts = [rows.columns[name] for name in self._columns]
        values = [self._value] * len(rows.doses)
        usual = self._usual
        if new := set().union(*[column for column in texts if not usual.issuperset(column)]) - usual:
            of_rows = list(zip(*texts, strict=True))
            for place in compress(count(), map(not_, map(new.isdisjoint, of_rows))):
                values[place] = self._learned(of_rows[place])
        for place in rows.told:
            values[place] = _NEW
        return self._completed(values, rows) if new or rows.told or self._value is _NEW else values

    def _learned(self, texts: tuple[str, ...]) -> Any:
        if self._value is not _NEW and self._usual.issuperset(texts):
            return self._value  # a row before this one had the same texts
        facts = self._facts()
        value = self._evaluate(dict(zip(self._columns, texts, strict=True)), facts)
        if facts.told:
            return _NEW
        self._value = value
        for _ in set(texts) - self._usual:
            self._spend()
        self._usual.update(texts)
        return value


class _After(_Unsteady):
    """An element that there is only in rows of which something was told before."""

    def values(self, rows: Rows) -> list[Any]:
        values: list[Any] = [None] * len(rows.doses)
        for place in rows.told:
            values[place] = _NEW
        return self._completed(values, rows) if rows.told else values


_AT_WORK: dict[Steadiness, type[_Unsteady]] = {
    Steadiness.UNSTEADY: _Unsteady,
    Steadiness.HEEDING: _Heeding,
    Steadiness.EACH: _Each,
    Steadiness.AFTER: _After,
    Steadiness.SELDOM: _Seldom,
    Steadiness.STEADY: _Steady,
}
