"""A bulk export as it is kept: what was asked for, how far it has come, and the files that it has made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class ExportState(StrEnum):
    """How far an export has come; one that is RUNNING goes on when the server starts again."""

    RUNNING = "running"
    FINISHED = "finished"


class FileKind(StrEnum):
    """Where in the manifest a file stands."""

    OUTPUT = "output"
    DELETED = "deleted"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One NDJSON file: `count` lines in `size` bytes; `name` is opaque, `resource_type` what each line is."""

    name: str
    kind: FileKind
    resource_type: str
    count: int = 0
    size: int = 0
    full: bool = False
    """No more is written to it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an export has come, with everything that it needs to go on from there.

    `step` is the number of the step that is next or under way, `cursor` where that step stands (its own words).
    `transaction_time` is None until it is known. `failed` are types that could not be exported: their files are gone,
    `error` files say why.
    """

    step: int = 0
    cursor: tuple[str, ...] = ()
    transaction_time: datetime | None = None
    files: tuple[ExportFile, ...] = ()
    failed: tuple[str, ...] = ()
    written: int = 0
    said: str = ""


@dataclass(frozen=True, slots=True)
class ExportJob:
    """A kept export of a client; `order` is what was asked for as JSON, `request` the address as it was called."""

    id: str
    client: str
    pull: int
    request: str
    order: Mapping[str, Any]
    state: ExportState
    created: datetime
    checkpoint: Checkpoint
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """What makes a person a member of a group: `source` is the resource (`Type/id`) that says so, since `joined`."""

    source: str
    group: str
    patient: str
    joined: datetime
