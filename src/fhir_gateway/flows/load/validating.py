"""Every resource is checked against FHIR R4 before it goes on; what is not valid is rejected with its place."""

from dataclasses import replace

from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.records import Converted, Dose, MissingDose, Problem, Rejected, Resource
from fhir_gateway.fhir.validation import validate

_ANY_PATIENT = "pending"


def validated(result: Converted | Rejected) -> Converted | Rejected:
    """Return the record if its resources are valid FHIR R4: an invalid Patient rejects it, an invalid dose the dose."""
    if isinstance(result, Rejected):
        return result
    if problems := _problems(result.patient):
        return Rejected(result.ref, problems, key=result.key, unmapped=result.unmapped, nik_cells=result.nik_cells)
    checked = [(dose, _problems(for_patient(dose.resource, _ANY_PATIENT))) for dose in result.doses]
    if not any(problems for _, problems in checked):
        return result
    valid: tuple[Dose, ...] = tuple(dose for dose, problems in checked if not problems)
    missing = tuple(MissingDose(dose.name, problems[0]) for dose, problems in checked if problems)
    if len(result.doses) == 1 and not result.doses[0].name:
        return Rejected(result.ref, checked[0][1], key=result.key, unmapped=result.unmapped, nik_cells=result.nik_cells)
    return replace(result, doses=valid, missing=(*result.missing, *missing))


def _problems(resource: Resource) -> tuple[Problem, ...]:
    return validate(resource)
