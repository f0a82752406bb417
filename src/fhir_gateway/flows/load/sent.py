"""What a person and a dose on the way to the server are, and what has become of them so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_gateway.domain.identity import PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import KnownKey, SpooledRecord


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a person's Patient is not on the server; `again` says that it can simply be sent again."""

    text: str
    again: bool


@dataclass(slots=True)
class PersonPost:
    """One person on the way to the server: its decision, records, and what has become of it so far."""

    number: int
    decision: PersonDecision
    identifier: str
    records: list[SpooledRecord]
    known: Mapping[str, KnownKey]
    patient_id: str = ""
    patient: Resource = field(default_factory=dict)
    created: bool = False
    existed: bool = False
    """A Patient with its identifier was there already: an earlier run was cut off before it noted that."""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class DoseResult:
    """How one dose ended: LOADED with its Immunization's id, REVIEW, or FAILED with the server's words.

    `again` says that it can simply be sent again.
    """

    number: int
    name: str
    outcome: Outcome
    immunization_id: str = ""
    code: str = ""
    text: str = ""
    suggestion: str = ""
    again: bool = False
    version: str = ""
    """Of a dose that its own record has changed, or found changed so: the version that the server has now."""
