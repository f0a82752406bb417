"""A compiled mapping at work: one row in, a Patient with its doses out, or the reasons why not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

from fhir_gateway.domain.recent import Recent, remembered
from fhir_gateway.domain.records import (
    Converted,
    Layout,
    MissingDose,
    Problem,
    Rejected,
    Resource,
    SourceRecord,
    maker,
    record_keys,
)
from fhir_gateway.fhir.json_text import fingerprint_and_id
from fhir_gateway.mapping.clinics import Clinic, DoseGroup, KeyReader
from fhir_gateway.mapping.columns import Columns
from fhir_gateway.mapping.doses import Person, Rows, keep_originals, lost_cell, tell_doses
from fhir_gateway.mapping.elements import Element
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.values import Cells, Read
from fhir_gateway.people.names import PersonName

GATEWAY_KEY = "gateway_key"
_converted, _new_person = maker(Converted), maker(Person)
_IS_KEY = re.compile(r"[0-9a-f]{32}")
_NO_LETTERS = re.compile(r"[\W_]+")
_REMEMBERED = 2048
_CLINICS = 32
_HEADER_AGAIN = Problem("row-header", "the header stands here again", "nothing to do: files were joined")
_OTHER_HEADER = Problem(
    "row-other-header",
    "another header stands here: the rows below it were read by the first one",
    "files with different columns were joined: load each by itself",
)
_NOBODY = Problem(
    "name-missing",
    "a newborn without a name, a parent or a number is nobody who could be told from another",
    "write its name as By. Ny. and its mother's name",
)
_VALUES = 8_192
"""Values of elements and parts of keys that are remembered for all clinics together."""


class _Memory:
    """The people and clinics that were read lately, of one context: another may have another day or other clinics."""

    def __init__(self) -> None:
        self.context: ConversionContext | None = None
        self.forget()

    def begin(self, context: ConversionContext) -> None:
        self.context = context
        self.forget()

    def forget(self) -> None:
        self.people: Recent[tuple[Any, ...], Person] = Recent(_REMEMBERED)
        """By all that the reading of a person depends on: the clinic's name, the columns with numbers, and the cells."""
        self._forget_clinics()

    def _forget_clinics(self) -> None:
        self.clinics: Recent[str, Clinic] = Recent(_CLINICS)
        self._values_left = _VALUES

    def spend(self) -> None:
        """Note that one more value of an element is remembered; when they are too many, all are forgotten."""
        self._values_left -= 1
        if self._values_left <= 0:
            self._forget_clinics()


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping, ready to convert records; `layout` tells a source what to expect of a file.

    `person_columns` tell all of the person, `clinic_columns` the clinic; in `conditions` a value that a spreadsheet lost still
    says that there is one; without those `needed` (the key, the clinic, a NIK, what is required) a row says too little.
    """

    name: str
    title: str
    layout: Layout
    key: tuple[KeyReader, ...]
    clinic: Read | None
    patient: tuple[Element, ...]
    doses: tuple[DoseGroup, ...]
    nik_columns: tuple[str, ...]
    columns: tuple[str, ...]
    person_columns: tuple[str, ...]
    clinic_columns: tuple[str, ...]
    conditions: frozenset[str]
    needed: frozenset[str] = frozenset()
    memory: _Memory = field(default_factory=_Memory, compare=False, repr=False)

    def forget(self) -> None:
        """Forget the rows that were converted lately; for who has read a file and goes on to other work."""
        self.memory.forget()

    def anew(self) -> "CompiledMapping":
        """Return the same mapping with nothing remembered: rows of one environment are nothing to another."""
        return replace(self, memory=_Memory())

    @property
    def wide(self) -> bool:
        """Whether a row may hold several doses."""
        return any(group.name for group in self.doses)

    def convert(self, record: SourceRecord, context: ConversionContext) -> Converted | Rejected:
        """Convert a record; never raises for what stands in it. A row with bad and good doses keeps the good ones."""
        return self.convert_all((record,), context)[0]

    def convert_all(self, records: Sequence[SourceRecord], context: ConversionContext) -> list[Converted | Rejected]:
        """Convert records as `convert` does, all of them leg by leg, and the doses a column at a time."""
        if context is not self.memory.context:
            self.memory.begin(context)
        if not records:
            return []
        if self.clinic is None or context.clinic:
            return self._convert(self._known_clinic("", context), records)
        of_clinics: dict[Clinic, list[int]] = {}
        columns = Columns([record.cells for record in records], self.conditions)
        for place, cells in enumerate(columns.rows(self.clinic_columns)):
            of_clinics.setdefault(self._known_clinic(self.clinic(cells), context), []).append(place)
        results: dict[int, Converted | Rejected] = {}
        for clinic, places in of_clinics.items():
            results.update(zip(places, self._convert(clinic, [records[place] for place in places]), strict=True))
        return [results[place] for place in range(len(records))]

    def _known_clinic(self, named: str, context: ConversionContext) -> Clinic:
        memory = self.memory
        known = memory.clinics.get(named)
        if known is None:
            known = Clinic(self.name, context, named, doses=self.doses, spend=memory.spend)
            memory.clinics.keep(named, known)
        return known

    def _convert(self, clinic: Clinic, records: Sequence[SourceRecord]) -> list[Converted | Rejected]:
        """Convert rows of one clinic."""
        columns = Columns([record.cells for record in records], self.conditions)
        people = self._people(clinic, records, columns)
        given = _given_keys(columns)
        keys = self._keys(clinic, records, columns, people)
        for place, key in given.items():
            keys[place] = key
        of_doses = tell_doses(clinic, Rows(records, people, keys, columns))
        with_trouble = of_doses.missing.keys() | of_doses.unmapped.keys()
        clinic_id = clinic.id
        results: list[Converted | Rejected] = []
        for place, (record, person, key, doses) in enumerate(zip(records, people, keys, of_doses.doses, strict=True)):
            patient, fingerprint, content_id, _, nik_cells, _, _, _, problems, unmapped = person
            missing: tuple[MissingDose, ...] = ()
            if place in with_trouble:
                missing = tuple(of_doses.missing.get(place, ()))
                unmapped = (*unmapped, *of_doses.unmapped.get(place, ()))
                problems = problems if self.wide else (*problems, *(one.problem for one in missing))
            if record.lost and (lost := self._lost_for_all(record.lost)):
                results.append(Rejected(record.ref, lost, given.get(place, ""), nik_cells=nik_cells))
            elif problems and (header := self._as_header(record)):
                results.append(Rejected(record.ref, (header,)))
            elif problems:
                results.append(Rejected(record.ref, tuple(dict.fromkeys(problems)), key, unmapped, nik_cells))
            else:
                corrected = place in given
                told = (
                    record.ref,
                    key,
                    clinic_id,
                    patient,
                    doses,
                    missing,
                    unmapped,
                    corrected,
                    nik_cells,
                    fingerprint,
                    content_id,
                )
                results.append(_converted(told))
        return results

    def _as_header(self, record: SourceRecord) -> Problem | None:
        """Return what is told of a header that stands below the first one, as in files that were joined; None for any other row."""
        required, names = self.layout.required, _names_of_columns(self.layout)
        said = {name: _letters(text) for name, text in record.cells.items()}
        if not required or any(names[column].isdisjoint(said.values()) for column in required):
            return None
        in_place = all(said[column] in of_column for column, of_column in names.items() if column in said)
        return _HEADER_AGAIN if in_place else _OTHER_HEADER

    def _lost_for_all(self, lost: frozenset[str]) -> tuple[Problem, ...]:
        """Return the problems of lost cells without which the row says too little: of the key, a NIK, what is required."""
        return tuple([lost_cell(column) for column in self.columns if column in lost and column in self.needed])

    def _keys(
        self, clinic: Clinic, records: Sequence[SourceRecord], columns: Columns, people: Sequence[Person]
    ) -> list[str]:
        """Return the records' keys: of each the one that the row itself carries, from a report, else of its cells."""
        of_person = zip(*[person.key_parts for person in people], strict=True)
        parts = [next(of_person) if part.of_person else clinic.key_parts(part, records, columns) for part in self.key]
        return record_keys([clinic.id] * len(records), [self.name] * len(records), *parts)

    def _people(self, clinic: Clinic, records: Sequence[SourceRecord], columns: Columns) -> list[Person]:
        """Return the rows' people; rows of one repeat, so what the same cells said lately is remembered."""
        recent, written = self.memory.people, map(columns.written, self.person_columns)
        asked = list(zip(repeat(clinic.display), [record.numeric for record in records], *written, strict=False))
        known = recent.get_all(asked)
        new = {one: record for one, record, person in zip(asked, records, known, strict=True) if person is None}
        people = dict(zip(new, self._read_people(clinic, list(new.values())), strict=True)) if new else {}
        recent.keep_all(people)
        return [person or people[one] for one, person in zip(asked, known, strict=True)]

    def _read_people(self, clinic: Clinic, records: Sequence[SourceRecord]) -> list[Person]:
        columns = Columns([record.cells for record in records], self.conditions)
        begun = [
            ({"resourceType": "Patient", "meta": clinic.meta}, cells, clinic.facts(record.numeric))
            for record, cells in zip(records, columns.rows(self.person_columns), strict=True)
        ]
        for name, evaluate, _, _ in self.patient:
            for patient, cells, facts in begun:
                value = evaluate(cells, facts)
                if value is not None:
                    patient[name] = value
                    if name == "birthDate":
                        facts.birth_date = value
        of_person = [part for part in self.key if part.of_person]
        parts = [
            clinic.key_parts_of(
                part, [patient.get(part.element.name) for patient, _, _ in begun], columns.texts(part.columns)
            )
            if part.element in self.patient
            else clinic.key_parts(part, records, columns)
            for part in of_person
        ]
        key_parts = zip(*parts, strict=True) if parts else repeat(())
        return list(map(self._person, records, begun, key_parts))

    def _person(self, record: SourceRecord, begun: tuple[Resource, Cells, Facts], key_parts: tuple[str, ...]) -> Person:
        patient, _, facts = begun
        written = record.cells
        if facts.name is not None and facts.name.newborn and _is_nobody(facts.name, patient):
            facts.problems.append(_NOBODY)
        if facts.kept:
            keep_originals(patient, facts.kept)
        fingerprint, content_id = ("", "") if facts.problems else fingerprint_and_id(patient)
        nik_cells = tuple([(c, written[c]) for c in self.nik_columns if written.get(c, "").strip()])
        told = (facts.birth_date, facts.gender, facts.name, tuple(facts.problems), tuple(facts.unmapped))
        return _new_person((patient, fingerprint, content_id, key_parts, nik_cells, *told))


def _is_nobody(name: PersonName, patient: Resource) -> bool:
    return not name.words and patient.keys().isdisjoint({"contact", "identifier"})


@remembered(64)
def _names_of_columns(layout: Layout) -> dict[str, set[str]]:
    """Return the letters of the names that each column may have in a header."""
    aliases = dict(layout.aliases)
    return {
        column: {_letters(name) for name in (column, *aliases.get(column, ()))}
        for column in layout.known | layout.required
    }


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text).casefold()


def _given_keys(columns: Columns) -> dict[int, str]:
    """Return the keys that rows of a report carry, by their places."""
    written = columns.written(GATEWAY_KEY)
    if not any(written):
        return {}
    return {place: text for place, text in enumerate(map(str.strip, written)) if _IS_KEY.fullmatch(text)}
