"""What a mapping function is, and what it may know of the row: the contract for built-in and installed functions.

A package adds functions by an entry point in the group `fhir_gateway.mapping_functions` that names a MappingFunction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import IntEnum
from typing import Any

from fhir_gateway.domain.records import Problem, UnmappedValue
from fhir_gateway.mapping.concept_maps import ConceptMap
from fhir_gateway.mapping.spellings import UNKNOWN_DOSE, DoseNumber
from fhir_gateway.people.names import PersonName

ENTRY_POINT_GROUP = "fhir_gateway.mapping_functions"


class Steadiness(IntEnum):
    """What decides a function's value beside the context and the clinic, so that it need not be worked out again.

    UNSTEADY: anything, and it may tell anything. All others tell no more than problems, kept and unmapped texts, `dose`, `not_done` and
    `of_row`. HEEDING: the texts and what was told of the row before. EACH: the same, and it has its usual value
    where none of the texts by itself makes another. AFTER: the same, and there is none where nothing was told before.
    SELDOM: the texts, which seldom repeat. STEADY: the texts.
    """

    UNSTEADY = 0
    HEEDING = 1
    EACH = 2
    AFTER = 3
    SELDOM = 4
    STEADY = 5


def steadiness_of(parts: Iterable[Steadiness]) -> Steadiness:
    """Return how steady a value is that is made of several."""
    least = min(parts, default=Steadiness.STEADY)
    return Steadiness.HEEDING if least in {Steadiness.EACH, Steadiness.AFTER} else least


@dataclass(frozen=True, slots=True)
class ClinicEntry:
    """What the environment says of a clinic; `reference` is its Organization on the server ("Organization/…") or ""."""

    name: str = ""
    identifier_system: str = ""
    identifier_value: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class ConversionContext:
    """What a conversion needs beside the row.

    `clinic` is the clinic's id where the operator named one (else ""), `clinics` what the environment says of clinics
    by id, `zone` the environment's time zone and `today` the day of the run.
    """

    zone: tzinfo
    today: date
    clinic: str = ""
    clinics: Mapping[str, ClinicEntry] = field(default_factory=dict)


@dataclass(slots=True)
class Facts:
    """What is known of a person or a dose so far; functions read it and add to it.

    Birth date, gender and name are evaluated before the rest of the Patient; status, date and vaccine of a dose before
    its rest. Dates are ISO texts. `kept` are original texts that would be lost otherwise, `problems` what is wrong.
    `of_row` is told where a value depended on the dose's date, so that it holds for this row alone.
    """

    context: ConversionContext
    today: str
    clinic: str
    clinic_display: str
    safe_clinic: str
    numeric: frozenset[str] = frozenset()
    name: PersonName | None = None
    birth_date: str = ""
    gender: str = ""
    occurrence: str = ""
    not_done: bool = False
    dose: DoseNumber = UNKNOWN_DOSE
    of_row: bool = False
    kept: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unmapped: list[UnmappedValue] = field(default_factory=list)

    @property
    def told(self) -> bool:
        """Whether functions have told something beside the values that they returned and the dose's number."""
        return bool(self.problems or self.kept or self.unmapped or self.not_done or self.of_row)


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a function is used: its options, its columns, the FHIR path, and what the mapping declares for all."""

    path: str
    columns: tuple[str, ...]
    options: Mapping[str, Any]
    formats: tuple[str, ...]
    maps: Mapping[str, ConceptMap]

    @property
    def subject(self) -> str:
        """The word for the path in the codes of problems, as `birth-date`."""
        return _SUBJECTS.get(self.path) or self.path.rpartition(".")[2].lower()

    def problem(self, code: str, text: str, suggestion: str = "") -> Problem:
        """Return a problem that blames the first column."""
        return Problem(code, text, suggestion, self.columns[0] if self.columns else "")


_SUBJECTS = {
    "Patient.birthDate": "birth-date",
    "Patient.name": "name",
    "Immunization.occurrenceDateTime": "dose-date",
    "Immunization.expirationDate": "expiry-date",
    "Immunization.vaccineCode": "vaccine",
}

Apply = Callable[[tuple[str, ...], Facts], Any]
"""Texts of the columns (stripped, "" where empty) and the facts → a FHIR value, a list of them, None, or a Problem."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a function: kind is text, flag, list or any; `choices` where only some values are right."""

    kind: str = "text"
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MappingFunction:
    """A named pure function: `build` is called once for each use and returns what is applied to every row.

    `free_options` says that any key may stand among the options; `needs_columns` that it makes no sense without one;
    `columns` how many it reads, 0 for any number; `for_each_column` names the option that has an entry for each of several;
    `nik` says that its columns hold NIKs, `sex` that they hold letters for one, `date` that a number in them is a spreadsheet's day. `steadiness` says which values
    may be remembered. `makes` names the FHIR types of its values, () where they may be of any.
    """

    name: str
    summary: str
    build: Callable[[Setup], Apply]
    options: Mapping[str, Option] = field(default_factory=dict)
    free_options: bool = False
    needs_columns: bool = True
    columns: int = 0
    for_each_column: str = ""
    nik: bool = False
    sex: bool = False
    steadiness: Steadiness = Steadiness.UNSTEADY
    date: bool = False
    makes: tuple[str, ...] = ()
