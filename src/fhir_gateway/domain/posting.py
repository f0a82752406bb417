"""What is sent to a FHIR server, and what it answered, entry by entry."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_gateway.domain.records import Resource

FIRST_VERSION = "1"
"""The version of a resource that nobody has written to since it was created; what servers count otherwise does not tell."""


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """One entry of a batch. `key` is the caller's own name for it and comes back in the outcome.

    A create is `method="POST"`, `url="Patient"`, `if_none_exist="identifier=<system>|<value>"` (raw, not encoded);
    an update is `method="PUT"`, `url="Patient/<id>"`, `if_match="<bare version id>"`.
    """

    key: str
    method: str
    url: str
    resource: Resource
    if_none_exist: str = ""
    if_match: str = ""


class EntryKind(StrEnum):
    """How an entry ended."""

    CREATED = "created"
    EXISTED = "existed"
    UPDATED = "updated"
    CHANGED_MEANWHILE = "changed-meanwhile"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class EntryOutcome:
    """What the server did with one entry.

    CHANGED_MEANWHILE: If-Match did not hold (409, 412), read again and decide again. REFUSED: permanent, `message`
    is the server's OperationOutcome in plain words without a patient's data. UNAVAILABLE: the server could not be
    reached within the environment's patience, or kept failing; it can be sent again.
    """

    key: str
    kind: EntryKind
    resource_id: str = ""
    version_id: str = ""
    status: int = 0
    message: str = ""


class Locking(StrEnum):
    """How a write is kept from overwriting what somebody else wrote meanwhile, on a server."""

    BATCH = "batch"
    """If-Match holds inside of batch bundles."""
    SINGLE = "single"
    """If-Match holds for requests of their own only."""
    COMPARE = "compare"
    """If-Match is ignored, or nobody knows: what is to be written is read right before, and a moment's danger is left."""
