"""Which doses are one: the same dose from two sources is one Immunization.

Same person (given by the caller), same local date, compatible vaccine, dose numbers and lots equal or one of them
missing. A refused dose never is a given one; what was entered in error comes back only by an operator.
"""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from rapidfuzz.distance import OSA

from fhir_gateway.domain import systems
from fhir_gateway.domain.lot_numbers import plain_lot
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import ListedDose
from fhir_gateway.identity.vaccines import VaccineLevel, compare_vaccines

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_DAY_LENGTH = 10
_NUMBERED = re.compile(r"(?:dos(?:is|e)|ke)?[ .:#-]*0*([1-9][0-9]?)")
"""A number as other systems write it: "1", "Dosis 1", "dose #2", "ke-3"; never a booster's."""


class DoseSameness(StrEnum):
    """Whether two Immunizations of one person are one dose."""

    SAME = "same"
    DIFFERENT = "different"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class SameDose:
    """The verdict; `reason` is a stable code and `text` the operator's words where it is doubtful."""

    sameness: DoseSameness
    reason: str = ""
    text: str = ""


_SAME = SameDose(DoseSameness.SAME)
_DIFFERENT = SameDose(DoseSameness.DIFFERENT)
_IN_ERROR = SameDose(
    DoseSameness.DOUBTFUL, "dose-entered-in-error", "the same dose was loaded before and is marked as entered in error"
)
_VACCINE = SameDose(
    DoseSameness.DOUBTFUL,
    "dose-vaccine-doubtful",
    "a dose of that day has a related vaccine: it may be the same dose under another name",
)
_PARTLY_DATED = SameDose(
    DoseSameness.DOUBTFUL, "dose-date-partial", "a dose of that vaccine has no whole date: it may be the same dose"
)


def same_dose(left: Resource, right: Resource, *, zone: tzinfo) -> SameDose:
    """Say whether two Immunizations of one person are one dose; instants are compared by local date in `zone`."""
    if _refused(left) != _refused(right):
        return _DIFFERENT
    one, other = local_date(left, zone=zone), local_date(right, zone=zone)
    if not one or not other or not (one.startswith(other) or other.startswith(one)):
        return _DIFFERENT
    vaccines = compare_vaccines(left, right)
    if vaccines is VaccineLevel.DIFFERENT or not _numbers_agree(left, right) or not _lots_agree(left, right):
        return _DIFFERENT
    if "entered-in-error" in {left.get("status"), right.get("status")}:
        return _IN_ERROR
    if min(len(one), len(other)) < _DAY_LENGTH:
        return _PARTLY_DATED
    return _VACCINE if vaccines is VaccineLevel.DOUBTFUL else _SAME


def as_immunization(dose: ListedDose) -> Resource:
    """Return a dose that a list was kept to have as an Immunization, to be compared with others."""
    told: Resource = {
        "vaccineCode": {"coding": [{"system": systems.CVX, "code": dose.vaccine}]},
        "occurrenceDateTime": dose.day,
        "protocolApplied": [{"doseNumberString": dose.number}],
    }
    return told | ({"lotNumber": dose.lot} if dose.lot else {})


def prefer(existing: Resource, new: Resource) -> Resource:
    """Return which of two Immunizations that are one dose tells more reliably what was given.

    What the giver recorded outranks what was transcribed or recalled; at a tie `existing` stays.
    """
    return new if _reliability(new) > _reliability(existing) else existing


def local_date(immunization: Resource, *, zone: tzinfo) -> str:
    """Return a dose's date in ISO form as far as it is known (a day, month or year), "" where it is not."""
    text = immunization.get("occurrenceDateTime")
    if not isinstance(text, str):
        return ""
    if _DATE.fullmatch(text):
        return text
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return ""
    local = instant.astimezone(zone) if instant.tzinfo else instant
    return local.date().isoformat()


def _refused(immunization: Resource) -> bool:
    return immunization.get("status") == "not-done"


def _reliability(immunization: Resource) -> tuple[bool, bool, bool]:
    source = immunization.get("primarySource")
    return immunization.get("status") != "entered-in-error", source is True, source is not False


def _numbers_agree(left: Resource, right: Resource) -> bool:
    one, other = dose_number(left), dose_number(right)
    return not one or not other or one == other


def dose_number(immunization: Resource) -> str:
    """Return a dose's number in its series, without words that only say so; else as written, lower-case; "" if unknown."""
    protocols = immunization.get("protocolApplied")
    first: Any = protocols[0] if isinstance(protocols, list) and protocols else None
    if not isinstance(first, dict):
        return ""
    number = first.get("doseNumberPositiveInt", first.get("doseNumberString", ""))
    written = str(number).strip().lower()
    return numbered[1] if (numbered := _NUMBERED.fullmatch(written)) else written


def _lots_agree(left: Resource, right: Resource) -> bool:
    """Lots agree where they are equal but for punctuation or one typing error in six or more characters."""
    one, other = lot_of(left), lot_of(right)
    if not one or not other or one == other:
        return True
    return min(len(one), len(other)) >= 6 and OSA.distance(one, other, score_cutoff=1) <= 1


def lot_of(immunization: Resource) -> str:
    """Return a dose's lot as it is compared, see plain_lot(); "" where none is known."""
    lot = immunization.get("lotNumber")
    return plain_lot(lot) if isinstance(lot, str) else ""
