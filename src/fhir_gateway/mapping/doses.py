"""The doses of some rows of a clinic: one group of columns after the other, one element of all rows after the other."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import (
    Dose,
    MissingDose,
    Problem,
    Resource,
    SourceRecord,
    UnmappedValue,
    dose_identifier,
)
from fhir_gateway.mapping.clinics import Clinic, DoseGroup
from fhir_gateway.mapping.columns import Columns
from fhir_gateway.mapping.functions import Facts
from fhir_gateway.mapping.general_functions import as_written
from fhir_gateway.mapping.spellings import UNKNOWN_DOSE
from fhir_gateway.people.names import PersonName

_BEFORE_BIRTH = Problem(
    "dose-before-birth", "the dose lies before the birth", "correct the dose's date or the birth date"
)
_NO_DOSE_DATE = "dose-date-missing"


class Person(NamedTuple):
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


class Row(NamedTuple):
    """A row whose person and key are known, and what it tells of its doses."""

    record: SourceRecord
    person: Person
    key: str
    doses: list[Dose]
    missing: list[MissingDose]
    unmapped: list[UnmappedValue]


class _DoseRows:
    """Rows with a dose each in one group of columns (elements.Rows); `values` are the elements' by name, in their order."""

    def __init__(self, clinic: Clinic, columns: Columns, rows: Sequence[Row]) -> None:
        count = len(rows)
        self.rows = rows
        self.columns = columns
        self.doses = [UNKNOWN_DOSE] * count
        self.told: dict[int, Facts] = {}
        self.blank = clinic.facts()
        self.values: dict[str, list[Any]] = {"resourceType": ["Immunization"] * count, "meta": [clinic.meta] * count}
        self.dates: list[Any] = [None] * count
        self._clinic = clinic

    def facts(self, place: int) -> Facts:
        if place in self.told:
            return self.told[place]
        record, person, *_ = self.rows[place]
        facts = self._clinic.facts(record.numeric)
        facts.birth_date, facts.gender, facts.name = person.birth_date, person.gender, person.name
        facts.occurrence = self.dates[place] or ""
        facts.dose = self.doses[place]
        return facts

    def made(self, name: str, values: list[Any]) -> None:
        if values.count(None) == len(values):
            return
        self.values[name] = values
        if name == "occurrenceDateTime":
            self.dates = values
            for place, facts in self.told.items():
                facts.occurrence = values[place] or ""


def tell_doses(clinic: Clinic, rows: Sequence[Row], columns: Columns) -> None:
    """Note in the rows what has become of their doses; `columns` are the rows'."""
    for group, elements in clinic.doses:
        chosen = _with_dose(group, rows, columns)
        if chosen:
            of_chosen = columns if len(chosen) == len(rows) else columns.of([row.record.cells for row in chosen])
            dose_rows = _DoseRows(clinic, of_chosen, chosen)
            elements.fill(dose_rows)
            _end(group, dose_rows)


def _with_dose(group: DoseGroup, rows: Sequence[Row], columns: Columns) -> Sequence[Row]:
    """Return the rows that have a dose in these columns; where a cell of it was lost, that is told instead."""
    texts = zip(*[columns[name] for name in group.conditions], strict=True) if group.conditions else repeat(("always",))
    chosen = []
    for row, of_row in zip(rows, texts, strict=False):
        record = row.record
        if record.lost and (cell := _lost_cell(group, record)):
            row.missing.append(MissingDose(group.name, lost_cell(cell)))
        elif any(of_row):
            chosen.append(row)
    return chosen


def _end(group: DoseGroup, dose_rows: _DoseRows) -> None:
    names = tuple(dose_rows.values)
    all_values = zip(*dose_rows.values.values(), strict=True)
    for place, (row, date, values) in enumerate(zip(dose_rows.rows, dose_rows.dates, all_values, strict=True)):
        resource = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        problems: Sequence[Problem] = (_BEFORE_BIRTH,) if date and date[:10] < row.person.birth_date else ()
        if place in dose_rows.told:
            facts = dose_rows.told[place]
            keep_originals(resource, facts.kept)
            row.unmapped.extend(facts.unmapped)
            problems = sorted((*facts.problems, *problems), key=lambda problem: problem.code != _NO_DOSE_DATE)
        if not problems:
            own = {"system": systems.DOSE, "value": dose_identifier(row.key, group.name)}
            resource["identifier"] = [own, *resource.get("identifier", ())]
            row.doses.append(Dose(group.name, resource))
        elif not (group.name and problems[0].code == _NO_DOSE_DATE):
            # In a wide row a date that says "not yet" is no dose; in a narrow one the row says nothing without it.
            row.missing.extend(MissingDose(group.name, each) for each in (problems[:1] if group.name else problems))


def _lost_cell(group: DoseGroup, record: SourceRecord) -> str:
    """Return the first lost cell of a dose, "" where all cells have values, or where there is no dose."""
    conditions = group.conditions
    if record.lost.isdisjoint(conditions) and conditions and not any(map(record.cells.get, conditions)):
        return ""
    return next((column for column in group.columns if column in record.lost), "")


def lost_cell(column: str) -> Problem:
    """Return what is wrong with a cell whose value was lost."""
    return Problem(
        "cell-formula",
        "the cell holds a formula whose value is not stored in the file",
        "open the file in a spreadsheet program and save it, or replace the formula by its value",
        column,
    )


def keep_originals(resource: Resource, kept: Sequence[str]) -> None:
    """Keep original texts in a resource in the making."""
    if kept:
        resource["extension"] = [*resource.get("extension", ()), *(as_written(text) for text in kept)]
