"""What finding duplicates on a server leads to: groups of Patients that may be one person, each with its reasons."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fhir_gateway.domain.merges import DuplicateGroup


class FoundKind(StrEnum):
    """What a group is to whoever looks at it."""

    SHARED_NIK = "shared-nik"
    """They share a NIK, and nothing speaks against it: to be planned."""
    CONFLICT = "conflict"
    """They share a NIK or nearly everything else, but something contradicts: to be looked at, no merge."""
    LIKELY = "likely"
    """Without a NIK in common the evidence says that they are one."""
    PROPOSAL = "proposal"
    """A row that was loaded showed them to be one."""


class FoundPatient(NamedTuple):
    """A Patient as a list of duplicates shows it: the name as the server has it, "" for what it does not tell. Personal data."""

    id: str
    name: str
    birth_date: str
    gender: str


@dataclass(frozen=True, slots=True)
class Found:
    """Patients that may be one person.

    `weight` is that of the weakest pair that holds the group together, in bits. `second_opinion` is the probability
    that another model gives that pair, None where it was not asked or has not met the pair. `run` and `reason` are of
    the load that proposed to merge two of them, 0 and "" where none did.
    """

    kind: FoundKind
    group: DuplicateGroup
    patients: tuple[FoundPatient, ...]
    weight: float
    run: int = 0
    reason: str = ""
    second_opinion: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """All that was found, conflicts last.

    `read` counts the active Patients that were looked at. `single` are NIKs that were asked for and that fewer than two
    active Patients carry. `notes` say in words what could not be found or was passed over, and why; no personal data.
    """

    found: tuple[Found, ...]
    read: int
    single: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
