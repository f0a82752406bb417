"""What the doses tell of who is who, within limits: they may part two records, and never join any.

One vial serves many children on one day, and twins share vaccine, day, lot and clinic, so that doses which agree tell
nothing of one family's children. What one clinic's list says twice tells more: a child gets one first dose of a vaccine,
so two of them under names that are not quite the same speak for two children.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, tzinfo

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.doses import dose_number, local_date
from fhir_gateway.identity.vaccines import codes_of

_WHOLE_DAY = len("2023-01-31")
_SEVERAL = 2
_DAYS_COPIED_WRONGLY = 7


@dataclass(frozen=True, slots=True)
class GivenDose:
    """A dose as a list has it: which clinic's list (`register`), CVX code, number in its series ("" unknown), ISO day."""

    register: str
    vaccine: str
    number: str
    day: str


def given_dose(register: str, immunization: Resource, *, zone: tzinfo) -> GivenDose | None:
    """Return a converted dose as evidence; None where it was refused, or its vaccine or whole date is unknown."""
    codes = codes_of(immunization).get(systems.CVX, set())
    day = local_date(immunization, zone=zone)
    if len(codes) != 1 or len(day) < _WHOLE_DAY or immunization.get("status") == "not-done":
        return None
    return GivenDose(register, min(codes), dose_number(immunization), day)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Of the doses that the same lists have of two people (`compared`, of the shorter list), how many stand twice.

    `agreed` are numbered doses of which different lists tell the same day for both, `contradicted` those of which they
    tell days more than a week apart.
    """

    repeated: int = 0
    compared: int = 0
    agreed: int = 0
    contradicted: int = 0

    @property
    def half(self) -> bool:
        """Whether a list has at least half of the doses of the one for the other as well."""
        return self.repeated > 0 and 2 * self.repeated >= self.compared

    @property
    def of_two(self) -> bool:
        """Whether a list has so much twice that it is two people's; a single line may have been written twice."""
        return self.half and self.repeated >= _SEVERAL

    @property
    def contradict(self) -> bool:
        """Whether different lists tell of two courses of vaccination: a date may be copied wrongly, several are not."""
        return self.contradicted > _SEVERAL and self.contradicted > self.agreed

    @property
    def complement(self) -> bool:
        """Whether what a list has of the one is not what it has of the other, as with two parts of one person's doses."""
        return self.compared > 0 and not self.repeated


def count_repeats(left: Iterable[GivenDose], right: Iterable[GivenDose]) -> Repeats:
    """Count the doses that the same lists have of both people; symmetric.

    Lists are compared with themselves only: two clinics may well have written down the same dose.
    """
    one, other = _by_register(left), _by_register(right)
    repeated = compared = 0
    for register in one.keys() & other.keys():
        few, many = sorted((one[register], other[register]), key=len)
        repeated += max(_repeated(few, many), _repeated(many, few) if len(few) == len(many) else 0)
        compared += len(few)
    agreed, contradicted = _across(one, other)
    return Repeats(repeated, compared, agreed, contradicted)


def _across(one: dict[str, set[GivenDose]], other: dict[str, set[GivenDose]]) -> tuple[int, int]:
    """Count the numbered doses of which two lists tell the same day, and those of which they tell days far apart."""
    agreed: set[tuple[str, str]] = set()
    contradicted: set[tuple[str, str]] = set()
    for register, doses in one.items():
        days = {(dose.vaccine, dose.number): dose.day for dose in doses if dose.number}
        for elsewhere in other.keys() - {register}:
            for dose in other[elsewhere]:
                day = days.get((dose.vaccine, dose.number))
                if day is not None:
                    apart = abs((date.fromisoformat(day) - date.fromisoformat(dose.day)).days)
                    (contradicted if apart > _DAYS_COPIED_WRONGLY else agreed).add((dose.vaccine, dose.number))
    return len(agreed), len(contradicted)


def _by_register(doses: Iterable[GivenDose]) -> dict[str, set[GivenDose]]:
    found: dict[str, set[GivenDose]] = {}
    for dose in doses:
        found.setdefault(dose.register, set()).add(dose)
    return found


def _repeated(few: set[GivenDose], many: set[GivenDose]) -> int:
    numbered = {(dose.vaccine, dose.number) for dose in many if dose.number}
    days = {(dose.vaccine, dose.day) for dose in many}
    return sum((dose.vaccine, dose.number) in numbered or (dose.vaccine, dose.day) in days for dose in few)
