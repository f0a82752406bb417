"""What the OpenAPI document says of what registries and auditors are answered: FHIR, and what SMART and Bulk Data define."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class FhirResource(BaseModel):
    """A FHIR R4 resource: https://hl7.org/fhir/R4/resourcelist.html."""

    model_config = ConfigDict(extra="allow")

    resource_type: str = Field(alias="resourceType")


class BundleLink(BaseModel):
    """Where another page is."""

    relation: str
    url: str


class BundleEntry(BaseModel):
    """A resource of a Bundle."""

    model_config = ConfigDict(extra="allow")

    resource: FhirResource | None = None


class FhirBundle(BaseModel):
    """A page of resources: https://hl7.org/fhir/R4/bundle.html."""

    model_config = ConfigDict(extra="allow")

    resource_type: Literal["Bundle"] = Field(alias="resourceType")
    type: Literal["searchset", "history"]
    total: int = 0
    link: list[BundleLink] = []
    entry: list[BundleEntry] = []


class SmartConfiguration(BaseModel):
    """How a client gets in: https://hl7.org/fhir/smart-app-launch/conformance.html."""

    issuer: str
    jwks_uri: str
    token_endpoint: str
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    grant_types_supported: list[str]
    scopes_supported: list[str]
    response_types_supported: list[str]
    code_challenge_methods_supported: list[str]
    capabilities: list[str]


class KeySet(BaseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, Any]]


class AccessToken(BaseModel):
    """An access token (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int = Field(description="In seconds.")
    scope: str


class ExportedFile(BaseModel):
    """A file of an export."""

    type: str
    url: str
    count: int


class ExportManifest(BaseModel):
    """What an export came to: https://hl7.org/fhir/uv/bulkdata/."""

    transaction_time: AwareDatetime = Field(alias="transactionTime")
    request: str
    requires_access_token: bool = Field(alias="requiresAccessToken")
    output: list[ExportedFile]
    deleted: list[ExportedFile] = []
    error: list[ExportedFile]


class EnvironmentState(BaseModel):
    """Of one environment."""

    ledger: bool
    fhir_server: bool


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Readiness(BaseModel):
    """Whether every environment can be worked with."""

    status: Literal["ready", "not ready"]
    environments: dict[str, EnvironmentState]
