"""What the history of merges is made of: its entries, and what erasing leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from fhir_gateway.domain.merges import Merge


class HistoryEvent(StrEnum):
    """What an entry of the history tells."""

    OPENED = "opened"
    """The first entry: names the ledger."""
    BEGUN = "begun"
    """A merge's plan was written down, nothing was sent yet."""
    REPLANNED = "replanned"
    """A change was planned anew because the server had overtaken it."""
    SETTLED = "settled"
    """What the server did with some changes, failed ones among them."""
    APPLIED = "applied"
    UNDO_BEGUN = "undo-begun"
    UNDONE = "undone"
    PARTED = "parted"
    """An operator decided that Patients are not one person."""
    ERASED = "erased"
    """A person's data were erased; the entries' hashes stay."""
    KEY = "key"
    """A key that signs checkpoints from now on."""
    CHECKPOINT = "checkpoint"
    """A checkpoint was signed over all entries before this one."""


class Part(StrEnum):
    """What stands beside an entry, each with a salt of its own; the entry holds its salted hash."""

    FACTS = "facts"
    """Who, from where, the merge's state and counts; no patient's data, never erased."""
    PERSON = "person"
    """Identifiers of the person, reasons, conflicts."""
    PLAN = "plan"
    """The group's plan with its rule, scores and evidence."""
    CHANGES = "changes"
    """The rows of planned changes, with the resources before and after."""
    STEPS = "steps"
    """The rows of what the server did."""


ERASABLE = frozenset(Part) - {Part.FACTS}
"""The parts that hold personal data."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry as it is hashed: the leaf of the tree.

    `number` counts from 1, `merge` is 0 where it belongs to none. `parts` are the parts' salted hashes in hex. `notes`
    stand in the entry itself and hold no personal data (the ledger's id, a key, the merges that were erased).
    """

    number: int
    event: HistoryEvent
    merge: int
    at: datetime
    parts: Mapping[Part, str]
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergeFilter:
    """Which merges are asked for; what is "" or None is not asked.

    `nik` and `patient` (a bare id) find merges in which these survived or were replaced, `user` who applied or undid,
    `since` and `until` (both inclusive) merges that were begun or undone then. Decisions that Patients are different
    people are asked for alike; no NIK and no run is known of those.
    """

    nik: str = ""
    patient: str = ""
    run: int | None = None
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """A merge as an auditor sees it: from where it was asked for, and by whom, when and why it was undone.

    `undo_conflicts` are what others had changed meanwhile and how that was decided. With `erased` only what holds no
    personal data is left.
    """

    merge: Merge
    via: str
    undo_user: str = ""
    undo_via: str = ""
    undo_begun: datetime | None = None
    undone: datetime | None = None
    undo_reason: str = ""
    undo_conflicts: tuple[Mapping[str, Any], ...] = ()
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Parting:
    """A decision that Patients are different people, as an auditor sees it.

    `overruled` are merges of two of them that were made afterwards and stand. What was erased has neither Patients nor
    a reason.
    """

    entry: int
    patient_ids: tuple[str, ...]
    user: str
    via: str
    at: datetime
    reason: str
    overruled: tuple[int, ...] = ()
    erased: bool = False


@dataclass(frozen=True, slots=True)
class ToldEntry:
    """An entry with who caused it and from where, as far as it tells."""

    entry: HistoryEntry
    user: str
    via: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased of a person, or would be: merges, and entries that belong to none (decisions to part).

    `applied` are those of the merges that still stood and cannot be undone any more. `jobs` are (job, number) of what
    merge jobs tell of the person's NIKs.
    """

    merges: tuple[int, ...]
    entries: tuple[int, ...]
    applied: tuple[int, ...]
    jobs: tuple[tuple[int, int], ...] = ()
