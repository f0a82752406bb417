"""A compiled mapping at work: one row in, a Patient with its doses out, or the reasons why not."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import (
    Converted,
    Dose,
    Layout,
    MissingDose,
    Problem,
    Rejected,
    Resource,
    SourceRecord,
    UnmappedValue,
    dose_identifier,
    record_key,
)
from fhir_gateway.fhir.json_text import fingerprint_and_id
from fhir_gateway.mapping.elements import Element, Elements
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.general_functions import uri_safe
from fhir_gateway.mapping.person_functions import as_written
from fhir_gateway.mapping.values import LOST, Cells, Evaluate, Read, said_in
from fhir_gateway.people.names import PersonName

GATEWAY_KEY = "gateway_key"
_KEY = re.compile(r"[0-9a-f]{32}")
_BEFORE_BIRTH = Problem(
    "dose-before-birth", "the dose lies before the birth", "correct the dose's date or the birth date"
)
_NO_DOSE_DATE = "dose-date-missing"
_REMEMBERED = 2048
_CLINICS = 32
_VALUES = 4_096
"""Values of elements that are remembered for all clinics together."""


@dataclass(frozen=True, slots=True)
class DoseGroup:
    """The doses that a row may hold in one group of columns; without `when`, a row is always one dose.

    `columns` are all that its elements read, `conditions` those that `when` reads.
    """

    name: str
    when: Read | None
    elements: tuple[Element, ...]
    columns: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


class KeyReader(NamedTuple):
    """A part of the key: the cell, or what a function makes of it where it can be read.

    `of_person` says that its columns are all the person's, so that it is the same in all rows of a person.
    """

    cell: Read
    evaluate: Evaluate | None
    columns: tuple[str, ...]
    of_person: bool = False


class _Person(NamedTuple):
    """What a row's cells said of the person, and the parts of the key that they make."""

    patient: Resource
    fingerprint: str
    content_id: str
    key_parts: tuple[str, ...]
    nik_cells: tuple[tuple[str, str], ...]
    birth_date: str
    gender: str
    name: PersonName | None
    problems: tuple[Problem, ...]
    unmapped: tuple[UnmappedValue, ...]


class _Clinic:
    """Whose record it is, with the facts of a row of it and what is known of its elements' values.

    One row's facts at a time: whoever begins with a row forgets those of the one before it.
    """

    __slots__ = ("clinic", "display", "doses", "facts", "meta", "patient")

    def __init__(self, mapping: "CompiledMapping", context: ConversionContext, named: str) -> None:
        self.clinic = context.clinic or _clinic_id(named) or mapping.name
        self.display = " ".join(named.split()) or self.clinic
        safe = uri_safe(self.clinic)
        self.meta: Resource = {"source": f"{systems.SOURCE}:{safe}:{mapping.name}"}
        today = context.today.isoformat()
        self.facts = Facts(context, today, self.clinic, self.display, safe, frozenset())
        spend = mapping.memory.spend
        self.patient = Elements(mapping.patient, spend)
        self.doses = tuple([(group, Elements(group.elements, spend)) for group in mapping.doses])


class _Row(NamedTuple):
    """A row on its way, what its cells say beside the person, and its clinic."""

    record: SourceRecord
    cells: Cells
    clinic: _Clinic


_Asked = tuple[str, frozenset[str], tuple[str | None, ...]]
"""All that the reading of a person depends on: the clinic's name, the columns with numbers, and the cells."""


