"""A compiled mapping at work: one row in, a Patient with its doses out, or the reasons why not."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from fhir_gateway.mapping.elements import Begun, Element, Elements
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.general_functions import uri_safe
from fhir_gateway.mapping.person_functions import as_written
from fhir_gateway.mapping.values import LOST, Cells, Evaluate, Read, said_in
from fhir_gateway.people.names import PersonName

GATEWAY_KEY = "gateway_key"
_IS_KEY = re.compile(r"[0-9a-f]{32}")
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


class _Key(NamedTuple):
    """A record's key; `given` says that the row itself carried it, from a report."""

    value: str
    given: bool


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
    """Whose record it is, and what is known of its elements' values."""

    __slots__ = ("clinic", "context", "display", "doses", "meta", "patient", "safe", "today")

    def __init__(self, mapping: "CompiledMapping", context: ConversionContext, named: str) -> None:
        self.context = context
        self.today = context.today.isoformat()
        self.clinic = context.clinic or _clinic_id(named) or mapping.name
        self.display = " ".join(named.split()) or self.clinic
        self.safe = uri_safe(self.clinic)
        self.meta: Resource = {"source": f"{systems.SOURCE}:{self.safe}:{mapping.name}"}
        spend = mapping.memory.spend
        # People are remembered as a whole; their elements' values seldom are another's, too.
        self.patient = Elements([element._replace(columns=None) for element in mapping.patient], spend)
        self.doses = tuple([(group, Elements(group.elements, spend)) for group in mapping.doses])

    def facts(self, numeric: frozenset[str]) -> Facts:
        """Return what is known of a row before anything of it was read."""
        return Facts(self.context, self.today, self.clinic, self.display, self.safe, numeric)


class _Row(NamedTuple):
    """A row on its way, what its cells say beside the person, and its clinic."""

    record: SourceRecord
    cells: Cells
    clinic: _Clinic


