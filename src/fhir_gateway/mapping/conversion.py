"""A compiled mapping at work: one row in, a Patient with its doses out, or the reasons why not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from fhir_gateway.domain import systems
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
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.general_functions import uri_safe
from fhir_gateway.mapping.person_functions import as_written
from fhir_gateway.mapping.values import LOST, Cells, Evaluate, Read, said
from fhir_gateway.people.names import PersonName

GATEWAY_KEY = "gateway_key"
_KEY = re.compile(r"[0-9a-f]{32}")
_BEFORE_BIRTH = Problem(
    "dose-before-birth", "the dose lies before the birth", "correct the dose's date or the birth date"
)
_NO_DOSE_DATE = "dose-date-missing"
_REMEMBERED = 2048


class Element(NamedTuple):
    """An element of a resource and what makes its value; a tuple, for it is unpacked for every row."""

    name: str
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class DoseGroup:
    """The doses that a row may hold in one group of columns; without `when`, a row is always one dose."""

    name: str
    when: Read | None
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class KeyReader:
    """A part of the key: the cell, or what a function makes of it where it can be read."""

    cell: Read
    evaluate: Evaluate | None = None


@dataclass(frozen=True, slots=True)
class _Clinic:
    clinic: str
    display: str
    safe: str
    source: str


@dataclass(frozen=True, slots=True)
class _Person:
    """What a row's cells said of the person."""

    text: str
    birth_date: str
    gender: str
    name: PersonName | None
    problems: tuple[Problem, ...]
    unmapped: tuple[UnmappedValue, ...]


