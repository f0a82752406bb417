"""What a merge is on its road: who may be one, the plan, the journalled changes, the merge and its undoing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from fhir_gateway.domain.identity import ComparedPair, Grade
from fhir_gateway.domain.records import Resource


class GroupRule(StrEnum):
    """Why some Patients of a server are taken for one person."""

    SAME_NIK = "same-nik"
    EVIDENCE = "evidence"
    """The evidence model says so, without a NIK in common."""
    PROPOSAL = "proposal"
    """A row that was loaded shows them to be one."""
    CHOSEN = "chosen"
    """An operator named them."""


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """Something that a person has to look at before Patients are merged; `text` holds no patient's data.

    `code` is stable (`name-disagrees`, `birth-date-disagrees`, `two-golden-records` …), `resources` are `Type/id`.
    With `blocks` a group is not merged before it is settled; without, the merge goes on and this is listed.
    """

    code: str
    text: str
    resources: tuple[str, ...] = ()
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Active Patients of a server that may be one person: what finding leads to and planning begins with.

    `patient_ids` are bare ids, sorted. With `conflicts` it is something to be looked at, not a merge. `grade` is that
    of the weakest pair that holds the group together; `nik` is "" where they share none.
    """

    patient_ids: tuple[str, ...]
    rule: GroupRule
    grade: Grade
    nik: str = ""
    pairs: tuple[ComparedPair, ...] = ()
    conflicts: tuple[MergeConflict, ...] = ()


class ChangeKind(StrEnum):
    """What a merge does to one resource."""

    SURVIVOR = "survivor"
    """The Patient that stays: takes over what it lacks, is tagged as golden record, links `replaces`."""
    REPLACED = "replaced"
    """A Patient that is replaced: inactive, linked `replaced-by`, tagged with the survivor's id."""
    REFERENCE = "reference"
    """A resource whose references to a replaced Patient lead to the survivor afterwards."""
    DOSE_KEPT = "dose-kept"
    """An Immunization that takes over a duplicate's identifiers (and is repointed where it has to be)."""
    DOSE_IN_ERROR = "dose-in-error"
    """An Immunization that is the same dose as a kept one and becomes entered-in-error."""


@dataclass(frozen=True, slots=True)
class ElementChange:
    """One element that changes: `path` is a JSON pointer (RFC 6901), `before` or `after` None where it is absent."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What becomes of one resource. `resource` is `Type/id`, `version` the bare version id that was planned upon.

    `before` and `after` are whole resources; a plan file holds `elements` only.
    """

    resource: str
    kind: ChangeKind
    version: str
    elements: tuple[ElementChange, ...]
    before: Resource
    after: Resource


@dataclass(frozen=True, slots=True)
class FieldChoice:
    """Which Patients' values of a demographic field survive, and by which rule; `dropped` are those whose do not."""

    field: str
    rule: str
    taken_from: tuple[str, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DuplicateDose:
    """Two Immunizations that are one dose: `kept` stays and takes over from `in_error` (both bare ids)."""

    kept: str
    in_error: str
    text: str


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """How one group becomes one Patient. `survivor_words` says why this one stays, `scores` are per Patient id.

    `unsearched` are `Type.path` of references that no search of this server can find. Two plans of the same group on
    the same server content have the same `digest` (SHA-256 in hex over what will be changed, not over when).
    """

    group: DuplicateGroup
    survivor: str
    replaced: tuple[str, ...]
    survivor_words: str
    scores: Mapping[str, float]
    fields: tuple[FieldChoice, ...]
    doses: tuple[DuplicateDose, ...]
    changes: tuple[PlannedChange, ...]
    conflicts: tuple[MergeConflict, ...]
    unsearched: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class MergePlan:
    """A reviewable plan of any number of groups that share no resource."""

    environment: str
    made: datetime
    groups: tuple[GroupPlan, ...]


class MergeState(StrEnum):
    """How far a merge has come; one that is not APPLIED or UNDONE is resumed by repeating the command."""

    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"


class ChangeState(StrEnum):
    """How far one journalled change has come."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    KEPT = "kept"
    """Not undone: an operator decided for what stands there now, or nothing was left to be undone."""


@dataclass(frozen=True, slots=True)
class JournalledChange:
    """A change as the journal keeps it: written before anything is sent, settled by the server's answer.

    `before` and `after` are the whole resources without what the server writes itself (`meta.versionId`,
    `meta.lastUpdated`); `before` is None for a resource that the merge creates (its Provenance), whose `resource` is
    "" or `Type/id` as soon as it is known. `message` is the server's reason in plain words where it failed.
    """

    number: int
    resource: str
    kind: ChangeKind | None
    before: Resource | None
    after: Resource
    before_version: str
    after_version: str = ""
    state: ChangeState = ChangeState.PLANNED
    message: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge in the journal: one group of one plan. `id` counts within the environment, from 1.

    `requests` are the HTTP requests that it took (its share, where groups were fetched together), `changed` counts
    resources changed on the server, `failed` names `Type/id` of those that could not be.
    """

    id: int
    run: int
    state: MergeState
    nik: str
    survivor: str
    replaced: tuple[str, ...]
    rule: GroupRule
    grade: Grade
    user: str
    begun: datetime
    finished: datetime | None = None
    changed: int = 0
    requests: int = 0
    failed: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    """`Type/id` of resources that the closing proof still found to refer to a replaced Patient."""


@dataclass(frozen=True, slots=True)
class KeySince:
    """A record's key that a merge led to the survivor, or that one of the merge's Patients has by now.

    `patient_id` and `doses` (name → Immunization's bare id) tell where it stands now, `before_patient` and `before` where
    it stood before the merge: None where the merge did not touch it.
    """

    key: str
    patient_id: str
    doses: Mapping[str, str]
    before_patient: str = ""
    before: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RowAfter:
    """A record's key as it stands once a merge is undone: whose it is, and its doses (name → Immunization's bare id).

    `supplied` is what of some doses it counts as having told from now on: of those that were copied for it.
    """

    key: str
    patient_id: str
    doses: Mapping[str, str]
    supplied: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UndoConflict:
    """An element that the merge changed and somebody has changed again since.

    `path` is a JSON pointer into the resource as it stands now; `before` is what undoing would put back, `now` what
    stands there (None: nothing). `place` is the same element's pointer in Restored.resource, whose lists may be shorter
    or longer; a last step of `-` stands for the end of a list.
    """

    resource: str
    path: str
    before: Any
    now: Any
    place: str = ""


@dataclass(frozen=True, slots=True)
class Restored:
    """What undoing makes of one resource as it stands now; equal to the current resource where nothing is left to do."""

    resource: Resource
    conflicts: tuple[UndoConflict, ...] = field(default=())
