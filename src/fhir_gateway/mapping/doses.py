"""The doses of some rows of a clinic: one group of columns after the other, one element of all rows after the other."""

from collections.abc import Iterable, Sequence
from itertools import compress, count, repeat
from operator import is_
from typing import Any, NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import (
    Dose,
    MissingDose,
    Problem,
    Resource,
    SourceRecord,
    UnmappedValue,
    dose_identifiers,
    maker,
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
_GIVEN = "completed"
_OF_A_GIVEN_DOSE = ("expirationDate", "doseQuantity", "site", "route")
"""What nobody may read of a dose that was refused: its functions leave out lot and dose number themselves."""
_NO_DOSE_DATE = "dose-date-missing"
_dose = maker(Dose)


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


class Rows(NamedTuple):
    """Some rows of a clinic whose people and keys are known."""

    records: Sequence[SourceRecord]
    people: Sequence[Person]
    keys: Sequence[str]
    columns: Columns

    def chosen(self, places: Sequence[int]) -> "Rows":
        """Return the rows at these places."""
        if len(places) == len(self.records):
            return self
        records = [self.records[place] for place in places]
        people, keys = [self.people[place] for place in places], [self.keys[place] for place in places]
        return Rows(records, people, keys, self.columns.of([record.cells for record in records]))


class Told:
    """What rows tell of their doses, by the rows' places."""

    __slots__ = ("doses", "missing", "unmapped")

    def __init__(self, count: int) -> None:
        self.doses: list[tuple[Dose, ...]] = [()] * count
        self.missing: dict[int, list[MissingDose]] = {}
        self.unmapped: dict[int, list[UnmappedValue]] = {}

    def miss(self, place: int, name: str, problem: Problem) -> None:
        """Note a dose of a row that there cannot be."""
        self.missing.setdefault(place, []).append(MissingDose(name, problem))


class _DoseRows:
    """Rows with a dose each in one group of columns (elements.Rows).

    `_of_all` are the elements by name, in their order, each with its value where all rows have the same; `_values` are those of the others.
    """

    def __init__(self, clinic: Clinic, rows: Rows) -> None:
        count = len(rows.records)
        self.rows = rows
        self.columns = rows.columns
        self.doses = [UNKNOWN_DOSE] * count
        self.told: dict[int, Facts] = {}
        self.dates: list[Any] = [None] * count
        self._of_all: Resource = {"resourceType": "Immunization", "meta": clinic.meta}
        self._values: dict[str, list[Any]] = {}
        self._clinic = clinic

    def facts(self, place: int) -> Facts:
        if place in self.told:
            return self.told[place]
        person = self.rows.people[place]
        facts = self._clinic.facts(self.rows.records[place].numeric)
        facts.birth_date, facts.gender, facts.name = person.birth_date, person.gender, person.name
        facts.occurrence = self.dates[place] or ""
        facts.dose = self.doses[place]
        return facts

    def made(self, name: str, values: list[Any]) -> None:
        first = values[0]
        if not all(map(is_, values, repeat(first))):
            self._values[name] = values
        elif first is None:
            return
        self._of_all[name] = first
        if name == "occurrenceDateTime":
            self.dates = values
            for place, facts in self.told.items():
                facts.occurrence = values[place] or ""

    def resources(self) -> list[Resource]:
        """Return the rows' resources, with the original texts that were told."""
        made = [self._of_all.copy() for _ in self.rows.records]
        for name, values in self._values.items():
            for resource, value in zip(made, values, strict=True):
                if value is None:
                    del resource[name]
                else:
                    resource[name] = value
        for place, facts in self.told.items():
            keep_originals(made[place], facts.kept)
            if facts.not_done:
                for name in _OF_A_GIVEN_DOSE:
                    made[place].pop(name, None)
        return made

    def problems(self) -> dict[int, Sequence[Problem]]:
        """Return what is wrong with rows' doses, by place; that there is no date comes first."""
        born = [person.birth_date for person in self.rows.people]
        dates = enumerate(zip(self.dates, born, strict=True))
        found: dict[int, Sequence[Problem]] = {
            place: (_BEFORE_BIRTH,) for place, (date, birth) in dates if date and date[:10] < birth
        }
        for place, facts in self.told.items():
            if facts.problems:
                problems = (*facts.problems, *found.get(place, ()))
                found[place] = sorted(problems, key=lambda problem: problem.code != _NO_DOSE_DATE)
        return found


def tell_doses(clinic: Clinic, rows: Rows) -> Told:
    """Return what has become of the rows' doses."""
    told = Told(len(rows.records))
    with_lost = [(place, record) for place, record in enumerate(rows.records) if record.lost]
    for group, elements in clinic.doses:
        lost = {place: cell for place, record in with_lost if (cell := _lost_cell(group, record))}
        for place, cell in lost.items():
            told.miss(place, group.name, lost_cell(cell))
        places = [place for place in _with_dose(group, rows) if place not in lost]
        if places:
            dose_rows = _DoseRows(clinic, rows.chosen(places))
            elements.fill(dose_rows)
            _tell(group, dose_rows, places, told)
    return told


def _with_dose(group: DoseGroup, rows: Rows) -> Iterable[int]:
    """Return the places of rows that have a dose in these columns."""
    if not group.conditions:
        return range(len(rows.records))
    filled = [any(texts) for texts in zip(*[rows.columns[name] for name in group.conditions], strict=True)]
    return compress(count(), filled)


def _tell(group: DoseGroup, dose_rows: _DoseRows, places: Sequence[int], told: Told) -> None:
    """Note what has become of the rows that have a dose in a group of columns; `places` are theirs among all rows."""
    problems = dose_rows.problems()
    for number, facts in dose_rows.told.items():
        if facts.unmapped:
            told.unmapped.setdefault(places[number], []).extend(facts.unmapped)
    identifiers = dose_identifiers(dose_rows.rows.keys, group.name)
    made = zip(places, dose_rows.resources(), identifiers, strict=True)
    statuses = dose_rows.columns[group.status_column] if group.status_column else None
    for number, (place, resource, identifier) in enumerate(made):
        if number not in problems:
            own = {"system": systems.DOSE, "value": identifier}
            resource["identifier"] = [own, *resource["identifier"]] if "identifier" in resource else [own]
            assumed = statuses is not None and not statuses[number] and resource.get("status") == _GIVEN
            told.doses[place] += (_dose((group.name, resource, assumed)),)
        elif not (group.name and problems[number][0].code == _NO_DOSE_DATE):
            # In a wide row a date that says "not yet" is no dose; in a narrow one the row says nothing without it.
            for each in problems[number][:1] if group.name else problems[number]:
                told.miss(place, group.name, each)


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
