"""SKELETON: signatures are final, bodies follow within minutes."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name, read.

    `text` is the name as it may be displayed: without titles, degrees, birth-order marks and newborn's prefix.
    `prefix` and `suffix` are the titles and degrees as written. `given` are the words of `text` (without bin/binti +
    father). `father` is the father's name after bin/binti. `newborn_of` is the mother's name where this is a newborn's
    temporary name ("By. Ny. Siti"), `newborn` says that it is one. `birth_order` is 0 where the name tells none.
    `tokens` are normalised for comparing only.
    """

    original: str
    text: str
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    father: str = ""
    newborn: bool = False
    newborn_of: str = ""
    birth_order: int = 0
    truncated: bool = False

    @property
    def mononym(self) -> bool:
        """Whether the person has one name only."""
        return len(self.tokens) == 1


class NameLevel(StrEnum):
    """How far two names agree, best first."""

    EXACT = "exact"
    EQUIVALENT = "equivalent"
    NEAR = "near"
    SUBSET = "subset"
    INITIALS = "initials"
    PARTIAL = "partial"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NameAgreement:
    """How far two names agree, which normalised tokens they share, and which differ."""

    level: NameLevel
    shared: tuple[str, ...] = ()
    left_only: tuple[str, ...] = ()
    right_only: tuple[str, ...] = ()
    similarity: float = 0.0


def read_name(text: str) -> PersonName:
    """Read a name as it was written; never raises, an unreadable one has no tokens and text ""."""
    raise NotImplementedError


def compare_names(left: PersonName, right: PersonName) -> NameAgreement:
    """Compare two names; symmetric."""
    raise NotImplementedError


def sound_key(token: str) -> str:
    """Return a token's phonetic key for blocking."""
    raise NotImplementedError


def name_keys(name: PersonName) -> tuple[str, ...]:
    """Return the blocking keys of a name: one per telling token."""
    raise NotImplementedError