class _Told(NamedTuple):
    """What a row told of its doses."""

    doses: list[Dose]
    missing: list[MissingDose]
    unmapped: list[UnmappedValue]


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
        of_clinics: dict[_Clinic, list[_Row]] = {}
        for row in rows:
            of_clinics.setdefault(row.clinic, []).append(row)
        results = {clinic: self._convert(clinic, its_rows) for clinic, its_rows in of_clinics.items()}
        return [next(results[row.clinic]) for row in rows]

    def _begin(self, record: SourceRecord, context: ConversionContext) -> _Row:
        cells = self._said(self.row_columns, record.cells) if self.row_columns else {}
        named = self.clinic(cells) if self.clinic and not context.clinic else ""
        clinics = self.memory.clinics
        clinic = clinics.get(named) or clinics.keep(named, _Clinic(self, context, named))
        return _Row(record, cells, clinic)

    def _convert(self, clinic: _Clinic, rows: Sequence[_Row]) -> Iterator[Converted | Rejected]:
        """Convert rows of one clinic."""
        people = self._people(clinic, rows)
        keys = list(map(self._key, rows, people))
        told = self._doses(clinic, rows, people, keys)
        return map(self._finish, rows, people, keys, told)

    def _finish(self, row: _Row, person: _Person, key: _Key, told: _Told) -> Converted | Rejected:
        record, value = row.record, key.value
        if record.lost and (lost := self._lost_for_all(record.lost)):
            return Rejected(record.ref, lost, value if key.given else "", nik_cells=person.nik_cells)
        doses, missing = tuple(told.doses), tuple(told.missing)
        unmapped = (*person.unmapped, *told.unmapped)
        problems = person.problems
        if missing and not self.wide:
            problems = (*problems, *(one.problem for one in missing))
        if problems:
            return Rejected(record.ref, tuple(dict.fromkeys(problems)), value, unmapped, person.nik_cells)
        return Converted(
            record.ref,
            value,
            row.clinic.clinic,
            person.patient,
            doses,
            missing,
            unmapped,
            key.given,
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

    def _key(self, row: _Row, person: _Person) -> _Key:
        """Return the record's key: the one that the row itself carries, from a report, else of its cells."""
        record, cells, clinic = row
        given = record.cells.get(GATEWAY_KEY)
        if given and _IS_KEY.fullmatch(given.strip()):
            return _Key(given.strip(), given=True)
        of_person = iter(person.key_parts)
        parts = tuple([next(of_person) if one.of_person else _key_part(one, row, cells) for one in self.key])
        return _Key(record_key(clinic=clinic.clinic, source=self.name, natural_key=parts), given=False)

    def _people(self, clinic: _Clinic, rows: Sequence[_Row]) -> list[_Person]:
        """Return the rows' people; rows of one repeat, so what the same cells said lately is remembered."""
        columns, recent = self.person_columns, self.memory.people
        asked = [(clinic.display, record.numeric, tuple(map(record.cells.get, columns))) for record, _, _ in rows]
        known = list(map(recent.get, asked))
        new = {one: row for one, row, person in zip(asked, rows, known, strict=True) if person is None}
        people = dict(zip(new, self._read_people(clinic, new.values()), strict=True))
        for one, person in people.items():
            recent.keep(one, person)
        return [person or people[one] for one, person in zip(asked, known, strict=True)]

    def _read_people(self, clinic: _Clinic, rows: Collection[_Row]) -> list[_Person]:
        begun = [
            Begun(
                {"resourceType": "Patient", "meta": clinic.meta},
                self._said(self.person_columns, row.record.cells),
                clinic.facts(row.record.numeric),
            )
            for row in rows
        ]
        clinic.patient.fill(begun)
        return list(map(self._person, rows, begun))

    def _person(self, row: _Row, begun: Begun) -> _Person:
        patient, cells, facts = begun
        written = row.record.cells
        _keep_originals(patient, facts.kept)
        return _Person(
            patient,
            *(("", "") if facts.problems else fingerprint_and_id(patient)),
            tuple([_key_part(one, row, cells) for one in self.key if one.of_person]),
            tuple([(c, written[c]) for c in self.nik_columns if written.get(c, "").strip()]),
            facts.birth_date,
            facts.gender,
            facts.name,
            tuple(facts.problems),
            tuple(facts.unmapped),
        )

    def _doses(
        self, clinic: _Clinic, rows: Sequence[_Row], people: Sequence[_Person], keys: Sequence[_Key]
    ) -> list[_Told]:
        told = [_Told([], [], []) for _ in rows]
        for group, elements in clinic.doses:
            of_rows = [
                self._begin_dose(group, row, person, its) for row, person, its in zip(rows, people, told, strict=True)
            ]
            elements.fill([begun for begun in of_rows if begun])
            for begun, key, its in zip(of_rows, keys, told, strict=True):
                if begun:
                    _end_dose(group, begun, key, its)
        return told

    def _begin_dose(self, group: DoseGroup, row: _Row, person: _Person, told: _Told) -> Begun | None:
        """Return a dose with its cells, None where the row has none in these columns, or lost a cell of it."""
        record, cells, clinic = row
        if record.lost and (cell := _lost_cell(group, record)):
            told.missing.append(MissingDose(group.name, _lost(cell)))
            return None
        if group.when is not None:
            if not any(map(record.cells.get, group.conditions)):
                return None  # the most usual case of a wide row
            cells = self._said(group.columns, record.cells)
            if not group.when(cells):
                return None
        facts = clinic.facts(record.numeric)
        facts.birth_date, facts.gender, facts.name = person.birth_date, person.gender, person.name
        facts.unmapped = told.unmapped
        return Begun({"resourceType": "Immunization", "meta": clinic.meta}, cells, facts)


def _end_dose(group: DoseGroup, begun: Begun, key: _Key, told: _Told) -> None:
    """Note what has become of a dose."""
    resource, _, facts = begun
    _keep_originals(resource, facts.kept)
    problems = _dose_problems(facts)
    if not problems:
        own = {"system": systems.DOSE, "value": dose_identifier(key.value, group.name)}
        resource["identifier"] = [own, *resource.get("identifier", ())]
        told.doses.append(Dose(group.name, resource))
    elif not (group.name and problems[0].code == _NO_DOSE_DATE):
        # In a wide row a date that says "not yet" is no dose; in a narrow one the row says nothing without it.
        told.missing.extend(MissingDose(group.name, problem) for problem in (problems[:1] if group.name else problems))


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


def _key_part(part: KeyReader, row: _Row, cells: Cells) -> str:
    value = None
    if part.evaluate is not None:
        # What is wrong with a cell is told by the element that it belongs to.
        value = part.evaluate(cells, row.clinic.facts(row.record.numeric))
    return value if isinstance(value, str) and value else " ".join(part.cell(cells).casefold().split())


def _clinic_id(display: str) -> str:
    """Return a clinic's id from its name in a column: the same for all spellings of case and blanks."""
    return "-".join(re.findall(r"\w+", display.casefold()))
