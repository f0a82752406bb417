"""What a person and a dose on the way to the server are, and what has become of them so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_gateway.domain.identity import PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Correction
from fhir_gateway.domain.runs import KnownKey, SpooledRecord, WrittenResource
from fhir_gateway.flows.load.failing import Failure


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a person's Patient, or not all that belongs to it, is on the server: the reason, and the words."""

    failure: Failure
    text: str


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
    refusal: Refusal | None = None
    written: tuple[WrittenResource, ...] = ()
    """What was done with the Patient on the server, in order."""


@dataclass(frozen=True, slots=True)
class DoseResult:
    """How one dose ended: LOADED with its Immunization's id, REVIEW, or FAILED with the server's words."""

    number: int
    name: str
    outcome: Outcome
    immunization_id: str = ""
    code: str = ""
    text: str = ""
    suggestion: str = ""
    version: str = ""
    """Of a dose that its own record has changed, or found changed so: the version that the server has now."""
    written: tuple[WrittenResource, ...] = ()
    withdrawn: Correction | None = None
    """What stood for this record before, and is entered in error since."""
    supplied_before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What this record has supplied by then, where the ledger does not know it but the server tells it."""
    along: tuple[tuple[str, str], ...] = ()
    """Other records' doses (key, name) that stood where this record's did, and stand for this one now."""
