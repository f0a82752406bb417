"""What identity says of people: comparisons, decisions, and where to look for candidates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fhir_gateway.domain.records import Resource

Node = int | str
"""A person in question: a spooled person's number (int) or the id of a Patient on the server (str)."""


class Grade(StrEnum):
    """FHIR's match-grade codes (http://terminology.hl7.org/CodeSystem/match-grade)."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    CERTAINLY_NOT = "certainly-not"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One comparison of one thing: its agreement level, its weight in bits (log2 of m/u), and words without values."""

    field: str
    agreement: str
    weight: float
    words: str


@dataclass(frozen=True, slots=True)
class Veto:
    """Something that forbids an automatic link, whatever the weights say."""

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two records' evidence weighed: `weight` is the sum with the prior, in bits; `grade` includes the vetoes."""

    evidence: tuple[Evidence, ...]
    vetoes: tuple[Veto, ...]
    weight: float
    grade: Grade


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """A comparison and the two that were compared.

    `left_with` and `right_with` are whose evidence was taken together with theirs, as they were one person by then; empty
    where the two were compared by themselves. `by` tells in words what of the right one was compared, "" for all of it.
    """

    left: Node
    right: Node
    comparison: Comparison
    left_with: tuple[Node, ...] = ()
    right_with: tuple[Node, ...] = ()
    by: str = ""

    @property
    def of_persons(self) -> bool:
        """Whether more was compared than the two by themselves."""
        return bool(self.left_with or self.right_with)


class PersonAction(StrEnum):
    """What is to be done with records that are one person."""

    LINK = "link"
    CREATE = "create"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class PersonDecision:
    """Who some spooled people are.

    `members` are one person. LINK: `patient_id` is theirs. CREATE: nobody on the server is. REVIEW: an operator
    decides, `candidates` (best first) are whom to look at. `grade` is that of the best candidate. `reason` is a stable
    code, `text` and `suggestion` are for the operator, without values. `pairs` are the comparisons that decided.
    `proposals` are pairs of Patients on the server that these records show to be one person.
    `waiting` are digests of people who wait in questions of earlier loads, and are candidates as well, `waiting_keys` the
    keys of a row of each, by which she is known once that was corrected. `torn` says that
    the members fit all candidates about equally well, and one for certain: if these are one person, it is the members', too.
    `replaced` are Patients whom another program merged into `patient_id`: doses may have been left with them.
    """

    members: tuple[int, ...]
    action: PersonAction
    grade: Grade
    reason: str
    text: str
    suggestion: str = ""
    patient_id: str = ""
    candidates: tuple[Node, ...] = ()
    pairs: tuple[ComparedPair, ...] = ()
    proposals: tuple[tuple[str, str], ...] = ()
    waiting: tuple[str, ...] = ()
    waiting_keys: tuple[str, ...] = ()
    torn: bool = False
    replaced: tuple[str, ...] = ()

    def asked(
        self,
        *,
        reason: str,
        text: str,
        suggestion: str,
        candidates: Iterable[Node],
        grade: Grade = Grade.PROBABLE,
    ) -> "PersonDecision":
        """Return the question that is asked in its place; each of `candidates` is named once."""
        return replace(
            self,
            action=PersonAction.REVIEW,
            grade=grade,
            reason=reason,
            text=text,
            suggestion=suggestion,
            patient_id="",
            candidates=tuple(dict.fromkeys(candidates)),
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """Where a spooled person's candidates may be found on a server; empty fields are unknown.

    `patient_ids` are Patients that are candidates already, to be read; `identifiers` are (system, value) pairs, best
    first. `names` are the normalised name tokens worth searching.
    """

    number: int
    patient_ids: tuple[str, ...] = ()
    identifiers: tuple[tuple[str, str], ...] = ()
    birth_dates: tuple[str, ...] = ()
    gender: str = ""
    phones: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Patients found for probes: every Patient once, and which ones each probe's number brought."""

    patients: Mapping[str, Resource] = field(default_factory=dict)
    found: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
