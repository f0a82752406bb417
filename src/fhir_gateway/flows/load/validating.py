"""Every resource is checked against FHIR R4 before it goes on; what is not valid is rejected with its place."""

from collections.abc import Sequence

from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import (
    Converted,
    Dose,
    MissingDose,
    Rejected,
    SourceRecord,
    UnreadableRow,
)
from fhir_gateway.fhir.json_text import fingerprint
from fhir_gateway.fhir.validation import are_valid, is_valid, validate
from fhir_gateway.flows.load.tools import Converter

_ANY_PATIENT = "pending"
_OF_ANY_PATIENT = for_patient({}, _ANY_PATIENT)
_VALID_PATIENTS: Recent[str, bool] = Recent(4096)
"""Fingerprints of Patients that were found valid: all rows of a person have the same one."""


def forget_valid() -> None:
    """Forget which Patients were found valid lately."""
    _VALID_PATIENTS.forget()


def converted(records: Sequence[SourceRecord | UnreadableRow], convert: Converter) -> list[Converted | Rejected]:
    """Return what becomes of each row, checked: rows go each leg together, which is quicker than one by one."""
    results = iter(convert.convert_all([record for record in records if isinstance(record, SourceRecord)]))
    told = [
        next(results) if isinstance(record, SourceRecord) else Rejected(record.ref, (record.problem,))
        for record in records
    ]
    kept = [result for result in told if isinstance(result, Converted)]
    if _are_valid(kept):
        return told
    return [validated(result) for result in told]


def _are_valid(results: Sequence[Converted]) -> bool:
    """Tell whether all resources of records are valid; Patients that were found valid lately are not checked again."""
    patients = {result.fingerprint or fingerprint(result.patient): result.patient for result in results}
    found = _VALID_PATIENTS.get_all(list(patients))
    new = {one: patients[one] for one, valid in zip(patients, found, strict=True) if not valid}
    doses = [dose.resource for result in results for dose in result.doses]
    if not (are_valid("Patient", new.values()) and are_valid("Immunization", doses, beside=_OF_ANY_PATIENT)):
        return False
    _VALID_PATIENTS.keep_all(dict.fromkeys(new, True))
    return True


def validated(result: Converted | Rejected) -> Converted | Rejected:
    """Return the record if its resources are valid FHIR R4: an invalid Patient rejects it, an invalid dose the dose."""
    if isinstance(result, Rejected):
        return result
    if problems := validate(result.patient):
        return Rejected(result.ref, problems, key=result.key, unmapped=result.unmapped, nik_cells=result.nik_cells)
    for dose in result.doses:
        if not is_valid(for_patient(dose.resource, _ANY_PATIENT)):
            return _with_valid_doses(result)
    return result


def _with_valid_doses(result: Converted) -> Converted | Rejected:
    checked = [(dose, validate(for_patient(dose.resource, _ANY_PATIENT))) for dose in result.doses]
    valid: tuple[Dose, ...] = tuple(dose for dose, problems in checked if not problems)
    missing = tuple(MissingDose(dose.name, problems[0]) for dose, problems in checked if problems)
    if len(result.doses) == 1 and not result.doses[0].name:
        return Rejected(result.ref, checked[0][1], key=result.key, unmapped=result.unmapped, nik_cells=result.nik_cells)
    return result._replace(doses=valid, missing=(*result.missing, *missing))
