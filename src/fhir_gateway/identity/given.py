"""What the doses tell of who is who, within limits: they may part two records, and never join any.

One vial serves many children on one day, and twins share vaccine, day, lot and clinic, so that doses which agree tell
nothing of one family's children. What one clinic's list says twice tells more: a child gets one first dose of a vaccine,
so two of them under names that are not quite the same speak for two children.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.doses import dose_number, local_date
from fhir_gateway.identity.vaccines import codes_of

_WHOLE_DAY = len("2023-01-31")


class Timelines(StrEnum):
    """What two people's doses say: that there are two (REPEAT), or nothing (SILENT)."""

    REPEAT = "repeat"
    SILENT = "silent"


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


def compare_timelines(left: Iterable[GivenDose], right: Iterable[GivenDose]) -> Timelines:
    """Say what two people's doses tell of whether they are one; symmetric.

    Lists are compared with themselves only: two clinics may well have written down the same dose.
    """
    one, other = _by_register(left), _by_register(right)
    twice = any(_repeats(one[register], other[register]) for register in one.keys() & other.keys())
    return Timelines.REPEAT if twice else Timelines.SILENT


def _by_register(doses: Iterable[GivenDose]) -> dict[str, set[GivenDose]]:
    found: dict[str, set[GivenDose]] = {}
    for dose in doses:
        found.setdefault(dose.register, set()).add(dose)
    return found


def _repeats(one: set[GivenDose], other: set[GivenDose]) -> bool:
    """Whether at least half of one's doses stand in the other's as well; a single line may have been written twice."""
    return _half_in(one, other) or _half_in(other, one)


def _half_in(few: set[GivenDose], many: set[GivenDose]) -> bool:
    if len(few) > len(many):
        return False
    numbered = {(dose.vaccine, dose.number) for dose in many if dose.number}
    days = {(dose.vaccine, dose.day) for dose in many}
    twice = sum((dose.vaccine, dose.number) in numbered or (dose.vaccine, dose.day) in days for dose in few)
    return 2 * twice >= len(few)