class _Memory:
    """The people and clinics that were read lately, of one context: another may have another day or other clinics."""

    def __init__(self) -> None:
        self.context: ConversionContext | None = None
        self.forget()

    def begin(self, context: ConversionContext) -> None:
        self.context = context
        self.forget()

    def forget(self) -> None:
        self.people: Recent[_Asked, _Person] = Recent(_REMEMBERED)
        self._forget_clinics()

    def _forget_clinics(self) -> None:
        self.clinics: Recent[str, _Clinic] = Recent(_CLINICS)
        self._values_left = _VALUES

    def spend(self) -> None:
        """Note that one more value of an element is remembered; when they are too many, all are forgotten."""
        self._values_left -= 1
        if self._values_left <= 0:
            self._forget_clinics()


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping, ready to convert records; `layout` tells a source what to expect of a file.

    `person_columns` tell all of the person, `row_columns` are read in every row beside them and beside those of doses that a
    row may have; in `conditions` a value that a spreadsheet lost still says that there is one; without those `needed` (the key,
    the clinic, a NIK, what is required) a row says too little.
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
    row_columns: tuple[str, ...]
    conditions: frozenset[str]
    needed: frozenset[str] = frozenset()
    memory: _Memory = field(default_factory=_Memory, compare=False, repr=False)

    def forget(self) -> None:
        """Forget the rows that were converted lately; for who has read a file and goes on to other work."""
        self.memory.forget()

    @property
    def wide(self) -> bool:
        """Whether a row may hold several doses."""
        return any(group.name for group in self.doses)

    def convert(self, record: SourceRecord, context: ConversionContext) -> Converted | Rejected:
        """Convert a record; never raises for what stands in it. A row with bad and good doses keeps the good ones."""
        return self.convert_all((record,), context)[0]

    def convert_all(self, records: Sequence[SourceRecord], context: ConversionContext) -> list[Converted | Rejected]:
        """Convert records as `convert` does, all of them leg by leg: what a leg needs stays in the processor's caches."""
        if context is not self.memory.context:
            self.memory.begin(context)
        rows = [self._begin(record, context) for record in records]
        people = [self._person(row) for row in rows]
        keys = [self._key(row, person) for row, person in zip(rows, people, strict=True)]
        return [self._finish(row, person, *key) for row, person, key in zip(rows, people, keys, strict=True)]

    def _begin(self, record: SourceRecord, context: ConversionContext) -> _Row:
        cells = self._said(self.row_columns, record.cells) if self.row_columns else {}
        named = self.clinic(cells) if self.clinic and not context.clinic else ""
        clinics = self.memory.clinics
        clinic = clinics.get(named) or clinics.keep(named, _Clinic(self, context, named))
        return _Row(record, cells, clinic)

    def _finish(self, row: _Row, person: _Person, key: str, corrected: bool) -> Converted | Rejected:  # noqa: FBT001 - the second of a pair
        record, cells, clinic = row
        if record.lost and (lost := self._lost_for_all(record.lost)):
            return Rejected(record.ref, lost, key if corrected else "", nik_cells=person.nik_cells)
        facts = clinic.facts
        facts.start_row(record.numeric)
        facts.birth_date, facts.gender, facts.name = person.birth_date, person.gender, person.name
        doses, missing = self._doses(record, cells, clinic, key)
        unmapped = (*person.unmapped, *facts.unmapped)
        problems = person.problems
        if missing and not self.wide:
            problems = (*problems, *(one.problem for one in missing))
        if problems:
            return Rejected(record.ref, tuple(dict.fromkeys(problems)), key, unmapped, person.nik_cells)
        return Converted(
            record.ref,
            key,
            clinic.clinic,
            person.patient,
            doses,
            missing,
            unmapped,
            corrected,
            person.nik_cells,
            person.fingerprint,
            person.content_id,
        )

    def _said(self, columns: tuple[str, ...], written: Mapping[str, str]) -> dict[str, str]:
        """Return what the columns say; a value that a spreadsheet lost says nothing, but as a dose's date that there is one."""
        cells = said_in(columns, written)
        if LOST.isdisjoint(cells.values()):
            return cells
        return {
            column: "" if text in LOST and column not in self.conditions else text for column, text in cells.items()
        }

    def _lost_for_all(self, lost: frozenset[str]) -> tuple[Problem, ...]:
        """Return the problems of lost cells without which the row says too little: of the key, a NIK, what is required."""
        return tuple([_lost(column) for column in self.columns if column in lost and column in self.needed])

    def _key(self, row: _Row, person: _Person) -> tuple[str, bool]:
        """Return the record's key, and whether the row itself carried it, from a report."""
        record, cells, clinic = row
        given, facts = record.cells.get(GATEWAY_KEY), clinic.facts
        if given and _KEY.fullmatch(given.strip()):
            return given.strip(), True
        of_person = iter(person.key_parts)
        parts = []
        for cell, evaluate, _, is_of_person in self.key:
            if is_of_person:
                parts.append(next(of_person))
            elif evaluate is None:
                parts.append(" ".join(cell(cells).casefold().split()))
            else:
                facts.start_row(record.numeric)  # what is wrong with a cell is told by the element that it belongs to
                parts.append(_key_part(cell, evaluate, cells, facts))
        return record_key(clinic=clinic.clinic, source=self.name, natural_key=tuple(parts)), False

    def _person(self, row: _Row) -> _Person:
        """Return the person; rows of one repeat, so what the same cells said lately is remembered."""
        written, clinic = row.record.cells, row.clinic
        asked = (clinic.display, row.record.numeric, tuple(map(written.get, self.person_columns)))
        people = self.memory.people
        return people.get(asked) or people.keep(asked, self._read_person(row))

    def _read_person(self, row: _Row) -> _Person:
        record, _, clinic = row
        written, facts = record.cells, clinic.facts
        cells = self._said(self.person_columns, written)
        facts.start_row(record.numeric)
        key_parts = tuple([_key_part(one.cell, one.evaluate, cells, facts) for one in self.key if one.of_person])
        facts.start_row(record.numeric)
        patient: Resource = {"resourceType": "Patient", "meta": clinic.meta}
        clinic.patient.fill(patient, cells, facts)
        _keep_originals(patient, facts.kept)
        problems = tuple(facts.problems)
        return _Person(
            patient,
            *(("", "") if problems else fingerprint_and_id(patient)),
            key_parts,
            tuple([(c, written[c]) for c in self.nik_columns if written.get(c, "").strip()]),
            facts.birth_date,
            facts.gender,
            facts.name,
            problems,
            tuple(facts.unmapped),
        )

    def _doses(
        self, record: SourceRecord, of_row: Cells, clinic: _Clinic, key: str
    ) -> tuple[tuple[Dose, ...], tuple[MissingDose, ...]]:
        written, lost, facts = record.cells, record.lost, clinic.facts
        doses: list[Dose] = []
        missing: list[MissingDose] = []
        for group, elements in clinic.doses:
            if lost and (cell := _lost_cell(group, record)):
                missing.append(MissingDose(group.name, _lost(cell)))
                continue
            if group.when is not None and not any(map(written.get, group.conditions)):
                continue  # the most usual case of a wide row
            cells = of_row if group.when is None else self._said(group.columns, written)
            if group.when is not None and not group.when(cells):
                continue
            facts.start_dose()
            resource: Resource = {"resourceType": "Immunization", "meta": clinic.meta}
            elements.fill(resource, cells, facts)
            if facts.kept:
                _keep_originals(resource, facts.kept)
            problems = _dose_problems(facts)
            if not problems:
                own = {"system": systems.DOSE, "value": dose_identifier(key, group.name)}
                resource["identifier"] = [own, *resource.get("identifier", ())]
                doses.append(Dose(group.name, resource))
            elif not (group.name and problems[0].code == _NO_DOSE_DATE):
                # In a wide row a date that says "not yet" is no dose; in a narrow one the row says nothing without it.
                missing += (MissingDose(group.name, problem) for problem in (problems[:1] if group.name else problems))
        return tuple(doses), tuple(missing)


