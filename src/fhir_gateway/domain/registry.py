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
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class PulledVersion:
    """One version of one resource that a client was given; `resource` is `Type/id`, `version` the bare version id."""

    resource: str
    version: str


@dataclass(frozen=True, slots=True)
class Pull:
    """What one request, or one export as a whole, gave to a client."""

    id: int
    client: str
    kind: PullKind
    at: datetime
    resource_type: str
    count: int
