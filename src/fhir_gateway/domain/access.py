"""Who may use what is served: access keys of people and programs, and their roles."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What the holder of an access key may do in its environment."""

    OPERATOR = "operator"
    """Reads, merges and undoes."""
    AUDITOR = "auditor"
    """Reads, and changes nothing."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key as the ledger knows it: its secret's SHA-256 is all that is kept of it.

    `id` is eight hex digits and no secret: it is part of the key, so that one is found without comparing secrets.
    `digest` is SHA-256 in hex over the whole key.
    """

    id: str
    name: str
    role: Role
    digest: str
    created: datetime
    revoked: datetime | None = None
