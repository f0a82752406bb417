"""How one environment's FHIR server is spoken to; the names are the keys of the environment's TOML file."""

from dataclasses import dataclass, field
from typing import Literal

BundleType = Literal["batch", "transaction", "auto"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A resolved secret that no repr, log or traceback shows."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class NoAuth:
    """The server asks for no credentials."""


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A fixed token, sent as `Authorization: Bearer …`."""

    token: Secret


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User name and password, sent as `Authorization: Basic …`."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class ClientCredentialsAuth:
    """OAuth 2.0 client credentials (RFC 6749, 4.4); SATUSEHAT's form of it differs only in what it tolerates."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str = ""


AuthPolicy = NoAuth | BearerAuth | BasicAuth | ClientCredentialsAuth


@dataclass(frozen=True, slots=True)
class FhirServerPolicy:
    """One FHIR server. Times are in seconds; 0 means no limit for `requests_per_second` and `wait_for_server`.

    `masked_identifiers`: the server answers a search by NIK with masked NIKs, so who was asked for can only be told
    when each search asks for one.
    """

    base_url: str
    batch_size: int = 100
    max_in_flight: int = 4
    requests_per_second: float = 0
    bundle_type: BundleType = "batch"
    timeout: float = 30
    wait_for_server: float = 600
    masked_identifiers: bool = False
    auth: AuthPolicy = NoAuth()