def _dose_problems(facts: Facts) -> Sequence[Problem]:
    if facts.occurrence and facts.birth_date and facts.occurrence[:10] < facts.birth_date:
        facts.problems.append(_BEFORE_BIRTH)
    return sorted(facts.problems, key=lambda problem: problem.code != _NO_DOSE_DATE) if facts.problems else ()


def _lost_cell(group: DoseGroup, record: SourceRecord) -> str:
    """Return the first lost cell of a dose, "" where all cells have values, or where there is no dose."""
    if record.lost.isdisjoint(group.conditions) and group.when and not any(map(record.cells.get, group.conditions)):
        return ""
    return next((column for column in group.columns if column in record.lost), "")


def _lost(column: str) -> Problem:
    return Problem(
        "cell-formula",
        "the cell holds a formula whose value is not stored in the file",
        "open the file in a spreadsheet program and save it, or replace the formula by its value",
        column,
    )


def _keep_originals(resource: Resource, kept: Sequence[str]) -> None:
    if kept:
        resource["extension"] = [*resource.get("extension", ()), *(as_written(text) for text in kept)]


def _key_part(cell: Read, evaluate: Evaluate | None, cells: Cells, facts: Facts) -> str:
    value = evaluate(cells, facts) if evaluate is not None else None
    return value if isinstance(value, str) and value else " ".join(cell(cells).casefold().split())


def _clinic_id(display: str) -> str:
    """Return a clinic's id from its name in a column: the same for all spellings of case and blanks."""
    return "-".join(re.findall(r"\w+", display.casefold()))
