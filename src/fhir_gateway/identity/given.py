"""What lists say of doses: kept, put together, and held against birth dates.

One vial serves many children on one day, and twins share vaccine, day, lot and clinic, so that doses which agree tell
nothing of one family's children. What one clinic's list says twice tells more: see `repeats`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose, MissingDose, Resource
from fhir_gateway.domain.runs import ListedDose, ListedRow
from fhir_gateway.identity.doses import dose_number, local_date, lot_of
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.vaccines import codes_of, small_childrens

_WHOLE_DAY = len("2023-01-31")
_GROWN_UP_YEARS = 16
"""At this age nobody gets what only small children get, in no campaign either."""


@dataclass(frozen=True, slots=True)
class GivenDose:
    """A dose as a list has it: which clinic's list (`register`), CVX code, number in its series ("" unknown), ISO day.

    A register is one file; what a source tells in several files goes on as `SOURCE#FILE`.
    """

    register: str
    vaccine: str
    number: str
    day: str


class Vial(NamedTuple):
    """What a list says that all who came that day were given: its `register`, CVX code, ISO day, comparable lot."""

    register: str
    vaccine: str
    day: str
    lot: str


class Listed(NamedTuple):
    """What lists say of one: the doses, and which of those that have one line for each child (`lines`) have one for it.

    `vials` are the doses of which the lot is known as well, `rows` is how many rows say it.
    """

    doses: frozenset[GivenDose] = frozenset()
    lines: frozenset[str] = frozenset()
    vials: frozenset[Vial] = frozenset()
    rows: int = 0

    def __or__(self, other: "Listed") -> "Listed":
        """Return what both say."""
        return Listed(
            self.doses | other.doses, self.lines | other.lines, self.vials | other.vials, self.rows + other.rows
        )


def listed(register: str, doses: Sequence[Dose], missing: Sequence[MissingDose], *, zone: tzinfo) -> Listed:
    """Return what one row of a list says."""
    return listed_again(register, listed_row("", doses, missing, zone=zone))


def listed_row(source: str, doses: Sequence[Dose], missing: Sequence[MissingDose], *, zone: tzinfo) -> ListedRow:
    """Return what a row says of doses, to be kept; where they have names (a wide sheet) or are none, it is a line."""
    known = dict.fromkeys(told for dose in doses if (told := _listed_dose(dose.resource, zone=zone)))
    of_its_own = all(dose.name for dose in doses) and all(dose.name for dose in missing)
    return ListedRow(source, of_its_own, tuple(known))


def listed_again(register: str, row: ListedRow) -> Listed:
    """Return what a row that was kept says in a list."""
    return Listed(
        frozenset(GivenDose(register, dose.vaccine, dose.number, dose.day) for dose in row.doses),
        frozenset({register} if row.line else ()),
        frozenset(Vial(register, dose.vaccine, dose.day, dose.lot) for dose in row.doses if dose.lot),
        1,
    )


def _listed_dose(immunization: Resource, *, zone: tzinfo) -> ListedDose | None:
    """Return a converted dose as evidence; None where it was refused, or its vaccine or whole date is unknown."""
    codes = codes_of(immunization).get(systems.CVX, set())
    day = local_date(immunization, zone=zone)
    if len(codes) != 1 or len(day) < _WHOLE_DAY or immunization.get("status") == "not-done":
        return None
    return ListedDose(min(codes), dose_number(immunization), day, lot_of(immunization))


def days_of(said: Listed) -> frozenset[Vial]:
    """Return on which days lists say that vaccines were given, as vials of no lot: of whatever lot."""
    return frozenset(Vial(dose.register, dose.vaccine, dose.day, "") for dose in said.doses)


def source_of(register: str) -> str:
    """Return whose list a register is: several files of one source go on with each other."""
    return register.rpartition("#")[0] or register


def in_different_lists(left: Listed, right: Listed) -> bool:
    """Say whether a source with one line for each child has one for the one, and none for the other, of whom others tell."""
    one, other = ({source_of(line) for line in said.lines} for said in (left, right))
    return bool(left.doses and right.doses) and one != other and one.isdisjoint(other)


def of_a_small_child(said: Listed, born: int) -> bool:
    """Say whether doses are a small child's which nobody who was born in this year can have got: the year is another's."""
    last = f"{born + _GROWN_UP_YEARS:04}-12-31"
    return born > 0 and any(dose.day > last and dose.vaccine in small_childrens() for dose in said.doses)


def may_fit_no_birth_date(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether doses may show that their birth dates are neither's: both are whole, and of two years."""
    return left.birth_date.year != right.birth_date.year and left.birth_date.whole and right.birth_date.whole


def fit_no_birth_date(left: PersonEvidence, right: PersonEvidence, said: Listed) -> bool:
    """Say whether what two have got can be nobody's who was born on either day: an impossible timeline.

    `said` is what lists say of both. Who was born on the earlier day was grown up when a small child's dose was given,
    and a dose was given before the later day.
    """
    if not may_fit_no_birth_date(left, right):
        return False
    births = left.birth_date, right.birth_date
    later = max(f"{born.year:04}-{born.month:02}-{born.day:02}" for born in births)
    before = any(dose.day < later for dose in said.doses)
    return before and of_a_small_child(said, min(born.year for born in births))
