"""What the history of merges is made of: its entries, and what erasing leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


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
