"""Whose record a row is, and what is remembered for a clinic: elements' values and parts of keys."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource, SourceRecord
from fhir_gateway.mapping.columns import Columns, cells_of
from fhir_gateway.mapping.elements import Element, Elements, Known, NewFacts, Spend
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.general_functions import uri_safe
from fhir_gateway.mapping.values import Cells, Evaluate, Read


class DoseGroup(NamedTuple):
    """The doses that a row may hold in one group of columns: where one of `conditions` is filled, or in every row without any.

    `columns` are all that its elements and conditions read, `status_column` is the one that tells whether a dose was given.
    """

    name: str
    elements: tuple[Element, ...]
    columns: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    status_column: str = ""


class KeyReader(NamedTuple):
    """A part of the key: the cell, or what a function makes of it where it can be read.

    `steady` says that the cells alone decide it, `of_person` that its columns are all the person's, so that it is the same
    in all rows of a person. `element` has the same value where that is a text.
    """

    cell: Read
    evaluate: Evaluate | None
    columns: tuple[str, ...]
    steady: bool = True
    of_person: bool = False
    element: Element | None = None


class Clinic:
    """Whose record it is, and what is known of its elements' values; `spend` is called for each that is remembered.

    `facts` returns what is known of a row, whose numeric columns it may be given, before anything of it was read.
    """

    __slots__ = ("_key_parts", "_known", "_spend", "display", "doses", "facts", "id", "meta", "safe")

    def __init__(
        self,
        mapping: str,
        context: ConversionContext,
        named: str,
        *,
        doses: Iterable[DoseGroup],
        spend: Spend,
    ) -> None:
        self.id = context.clinic or _clinic_id(named) or mapping
        self.display = " ".join(named.split()) or self.id
        self.safe = uri_safe(self.id)
        self.meta: Resource = {"source": f"{systems.SOURCE}:{self.safe}:{mapping}"}
        self.facts = partial(Facts, context, context.today.isoformat(), self.id, self.display, self.safe)
        self.doses = tuple([(group, Elements(group.elements, self.facts, spend)) for group in doses])
        self._spend = spend
        self._key_parts: dict[KeyReader, Known] = {}
        self._known = {element: known for _, elements in self.doses for element, known in elements.known().items()}

    def key_parts(self, part: KeyReader, records: Sequence[SourceRecord], columns: Columns) -> Sequence[str]:
        """Return a part of the rows' keys."""
        if part.evaluate is None and len(part.columns) == 1:
            return _all_words(columns[part.columns[0]])
        if not part.steady:
            rows = zip(records, columns.rows(part.columns), strict=True)
            return [_key_part(part, cells, self.facts(record.numeric)) for record, cells in rows]
        if part.element in self._known:
            texts = columns.texts(part.columns)
            return self.key_parts_of(part, list(map(self._known[part.element].__getitem__, texts)), texts)
        known = self._key_parts.get(part)
        if known is None:
            known = self._key_parts[part] = Known(_learns_key_part(part, self.facts, self._spend))
        return list(map(known.__getitem__, columns.texts(part.columns)))

    def key_parts_of(self, part: KeyReader, values: Sequence[Any], texts: Sequence[Any]) -> Sequence[str]:
        """Return a part of the rows' keys that an element has the values of, where they are texts."""
        if {str}.issuperset(map(type, values)):
            return values
        return [
            value if value.__class__ is str else _key_part(part, cells_of(part.columns, text), self.facts())
            for value, text in zip(values, texts, strict=True)
        ]


def _learns_key_part(part: KeyReader, facts: NewFacts, spend: Spend) -> Callable[[Any], str]:
    untold = facts()

    def learn(texts: Any) -> str:
        nonlocal untold
        spend()
        words = _key_part(part, cells_of(part.columns, texts), untold)
        if untold.told:
            untold = facts()
        return words

    return learn


def _key_part(part: KeyReader, cells: Cells, facts: Facts) -> str:
    # What is wrong with a cell is told by the element that it belongs to.
    value = part.evaluate(cells, facts) if part.evaluate is not None else None
    return value if isinstance(value, str) and value else _words(part.cell(cells))


def _words(text: str) -> str:
    return " ".join(text.casefold().split())


def _all_words(texts: Sequence[str]) -> Sequence[str]:
    """Return the words of each text as _words does; none holds a line break or another blank than " " (see columns.said)."""
    folded = "\n".join(texts).casefold()
    return list(map(_words, texts)) if "  " in folded else folded.split("\n")


def _clinic_id(display: str) -> str:
    """Return a clinic's id from its name in a column: the same for all spellings of case and blanks."""
    return "-".join(re.findall(r"\w+", display.casefold()))
