"""SKELETON: signatures are final, bodies follow within minutes."""

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from fhir_gateway.domain.records import Resource


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


def same_dose(left: Resource, right: Resource, *, zone: tzinfo) -> SameDose:
    """Say whether two Immunizations of one person are one dose; instants are compared by local date in `zone`."""
    raise NotImplementedError


def prefer(existing: Resource, new: Resource) -> Resource:
    """Return which of two Immunizations that are one dose tells more reliably what was given; ties: `existing`."""
    raise NotImplementedError
