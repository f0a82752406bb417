"""What Immunizations become."""

from fhir_gateway.bundling import immunizations
from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose

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


REFUSED = {
    "resourceType": "Immunization",
    "identifier": [OWN],
    "status": "not-done",
    "statusReason": {"text": "Ditolak"},
    "extension": [{"url": "as-written", "valueString": "aturan_pakai: Ditolak"}],
    "occurrenceDateTime": "2024-03-01",
}
GIVEN = {**DOSE, "protocolApplied": [{"doseNumberPositiveInt": 1}]}


def test_a_refused_dose_that_was_given_after_all_has_no_reason_left():
    result = immunizations.corrected({**REFUSED, "id": "9"}, supplied(REFUSED), GIVEN)
    assert result == {**GIVEN, "id": "9"}


def test_a_dose_that_was_refused_after_all_has_neither_number_nor_lot_left():
    result = immunizations.corrected({**GIVEN, "id": "9"}, supplied(GIVEN), REFUSED)
    assert result == {**REFUSED, "id": "9"}


def test_what_others_wrote_stays_with_a_dose_that_was_refused_after_all():
    noted = [{"url": "other", "valueString": "by others"}]
    result = immunizations.corrected({**GIVEN, "extension": noted, "lotNumber": "B7"}, supplied(GIVEN), REFUSED)
    assert (result["extension"], result["lotNumber"]) == (noted, "B7")
    assert "protocolApplied" not in result


def test_a_status_that_no_cell_tells_says_nothing_against_a_refusal():
    blank = Dose("", {name: value for name, value in DOSE.items() if name != "lotNumber"}, assumed=True)
    assert immunizations.corrected(REFUSED, supplied(REFUSED), blank.stated) is None


def test_a_time_that_the_server_keeps_in_utc_is_the_same():
    local = {**DOSE, "occurrenceDateTime": "2024-03-01T08:30:00+07:00"}
    stored = {**DOSE, "occurrenceDateTime": "2024-03-01T01:30:00.000Z"}
    assert immunizations.corrected(stored, supplied(stored), local) is None


SHORT = {name: value for name, value in DOSE.items() if name != "lotNumber"}
FULL = {
    **DOSE,
    "identifier": [OTHER],
    "occurrenceDateTime": "2024-03-01T08:30:00+07:00",
    "expirationDate": "2025-01-01",
    "protocolApplied": [{"doseNumberPositiveInt": 1}],
}
FILLED = {**FULL, "identifier": [OWN]}


def test_a_dose_gets_what_it_lacks_of_another_record_of_it():
    assert immunizations.completed(SHORT, FULL) == FILLED
    assert immunizations.completed(FILLED, FULL) is None
    assert immunizations.completed(FULL, SHORT) is None
    assert immunizations.completed({**SHORT, "lotNumber": "Z"}, FULL)["lotNumber"] == "Z"
    assert "expirationDate" not in immunizations.completed({**SHORT, "lotNumber": "Z"}, FULL)  # of another lot


def test_a_dose_of_another_system_is_left_as_it_is():
    assert immunizations.completed({**SHORT, "identifier": [{"system": "theirs", "value": "1"}]}, FULL) is None


def test_who_gave_the_dose_but_not_when_leaves_its_time():
    assert immunizations.improved({**FULL, "primarySource": False}, {**SHORT, "primarySource": True}) == {
        **FULL,
        "identifier": [OTHER, OWN],
        "primarySource": True,
    }


def test_a_completed_dose_is_still_corrected_by_its_own_source():
    later = {**SHORT, "occurrenceDateTime": "2024-03-02"}
    assert immunizations.corrected(FILLED, supplied(SHORT), later) == {**FILLED, "occurrenceDateTime": "2024-03-02"}
    assert immunizations.corrected(FILLED, supplied(FILLED), SHORT) is None


def test_what_one_record_completed_is_taken_back_but_what_others_say_stays():
    assert immunizations.without_completion(FILLED, supplied(FULL), [supplied(SHORT)]) == SHORT
    assert immunizations.without_completion(FILLED, supplied(FULL), [supplied(SHORT), supplied(FULL)]) == FILLED
    assert immunizations.without_completion({**FILLED, "lotNumber": "Z"}, supplied(FULL), [supplied(SHORT)]) == {
        **SHORT,
        "lotNumber": "Z",
    }
