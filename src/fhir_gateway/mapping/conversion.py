"""A compiled mapping at work: one row in, a Patient with its doses out, or the reasons why not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    dose_identifier,
    record_key,
)
from fhir_gateway.mapping.functions import ConversionContext, Facts
from fhir_gateway.mapping.general_functions import uri_safe
from fhir_gateway.mapping.person_functions import as_written
from fhir_gateway.mapping.values import Cells, Evaluate, Read

GATEWAY_KEY = "gateway_key"
_KEY = re.compile(r"[0-9a-f]{32}")
_BEFORE_BIRTH = Problem("dose-before-birth", "the dose lies before the birth", "correct the dose's date or the birth date")
_NO_DOSE_DATE = "dose-date-missing"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a resource and what makes its value."""

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

    @property
    def wide(self) -> bool:
        """Whether a row may hold several doses."""
        return any(group.name for group in self.doses)

    def convert(self, record: SourceRecord, context: ConversionContext) -> Converted | Rejected:
        """Convert a record; never raises for what stands in it. A row with bad and good doses keeps the good ones."""
        cells = record.cells
        clinic = self._clinic(cells, context)
        facts = Facts(context, context.today.isoformat(), clinic.clinic, clinic.display, clinic.safe, record.numeric)
        key, corrected = self._key(cells, facts)
        nik_cells = tuple((column, cells[column]) for column in self.nik_columns if cells.get(column, "").strip())
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
        if context.clinic:
            clinic, display = context.clinic, ""
        else:
            display = self.clinic(cells) if self.clinic else ""
            clinic = _clinic_id(display) or self.name
        safe = uri_safe(clinic)
        return _Clinic(clinic, display or clinic, safe, f"{systems.SOURCE}:{safe}:{self.name}")

    def _key(self, cells: Cells, facts: Facts) -> tuple[str, bool]:
        given = cells.get(GATEWAY_KEY, "").strip()
        if _KEY.fullmatch(given):
            return given, True
        parts = tuple(_key_part(reader, cells, facts) for reader in self.key)
        facts.problems = []  # what is wrong with a cell is told by the element that it belongs to
        return record_key(clinic=facts.clinic, source=self.name, natural_key=parts), False

    def _patient(self, cells: Cells, facts: Facts, clinic: _Clinic) -> Resource:
        patient: Resource = {"resourceType": "Patient", "meta": {"source": clinic.source}}
        for element in self.patient:
            value = element.evaluate(cells, facts)
            if value is not None:
                patient[element.name] = value
                if element.name == "birthDate":
                    facts.birth_date = value
        _keep_originals(patient, facts.kept)
        return patient

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
    for element in elements:
        value = element.evaluate(cells, facts)
        if value is not None:
            dose[element.name] = value
            if element.name == "occurrenceDateTime":
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


def _clinic_id(display: str) -> str:
    """Return a clinic's id from its name in a column: the same for all spellings of case and blanks."""
    return "-".join(re.findall(r"\w+", display.casefold()))