class _Memory:
    """The people that were read lately; a bounded cache, forgotten when the context changes."""

    def __init__(self) -> None:
        self._context: ConversionContext | None = None
        self._people: dict[tuple[object, ...], _Person] = {}

    def recall(self, asked: tuple[object, ...], context: ConversionContext) -> _Person | None:
        if context is not self._context or len(self._people) >= _REMEMBERED:
            self._context, self._people = context, {}
        return self._people.get(asked)

    def keep(self, asked: tuple[object, ...], person: _Person) -> None:
        self._people[asked] = person


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping, ready to convert records; `layout` tells a source what to expect of a file."""

    name: str
    title: str
    layout: Layout
    key: tuple[KeyReader, ...]
    clinic: Read | None
    patient: tuple[Element, ...]
    doses: tuple[DoseGroup, ...]
    nik_columns: tuple[str, ...]
    columns: tuple[str, ...]
    patient_columns: tuple[str, ...]
    conditions: frozenset[str]
    memory: _Memory = field(default_factory=_Memory, compare=False, repr=False)

    @property
    def wide(self) -> bool:
        """Whether a row may hold several doses."""
        return any(group.name for group in self.doses)

    def convert(self, record: SourceRecord, context: ConversionContext) -> Converted | Rejected:
        """Convert a record; never raises for what stands in it. A row with bad and good doses keeps the good ones."""
        written = record.cells
        cells = {column: said(written.get(column, "")) for column in self.columns}
        if not LOST.isdisjoint(cells.values()):
            # A lost value says nothing; but that there is a dose is still said by its lost date.
            cells = {
                column: "" if text in LOST and column not in self.conditions else text for column, text in cells.items()
            }
        clinic = self._clinic(cells, context)
        facts = Facts(context, context.today.isoformat(), clinic.clinic, clinic.display, clinic.safe, record.numeric)
        key, corrected = self._key(written.get(GATEWAY_KEY, ""), cells, facts)
        nik_cells = tuple((column, written[column]) for column in self.nik_columns if written.get(column, "").strip())
        patient = self._patient(cells, facts, clinic)
        problems = facts.problems
        doses, missing = self._doses(cells, facts, key, clinic)
        if not self.wide:
            problems = [*problems, *(one.problem for one in missing)]
        if problems:
            return Rejected(record.ref, tuple(dict.fromkeys(problems)), key, tuple(facts.unmapped), nik_cells)
        return Converted(
            ref=record.ref,
            key=key,
            clinic=clinic.clinic,
            patient=patient,
            doses=doses,
            missing=missing,
            unmapped=tuple(facts.unmapped),
            corrected=corrected,
            nik_cells=nik_cells,
        )

    def _clinic(self, cells: Cells, context: ConversionContext) -> _Clinic:
        named = self.clinic(cells) if self.clinic and not context.clinic else ""
        return _identify_clinic(context.clinic, named, self.name)

    def _key(self, given: str, cells: Cells, facts: Facts) -> tuple[str, bool]:
        if given and _KEY.fullmatch(given.strip()):
            return given.strip(), True
        parts = tuple([_key_part(reader, cells, facts) for reader in self.key])
        if facts.problems:
            facts.problems = []  # what is wrong with a cell is told by the element that it belongs to
        return record_key(clinic=facts.clinic, source=self.name, natural_key=parts), False

    def _patient(self, cells: Cells, facts: Facts, clinic: _Clinic) -> Resource:
        """Return the Patient; rows of one person repeat, so what the same cells said lately is remembered."""
        asked = (clinic, facts.numeric, *[cells[column] for column in self.patient_columns])
        person = self.memory.recall(asked, facts.context)
        if person is None:
            person = self._read_person(cells, facts, clinic)
            self.memory.keep(asked, person)
        facts.birth_date, facts.gender, facts.name = person.birth_date, person.gender, person.name
        facts.problems = list(person.problems)
        facts.unmapped = list(person.unmapped)
        patient: Resource = orjson.loads(person.text)  # a new one each time: no two records share a part
        return patient

    def _read_person(self, cells: Cells, facts: Facts, clinic: _Clinic) -> _Person:
        patient: Resource = {"resourceType": "Patient", "meta": {"source": clinic.source}}
        for name, evaluate in self.patient:
            value = evaluate(cells, facts)
            if value is not None:
                patient[name] = value
                if name == "birthDate":
                    facts.birth_date = value
        _keep_originals(patient, facts.kept)
        problems, unmapped = tuple(facts.problems), tuple(facts.unmapped)
        text = orjson.dumps(patient).decode()  # bytes of orjson keep a larger buffer alive
        return _Person(text, facts.birth_date, facts.gender, facts.name, problems, unmapped)

    def _doses(
        self, cells: Cells, facts: Facts, key: str, clinic: _Clinic
    ) -> tuple[tuple[Dose, ...], tuple[MissingDose, ...]]:
        doses: list[Dose] = []
        missing: list[MissingDose] = []
        for group in self.doses:
            if group.when is not None and not group.when(cells):
                continue
            facts.start_dose()
            resource = _dose(group.elements, cells, facts, clinic.source)
            problems = _dose_problems(resource, facts)
            if not problems:
                own = {"system": systems.DOSE, "value": dose_identifier(key, group.name)}
                resource["identifier"] = [own, *resource.get("identifier", ())]
                doses.append(Dose(group.name, resource))
            elif not (group.name and problems[0].code == _NO_DOSE_DATE):
                # In a wide row a date that says "not yet" is no dose; in a narrow one the row says nothing without it.
                missing += (MissingDose(group.name, problem) for problem in (problems[:1] if group.name else problems))
        return tuple(doses), tuple(missing)


def _dose(elements: tuple[Element, ...], cells: Cells, facts: Facts, source: str) -> Resource:
    dose: Resource = {"resourceType": "Immunization", "meta": {"source": source}}
    for name, evaluate in elements:
        value = evaluate(cells, facts)
        if value is not None:
            dose[name] = value
            if name == "occurrenceDateTime":
                facts.occurrence = value
    _keep_originals(dose, facts.kept)
    return dose


def _dose_problems(dose: Resource, facts: Facts) -> Sequence[Problem]:
    occurrence: Any = dose.get("occurrenceDateTime")
    if occurrence and facts.birth_date and occurrence[:10] < facts.birth_date:
        facts.problems.append(_BEFORE_BIRTH)
    return sorted(facts.problems, key=lambda problem: problem.code != _NO_DOSE_DATE) if facts.problems else ()


def _keep_originals(resource: Resource, kept: Sequence[str]) -> None:
    if kept:
        resource["extension"] = [*resource.get("extension", ()), *(as_written(text) for text in kept)]


def _key_part(reader: KeyReader, cells: Cells, facts: Facts) -> str:
    if reader.evaluate is not None:
        value = reader.evaluate(cells, facts)
        if isinstance(value, str) and value:
            return value
    return " ".join(reader.cell(cells).casefold().split())


@lru_cache(maxsize=1024)
def _identify_clinic(given: str, named: str, mapping: str) -> _Clinic:
    """Return whose record it is: the operator's word goes first, then the mapping's clinic column, then its name."""
    clinic = given or _clinic_id(named) or mapping
    safe = uri_safe(clinic)
    return _Clinic(clinic, " ".join(named.split()) or clinic, safe, f"{systems.SOURCE}:{safe}:{mapping}")


def _clinic_id(display: str) -> str:
    """Return a clinic's id from its name in a column: the same for all spellings of case and blanks."""
    return "-".join(re.findall(r"\w+", display.casefold()))
