"""What the ledger keeps: runs, spooled records, what became of them, and what is known of a record's key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import Grade, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Dose, MissingDose, Resource


class RunKind(StrEnum):
    """What a run is for."""

    LOAD = "load"
    DRY_RUN = "dry-run"
    RETRY = "retry"
    REVIEW = "review"
    UNLINK = "unlink"
    MERGE = "merge"


class RunState(StrEnum):
    """How far a run has come; a killed run resumes from its last state."""

    READING = "reading"
    DECIDING = "deciding"
    POSTING = "posting"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input file of a run: its name without folders, its SHA-256 and its modification time."""

    name: str
    sha256: str
    modified: datetime
    mapping: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run. `fingerprint` says what it does (files, mappings, clinic, limit), so that it can be found and resumed.

    `thresholds` are those that its decisions were made with, in bits by their names in the settings; empty where they
    were not kept.
    """

    id: int
    kind: RunKind
    state: RunState
    fingerprint: str
    files: tuple[InputFile, ...]
    clinic: str
    user: str
    started: datetime
    finished: datetime | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def place_of_file(self, named: int | None, *, how: str = "with --file") -> int:
        """Return which file is meant (from 0); raises UsageError where nobody named one (from 1) of several.

        `how` says how it is named.
        """
        if named is None and len(self.files) > 1:
            files = ", ".join(f"{number} {file.name}" for number, file in enumerate(self.files, start=1))
            raise UsageError(f"run {self.id} read {len(self.files)} files: say {how} whose row this is ({files})")
        return (named or 1) - 1


@dataclass(frozen=True, slots=True)
class RunTotals:
    """A run's books, computed from the ledger: rows read, rows per outcome, rows per reason code and its text."""

    read: int
    outcomes: Mapping[Outcome, int]
    reasons: Mapping[str, int]
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def open_rows(self) -> int:
        """Rows that did not make it."""
        return sum(self.outcomes.get(o, 0) for o in (Outcome.REVIEW, Outcome.REJECTED, Outcome.FAILED))


@dataclass(frozen=True, slots=True)
class SpooledRecord:
    """A converted record in the spool. `number` counts through the run, `person` is its spooled person's number.

    `content` is a digest of everything that was converted; `known` is what earlier runs know of the key.
    """

    number: int
    file: int
    row: int
    key: str
    clinic: str
    content: str
    person: int
    patient: Resource
    doses: tuple[Dose, ...]
    missing: tuple[MissingDose, ...]
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class WrittenResource:
    """A resource (`Type/id`) that was created on the server, or else updated; its bare version, "" where not known."""

    resource: str
    created: bool
    version: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a record: its final outcome and what the report says of it.

    `written` is what its load wrote on the server; of what several records share, the first one tells.
    """

    number: int
    outcome: Outcome
    code: str = ""
    reason: str = ""
    suggestion: str = ""
    patient_id: str = ""
    immunization_ids: tuple[str, ...] = ()
    grade: Grade | None = None
    written: tuple[WrittenResource, ...] = ()


class LoadedSince(NamedTuple):
    """A later run that loaded a record: which one, of what kind, with which content, and for which Patient."""

    run: int
    kind: RunKind
    content: str
    patient_id: str


class ListedDose(NamedTuple):
    """A dose as a list has it: CVX code, number in its series and comparable lot ("" where not known), ISO day."""

    vaccine: str
    number: str
    day: str
    lot: str


@dataclass(frozen=True, slots=True)
class ListedRow:
    """What a row of a list says of doses: whose list it is (`source`), and whether it has one line for each child."""

    source: str
    line: bool
    doses: tuple[ListedDose, ...]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What the environment knows of a record's key from earlier runs.

    `doses` are dose name → Immunization id. `supplied` are field → digests of what this key supplied ("patient" and
    each dose's name, see bundling.digests). `content` is "" while a part of the record is not on the server; `earlier`
    are contents that newer exports have replaced. `exported` is the file's modification time. `listed` is None where it
    was not kept.
    """

    key: str
    patient_id: str
    content: str
    doses: Mapping[str, str]
    supplied: Mapping[str, Mapping[str, tuple[str, ...]]]
    exported: datetime
    earlier: tuple[str, ...] = ()
    listed: ListedRow | None = None


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision in the spool. `identifier` is the intent: the PERSON identifier that a new Patient will carry.

    `patient_id` of the decision is the receipt too: it is filled in as soon as the Patient is on the server.
    """

    number: int
    decision: PersonDecision
    identifier: str
    settled: bool = False


class ReviewKind(StrEnum):
    """What an operator is asked."""

    PERSON = "person"
    DOSE = "dose"
    KEY = "key"
    GONE = "gone"
    NIK = "nik"
    """About a number in the rows of many people, and about none of these."""
    LOADED = "loaded"
    """About rows that are loaded for one of two people whom they fit equally well: whose doses are they?"""
    UNLINK = "unlink"
    """No question: an operator took a link apart, and this keeps who and why."""


class ReviewState(StrEnum):
    """Whether a review waits for an operator, and what she decided."""

    OPEN = "open"
    LINKED = "linked"
    CREATED = "created"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    UNLINKED = "unlinked"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One question for an operator; the records that hang on it stand in the ledger beside it."""

    id: int
    kind: ReviewKind
    state: ReviewState
    run: int
    code: str
    text: str
    suggestion: str
    decision: PersonDecision | None
    rows: int
    opened: datetime
    patient_id: str = ""
    user: str = ""
    note: str = ""
    decided: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReviewAnswer:
    """What an operator once answered; UNDONE takes the one before it back. `run` is what posted it, 0 where none.

    `written` is what was written on the server without a run.
    """

    state: ReviewState
    user: str
    note: str
    patient_id: str
    run: int
    decided: datetime
    written: tuple[WrittenResource, ...] = ()


def as_review(number: int, note: str = "") -> str:
    """Return the note of an answer that was given because of the answer to another question, with the note of that."""
    return f"as review {number}: {note}" if note else f"as review {number}"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which row of which file a dose or Patient came from, by which run."""

    run: int
    file: str
    row: int
    clinic: str
    mapping: str
    key: str
    patient_id: str
    immunization_ids: tuple[str, ...]
    loaded: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an operator said of a person: `digest` is the person's, `same` whether the Patient is she."""

    digest: str
    patient_id: str
    same: bool
    review: int = 0
    """The question whose answer it is; 0 of one that is only being written down."""


def as_of_now(verdicts: Iterable[Verdict], into: Mapping[str, str]) -> list[Verdict]:
    """Return the verdicts about whoever stands for each Patient now; of one person and Patient what was said last.

    `into` is replaced Patient → who stands for it. A person whom one answer made somebody beside a Patient is that
    Patient once both have been merged: the merge was said later.
    """
    last: dict[tuple[str, str], tuple[int, bool]] = {}
    for one in verdicts:
        about = (one.digest, into.get(one.patient_id, one.patient_id))
        last[about] = max(last.get(about, (0, False)), (one.review, one.same))
    return [Verdict(digest, patient_id, same, review) for (digest, patient_id), (review, same) in last.items()]
