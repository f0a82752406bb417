"""Which rows are rejected where their resources are checked together."""

from fhir_gateway.domain.records import Converted, Dose, Problem, Rejected, SourceRecord, SourceRef, UnreadableRow
from fhir_gateway.flows.load.validating import converted, forget_valid

PATIENT = {"resourceType": "Patient", "birthDate": "2024-02-09"}
DOSE = {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "BCG"}, "occurrenceString": "x"}


class _Converter:
    """Returns what it was given instead of converting rows."""

    def __init__(self, results):
        self._results = results

    def convert_all(self, records):
        return [self._results[record.ref.row] for record in records]


def _checked(*rows):
    """Return what becomes of rows, each given as (Patient, dose) with the Patient's fingerprint, or None for an unreadable one."""
    forget_valid()
    results = {
        row: Converted(SourceRef("f", row), f"k{row}", "c", patient, (Dose("", dose),), fingerprint=fingerprint)
        for row, (patient, dose, fingerprint) in enumerate(rows)
        if patient
    }
    records = [
        SourceRecord(SourceRef("f", row), {})
        if given[0]
        else UnreadableRow(SourceRef("f", row), "", Problem("row-quotes", ""))
        for row, given in enumerate(rows)
    ]
    return [type(result).__name__ for result in converted(records, _Converter(results))]


def test_a_resource_that_is_not_valid_rejects_its_own_row():
    bad_patient, bad_dose = PATIENT | {"birthDate": "yesterday"}, DOSE | {"status": "perhaps"}
    found = _checked(
        (PATIENT, DOSE, "a"), (bad_patient, DOSE, "b"), (None, None, ""), (PATIENT, bad_dose, "a"), (PATIENT, DOSE, "a")
    )
    assert found == ["Converted", "Rejected", "Rejected", "Rejected", "Converted"]


def test_patients_without_a_fingerprint_are_each_checked():
    bad_patient = PATIENT | {"birthDate": "yesterday"}
    assert _checked((bad_patient, DOSE, ""), (PATIENT, DOSE, "")) == ["Rejected", "Converted"]
    assert _checked((PATIENT, DOSE, ""), (bad_patient, DOSE, "")) == ["Converted", "Rejected"]


def test_a_patient_that_was_not_valid_is_not_remembered_as_valid():
    forget_valid()
    bad = Converted(SourceRef("f", 0), "k", "c", PATIENT | {"gender": "?"}, (Dose("", DOSE),), fingerprint="a")
    record = SourceRecord(SourceRef("f", 0), {})
    for _ in range(2):
        (result,) = converted([record], _Converter({0: bad}))
        assert isinstance(result, Rejected)
