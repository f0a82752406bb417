"""What a registry's client is, what it may pull, and what is kept of each pull."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A granted SMART v2 system scope: reading (`r`), searching (`s`) or both of one type, or of every type (`*`)."""

    resource_type: str
    permissions: str

    def __str__(self) -> str:
        return f"system/{self.resource_type}.{self.permissions}"


@dataclass(frozen=True, slots=True)
class RegistryClient:
    """A registered client of one environment. It has a JWKS URL or its public keys (`jwks`, JSON), never both."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    registered: datetime
    jwks_url: str = ""
    jwks: str = ""
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Puller:
    """Who asks, as an access token says: `token` is the token's own id (jti), never the token itself."""

    client: str
    environment: str
    scopes: tuple[Scope, ...]
    token: str
    expires: datetime


class PullKind(StrEnum):
    """How data left."""

    READ = "read"
    SEARCH = "search"
    HISTORY = "history"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class PulledVersion:
    """One version of one resource that a client was given; `resource` is `Type/id`, `version` the bare version id."""

    resource: str
    version: str


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for what: `query` is the raw query string or body (it may name a person), `address` the client's.

    Of a reading, `query` is `Type/id`.
    """

    client: str
    token: str
    kind: PullKind
    resource_type: str
    query: bytes
    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request was answered with: `versions` of resources, `count` of them, the `patients` (ids) whom it told of."""

    request: Request
    count: int
    versions: tuple[PulledVersion, ...] = ()
    patients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pull:
    """What one request, or one export as a whole, gave to a client; `count` is of resources."""

    id: int
    request: Request
    count: int


@dataclass(frozen=True, slots=True)
class PullFilter:
    """Which pulls are asked for; what is left empty is not asked. `patients` are bare ids, any of which was told of."""

    client: str = ""
    patients: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One pull and one Patient (bare id) whom it told of; "" for a pull of nobody, and for an export as a whole."""

    pull: Pull
    patient: str


class RecallReason(StrEnum):
    """Why a resource that a client may have was wrong."""

    UNLINKED = "unlinked"
    """A link was taken apart: the dose was another person's."""
    MERGE_UNDONE = "merge-undone"
    """A merge was taken back: what had moved is the former person's again."""
    MERGED = "merged"
    """A merge moved it, or made it entered-in-error as the same dose as another."""
    CORRECTED = "corrected"
    """A correction of its own record took the dose back: it was not given, or entered in error."""
    WITHDRAWN = "withdrawn"
    """Somebody took the dose back on the FHIR server itself."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A resource that was put right: `version` is the right one, "" where it is not known.

    `wrong` are the versions that are not; none named: all others.
    """

    resource: str
    version: str
    wrong: frozenset[str] = frozenset()

    def takes_back(self, version: str) -> bool:
        """Say whether whoever has this version has a wrong one."""
        return version in self.wrong if self.wrong else version != self.version


@dataclass(frozen=True, slots=True)
class Recall:
    """A client has a version that was taken back. `settled` is when it pulled a newer one, None while it has not."""

    client: str
    resource: str
    version: str
    pulled: datetime
    reason: RecallReason
    noted: datetime
    settled: datetime | None = None
