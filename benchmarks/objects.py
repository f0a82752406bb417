"""The same conversion with fhir.resources objects: every element an object, checked and serialised by its models."""

from typing import Any

from fhir.resources.R4B.address import Address
from fhir.resources.R4B.annotation import Annotation
from fhir.resources.R4B.codeableconcept import CodeableConcept
from fhir.resources.R4B.coding import Coding
from fhir.resources.R4B.contactpoint import ContactPoint
from fhir.resources.R4B.extension import Extension
from fhir.resources.R4B.humanname import HumanName
from fhir.resources.R4B.identifier import Identifier
from fhir.resources.R4B.immunization import (
    Immunization,
    ImmunizationPerformer,
    ImmunizationProtocolApplied,
)
from fhir.resources.R4B.meta import Meta
from fhir.resources.R4B.patient import Patient, PatientContact
from fhir.resources.R4B.reference import Reference

_RESOURCES = {"Patient": Patient, "Immunization": Immunization}
_ELEMENTS: dict[str, Any] = {
    "actor": Reference,
    "address": Address,
    "coding": Coding,
    "contact": PatientContact,
    "extension": Extension,
    "function": CodeableConcept,
    "identifier": Identifier,
    "location": Reference,
    "manufacturer": Reference,
    "meta": Meta,
    "name": HumanName,
    "note": Annotation,
    "patient": Reference,
    "performer": ImmunizationPerformer,
    "programEligibility": CodeableConcept,
    "protocolApplied": ImmunizationProtocolApplied,
    "relationship": CodeableConcept,
    "reportOrigin": CodeableConcept,
    "statusReason": CodeableConcept,
    "telecom": ContactPoint,
    "type": CodeableConcept,
    "valueAddress": Address,
    "vaccineCode": CodeableConcept,
}


def build(resource: dict[str, Any]) -> Any:
    """Build the resource from objects, element by element, as conversions with fhir.resources are written."""
    return _RESOURCES[resource["resourceType"]](
        **{name: _built(name, value) for name, value in resource.items() if name != "resourceType"}
    )


def validate(resource: dict[str, Any]) -> Any:
    """Give the finished dict to the model at once: the least that fhir.resources can be asked to do."""
    return _RESOURCES[resource["resourceType"]].model_validate(resource)


def serialise(model: Any) -> bytes:
    """Return the model's JSON on a line of its own."""
    return model.model_dump_json().encode() + b"\n"


def _built(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_built(name, each) for each in value]
    if isinstance(value, dict):
        return _ELEMENTS[name](**{below: _built(below, each) for below, each in value.items()})
    return value
