"""The elements of a resource at work, for one clinic: what the same cells became lately is remembered."""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from fhir_gateway.domain.records import Resource
from fhir_gateway.mapping.functions import Facts
from fhir_gateway.mapping.values import Cells, Evaluate

_TOLD = {"birthDate": "birth_date", "occurrenceDateTime": "occurrence"}
"""Elements that functions of later ones need to know, and the fact's name."""

Known = dict[Any, Any]
Ask = Callable[[Cells], Any]


class Element(NamedTuple):
    """An element of a resource and what makes its value; `columns` where their cells alone decide it, else None."""

    name: str
    evaluate: Evaluate
    columns: tuple[str, ...] | None = None


class _Ready(NamedTuple):
    """An element with what is known of its values; a tuple, for it is unpacked for every row."""

    name: str
    evaluate: Evaluate
    ask: Ask
    known: Known | None
    fact: str


class Begun(NamedTuple):
    """A resource in the making, what its cells say, and what is known of its row."""

    resource: Resource
    cells: Cells
    facts: Facts


class Elements:
    """The elements of one resource. Values are shared by all resources that they stand in: nobody changes a resource."""

    __slots__ = ("_elements", "_spend")

    def __init__(self, elements: Iterable[Element], spend: Callable[[], None]) -> None:
        """Build them from compiled ones; `spend` is called for each value that is remembered from now on."""
        self._elements = tuple([_ready(element) for element in elements])
        self._spend = spend

    def fill(self, begun: Sequence[Begun]) -> None:
        """Add to the resources what the cells say; problems and what cannot be read are told to the facts.

        One element of all resources after the other: its code and data then stay in the processor's caches.
        """
        for name, evaluate, ask, known, fact in self._elements:
            for resource, cells, facts in begun:
                if known is None:
                    value = evaluate(cells, facts)
                else:
                    texts = ask(cells)
                    value = known.get(texts, known)
                    if value is known:
                        told = facts.told
                        value = evaluate(cells, facts)
                        if facts.told == told:  # what is told beside the value has to be told each time
                            known[texts] = value
                            self._spend()
                if value is not None:
                    resource[name] = value
                    if fact:
                        setattr(facts, fact, value)


def _ready(element: Element) -> _Ready:
    columns = element.columns
    known: Known | None = None if columns is None else {}
    return _Ready(element.name, element.evaluate, _asking(columns or ()), known, _TOLD.get(element.name, ""))


def _asking(columns: tuple[str, ...]) -> Ask:
    return itemgetter(*columns) if columns else lambda cells: None  # noqa: ARG005 - the signature of all
