"""What Immunizations become."""

from fhir_gateway.bundling import immunizations
from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems

OWN = {"system": systems.DOSE, "value": "own"}
OTHER = {"system": systems.DOSE, "value": "other"}
DOSE = {
    "resourceType": "Immunization",
    "identifier": [OWN],
    "status": "completed",
    "occurrenceDateTime": "2024-03-01",
    "lotNumber": "A1",
}


def test_a_correction_changes_the_corrected_field_alone():
    current = {**DOSE, "id": "9", "patient": {"reference": "Patient/1"}, "note": [{"text": "by others"}]}
    result = immunizations.corrected(current, supplied(DOSE), {**DOSE, "lotNumber": "A2"})
    assert result == {**current, "lotNumber": "A2"}


def test_a_correction_that_changes_nothing_is_none():
    assert immunizations.corrected({**DOSE, "id": "9"}, supplied(DOSE), DOSE) is None


def test_a_correction_leaves_what_others_wrote_over_it():
    assert immunizations.corrected({**DOSE, "lotNumber": "B7"}, supplied(DOSE), {**DOSE, "lotNumber": "A2"}) is None


def test_a_blank_in_a_correction_keeps_the_value():
    new = {name: value for name, value in DOSE.items() if name != "lotNumber"}
    assert immunizations.corrected(DOSE, supplied(DOSE), new) is None


def test_who_gave_the_dose_outranks_who_wrote_it_down():
    written = {**DOSE, "primarySource": False, "reportOrigin": {"text": "record"}, "lotNumber": "?"}
    given = {**DOSE, "identifier": [OTHER], "primarySource": True}
    result = immunizations.improved(written, given)
    assert (result["primarySource"], result["lotNumber"], result["identifier"]) == (True, "A1", [OWN, OTHER])
    assert "reportOrigin" not in result


def test_the_reference_to_the_patient_is_relative():
    assert immunizations.for_patient(DOSE, "12")["patient"] == {"reference": "Patient/12"}
