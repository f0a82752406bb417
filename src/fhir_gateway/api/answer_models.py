"""What the OpenAPI document says of merges' answers: their shapes; answers themselves are written without these models."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from fhir_gateway.domain.access import Role
from fhir_gateway.domain.finding import FoundKind
from fhir_gateway.domain.history import HistoryEvent
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.merge_jobs import GroupState, JobState
from fhir_gateway.domain.merges import ChangeKind, ChangeState, GroupRule, MergeState

_NEXT = "The address of the following page; absent on the last."
_REPORTED = "`Type/id` of resources"


class WhoseKey(BaseModel):
    """Whose access key this is."""

    environment: str
    key: str = Field(description="The key's id.")
    name: str
    role: Role


class ToldConflict(BaseModel):
    """What speaks against holding Patients for one person, or has to be known of them."""

    code: str
    text: str
    resources: list[str] = Field(description=f"{_REPORTED} that it is about.")
    blocks: bool = Field(description="Whether nobody is merged before a person has decided.")


class ToldEvidence(BaseModel):
    """How alike two Patients are."""

    pair: list[str] = Field(min_length=2, max_length=2, description="The bare ids of two Patients.")
    words: list[str] = Field(description="The comparison, line by line.")


class ToldGroup(BaseModel):
    """Patients that may be one person."""

    patients: list[str] = Field(description="Bare ids.")
    nik: str = Field(description='The NIK that they share; "" where it was not by one.')
    rule: GroupRule
    grade: Grade
    conflicts: list[ToldConflict]
    evidence: list[ToldEvidence]


class ToldField(BaseModel):
    """From whom the survivor has an element."""

    field: str
    rule: str
    taken_from: list[str] = Field(description="Bare ids of Patients.")
    dropped: list[str] = Field(description="Bare ids of Patients whose value is not taken over.")


class ToldDose(BaseModel):
    """Two Immunizations that are one dose."""

    kept: str
    in_error: str
    text: str


class ToldPlan(ToldGroup):
    """Why a group is one person, who stays, and what was decided of each field and dose."""

    survivor: str
    survivor_words: str
    scores: dict[str, float] = Field(description="Bare id of a Patient → its score.")
    replaced: list[str]
    fields: list[ToldField]
    doses: list[ToldDose]
    unsearched: list[str] = Field(description="Elements that may refer to a Patient and that the server cannot search.")
    changes: int = Field(description="How many resources change.")
    digest: str


class ToldUndoConflict(BaseModel):
    """An element that the merge changed and somebody has changed again since."""

    resource: str = Field(description="`Type/id`.")
    path: str = Field(description="A JSON pointer into the resource as it stands now.")
    before: Any = Field(description="What undoing puts back; null: nothing.")
    now: Any = Field(description="What stands there now; null: nothing.")


class ToldMerge(BaseModel):
    """A merge with what its history says of it; what was erased is empty."""

    merge: int = Field(description="Its number.")
    state: MergeState
    nik: str
    survivor: str = Field(description="Bare id of the Patient that stays.")
    replaced: list[str] = Field(description="Bare ids of the Patients that it replaces.")
    rule: GroupRule
    grade: Grade
    run: int
    user: str
    via: str = Field(description="From where it was asked for: `command`, `api`, `console`, `$merge`, `job N`.")
    begun: AwareDatetime
    finished: AwareDatetime | None
    changed: int = Field(description="How many resources it changed.")
    requests: int = Field(description="How many requests to the FHIR server it took.")
    failed: list[str] = Field(description=f"{_REPORTED} that could not be changed.")
    remaining: list[str] = Field(description=f"{_REPORTED} that still refer to a replaced Patient.")
    undo_user: str
    undo_via: str
    undone: AwareDatetime | None
    undo_reason: str
    undo_conflicts: list[dict[str, Any]] = Field(description="What was decided of conflicts.")
    erased: bool = Field(description="Whether what it holds of the person was erased.")


class MergePage(BaseModel):
    """Merges, the newest first."""

    merges: list[ToldMerge]
    next: str = Field(default="", description=_NEXT)


class FoundMerges(BaseModel):
    """Merges, the newest first."""

    merges: list[ToldMerge]
    next: str = Field(default="", description="The `cursor` of the following page; absent on the last.")


class ToldEntry(BaseModel):
    """An entry of the history."""

    number: int
    event: HistoryEvent
    at: AwareDatetime
    user: str
    via: str


class ToldChange(BaseModel):
    """What a merge does to one resource."""

    number: int
    resource: str = Field(description='`Type/id`; "" before the server has created it.')
    kind: ChangeKind | None = Field(description="null for what the merge itself created.")
    state: ChangeState
    message: str
    before_version: str
    after_version: str
    before: dict[str, Any] | None = Field(description="The resource before the merge.")
    after: dict[str, Any] = Field(description="The resource after it.")


class ShownMerge(ToldMerge):
    """A merge with its evidence, its entries in the history and its changes."""

    plan: ToldPlan | None = Field(description="null where it was erased.")
    entries: list[ToldEntry]
    changes: list[ToldChange]
    more: int = Field(default=0, description="The number to go on `after`; absent where these are all changes.")


class Undoing(ToldMerge):
    """A merge and what became of undoing it, or would."""

    conflicts: list[ToldUndoConflict] = Field(description="To be decided first: nothing was written.")
    restored: int = Field(description="How many resources were put back.")
    kept: list[ToldUndoConflict] = Field(description="Conflicts decided for what stands there now.")
    failed: list[str] = Field(description="`Type/id: words` of what the server refused: ask again.")
    arrived: list[str] = Field(description=f"{_REPORTED} that came to the survivor since; told by a preview.")
    withdrawn: list[str] = Field(description="Doses that are entered in error, as their rows are all of others by now.")
    copied: list[str] = Field(description="Doses made for rows that came since, whose dose went back.")


class ToldJob(BaseModel):
    """A job and how far it has come."""

    job: int = Field(description="Its number.")
    state: JobState
    user: str
    dry_run: bool
    created: AwareDatetime
    finished: AwareDatetime | None
    problem: str = Field(description='Why it stands still; "" where it does not.')
    counts: dict[GroupState, int] = Field(description="How many groups are in which state; others are left out.")


class NamedConflict(BaseModel):
    """What a person has to look at."""

    code: str
    text: str


class JobResult(BaseModel):
    """What became of one group of a job; which keys there are depends on `state`."""

    number: int = Field(description="Its place in what was handed in, from 1.")
    nik: str
    state: GroupState
    survivor: str = ""
    replaced: list[str] = []
    conflicts: list[NamedConflict] = []
    changes: int = Field(default=0, description="How many resources a merge would change (`planned`, `conflict`).")
    refused: list[str] = Field(default=[], description="Why it was not merged.")
    merge: int = Field(default=0, description="The merge's number (`merged`, `failed`).")
    changed: int = 0
    requests: int = 0
    failed: list[str] = Field(default=[], description=f"{_REPORTED} that could not be changed.")
    remaining: list[str] = Field(default=[], description=f"{_REPORTED} that still refer to a replaced Patient.")


class WatchedJob(ToldJob):
    """A job with what became of its groups."""

    groups: list[JobResult]
    next: str = Field(default="", description=_NEXT)


class Working(BaseModel):
    """Whether something is worked on."""

    running_since: AwareDatetime | None
    problem: str = Field(description='Why the last attempt came to nothing; "" where it did not.')


class VerificationResult(BaseModel):
    """What verifying the history found."""

    passed: bool
    entries: int
    merges: int
    root: str = Field(description="The Merkle tree's root in base64.")
    checkpoints: int
    signed: int = Field(description="How many entries the newest checkpoint of a trusted key vouches for.")
    erased: list[int] = Field(description="Merges of which a person's data were erased.")
    faults: list[str] = Field(description="The first hundred.")
    fault_count: int
    not_known: list[str] = Field(description="What could not be known.")
    began: AwareDatetime
    finished: AwareDatetime


class VerificationState(Working):
    """The last verification, and whether one is going on."""

    result: VerificationResult | None = Field(description="null before the first one.")


class ProvedEntry(BaseModel):
    """An entry of the history and its path to the root."""

    entry: str = Field(description="The bytes that are hashed.")
    index: int
    path: list[str] = Field(description="Hashes in hex (RFC 9162, 2.1.3).")


class Bridge(BaseModel):
    """That an earlier checkpoint is of the same history."""

    checkpoint: str
    path: list[str] = Field(description="Hashes in hex (RFC 9162, 2.1.4).")


class MergeProof(BaseModel):
    """That these are all entries of a merge."""

    format: str
    version: int
    merge: int
    checkpoint: str = Field(description="A signed checkpoint.")
    entries: list[ProvedEntry]
    count_path: list[str] = Field(description="Hashes in hex: how many entries the merge has.")
    earlier: list[Bridge]


class FoundPerson(BaseModel):
    """A Patient of a group; what the server does not tell is empty."""

    id: str
    name: str
    birth_date: str
    gender: str


class FoundGroup(ToldGroup):
    """Patients that may be one person, as they were found."""

    kind: FoundKind
    weight: float = Field(description="Of the weakest pair that holds the group together, in bits.")
    why: str
    people: list[FoundPerson]
    second_opinion: float | None = Field(description="The probability that another model gives; null where not asked.")
    run: int | None = Field(description="The load that proposed it; null where none did.")
    reason: str


class Looking(Working):
    """Whether duplicates are being looked for."""

    progress: str


class Duplicates(Looking):
    """The duplicates that were found last."""

    read: int | None = Field(description="How many Patients were read; null before duplicates were looked for.")
    groups: list[FoundGroup]
    began: AwareDatetime | None = None
    finished: AwareDatetime | None = None
    single: list[str] = Field(default=[], description="NIKs that were asked for and that fewer than two carry.")
    notes: list[str] = []
    total: int = Field(default=0, description="How many groups were found of the kind that is asked for.")
    next: str = Field(default="", description=_NEXT)


class Parted(BaseModel):
    """Who was said to be different people."""

    patients: list[str]
    pairs: int


class ToldParting(BaseModel):
    """A decision that Patients are different people; what was erased has neither Patients nor a reason."""

    entry: int = Field(description="Its entry in the history.")
    patients: list[str]
    user: str
    via: str
    at: AwareDatetime
    reason: str
    overruled: list[int] = Field(description="Merges of two of them that were made since and stand.")
    erased: bool


class Partings(BaseModel):
    """Decisions that Patients are different people, the newest first."""

    parted: list[ToldParting]
    next: str = Field(default="", description=_NEXT)


class NamedResource(BaseModel):
    """One of a Parameters resource's parameters."""

    name: Literal["input", "outcome", "result"]
    resource: dict[str, Any] = Field(description="Parameters, an OperationOutcome, a Patient.")


class MergeAnswer(BaseModel):
    """A Parameters resource: what was asked (`$merge` alone), what became of it, and the Patient that stays."""

    resource_type: Literal["Parameters"] = Field(alias="resourceType")
    parameter: list[NamedResource]
