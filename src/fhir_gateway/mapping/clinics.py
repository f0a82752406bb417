"""Whose record a row is, and what is remembered for a clinic: elements' values and parts of keys."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource, SourceRecord
from fhir_gateway.mapping.columns import Columns
from fhir_gateway.mapping.elements import Element, Elements, Known
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.general_functions import uri_safe
from fhir_gateway.mapping.values import Cells, Evaluate, Read


class DoseGroup(NamedTuple):
    """The doses that a row may hold in one group of columns: where one of `conditions` is filled, or in every row without any.

    `columns` are all that its elements and conditions read.
    """

    name: str
    elements: tuple[Element, ...]
    columns: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


class KeyReader(NamedTuple):
    """A part of the key: the cell, or what a function makes of it where it can be read.

    `steady` says that the cells alone decide it, `of_person` that its columns are all the person's, so that it is the same
    in all rows of a person.
    """

    cell: Read
    evaluate: Evaluate | None
    columns: tuple[str, ...]
    steady: bool = True
    of_person: bool = False


class Clinic:
    """Whose record it is, and what is known of its elements' values; `spend` is called for each that is remembered."""

    __slots__ = ("_context", "_key_parts", "_spend", "_today", "display", "doses", "id", "meta", "safe")

    def __init__(
        self,
        mapping: str,
        context: ConversionContext,
        named: str,
        *,
        doses: Iterable[DoseGroup],
        spend: Callable[[], None],
    ) -> None:
        self._context = context
        self._today = context.today.isoformat()
        self.id = context.clinic or _clinic_id(named) or mapping
        self.display = " ".join(named.split()) or self.id
        self.safe = uri_safe(self.id)
        self.meta: Resource = {"source": f"{systems.SOURCE}:{self.safe}:{mapping}"}
        self.doses = tuple([(group, Elements(group.elements, spend)) for group in doses])
        self._spend = spend
        self._key_parts: dict[KeyReader, Known] = {}

    def facts(self, numeric: frozenset[str] = frozenset()) -> Facts:
        """Return what is known of a row before anything of it was read."""
        return Facts(self._context, self._today, self.id, self.display, self.safe, numeric)

    def key_parts(self, part: KeyReader, records: Sequence[SourceRecord], columns: Columns) -> Sequence[str]:
        """Return a part of the rows' keys."""
        if part.evaluate is None and len(part.columns) == 1:
            return [_words(text) for text in columns[part.columns[0]]]
        if not part.steady:
            rows = zip(records, columns.rows(part.columns), strict=True)
            return [_key_part(part, cells, self.facts(record.numeric)) for record, cells in rows]
        known, texts = self._key_parts.setdefault(part, {}), columns.texts(part.columns)
        if not known.keys() >= set(texts):
            for place, text in enumerate(texts):
                if text not in known:
                    known[text] = _key_part(part, columns.row(part.columns, place), self.facts())
                    self._spend()
        return list(map(known.__getitem__, texts))


def _key_part(part: KeyReader, cells: Cells, facts: Facts) -> str:
    # What is wrong with a cell is told by the element that it belongs to.
    value = part.evaluate(cells, facts) if part.evaluate is not None else None
    return value if isinstance(value, str) and value else _words(part.cell(cells))


def _words(text: str) -> str:
    return " ".join(text.casefold().split())


def _clinic_id(display: str) -> str:
    """Return a clinic's id from its name in a column: the same for all spellings of case and blanks."""
    return "-".join(re.findall(r"\w+", display.casefold()))
