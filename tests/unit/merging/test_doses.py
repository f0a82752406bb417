from zoneinfo import ZoneInfo

import pytest
from tests.fakes.fhir_samples import sample_immunization

from fhir_gateway.domain import systems
from fhir_gateway.fhir.validation import validate
from fhir_gateway.merging.doses import merge_doses

ZONE = ZoneInfo("Asia/Jakarta")


def dose(dose_id, patient, **elements):
    resource = sample_immunization(f"Patient/{patient}") | {"id": dose_id, "identifier": []} | elements
    return patient, {name: value for name, value in resource.items() if value not in (None, [])}


def merged(*doses, survivor="s"):
    result = merge_doses(doses, survivor, zone=ZONE)
    assert all(validate(changed) == () for changed in result.changed.values())
    return result


def pairs(result):
    return [(pair.kept, pair.in_error) for pair in result.duplicates]


def codes(result):
    return [conflict.code for conflict in result.conflicts]


def test_the_same_dose_of_two_patients_becomes_one():
    result = merged(dose("1", "s"), dose("2", "r"))
    assert pairs(result) == [("1", "2")]
    assert result.changed["1"]["status"] == "completed"
    assert result.changed["2"]["status"] == "entered-in-error"
    assert result.conflicts == ()


def test_different_doses_stay():
    assert merged(dose("1", "s"), dose("2", "r", occurrenceDateTime="2024-02-02")).changed == {}
    assert merged(dose("1", "s"), dose("2", "r", lotNumber="ANOTHER")).changed == {}


def test_a_day_is_a_day_where_the_people_live():
    night = dose("2", "r", occurrenceDateTime="2024-01-01T20:00:00+00:00")
    assert pairs(merged(dose("1", "s"), night)) == [("1", "2")]


def test_doses_of_one_patient_are_not_this_merges_matter():
    assert merged(dose("1", "r"), dose("2", "r")).changed == {}


def test_the_fuller_dose_stays_whoever_has_it():
    sparse = dose("1", "s", expirationDate=None, performer=None, note=None, reaction=None)
    assert pairs(merged(sparse, dose("2", "r"))) == [("2", "1")]


def test_what_the_giver_recorded_stays_although_a_transcript_is_fuller():
    given = dose("2", "r", expirationDate=None, performer=None, note=None, reaction=None)
    assert pairs(merged(dose("1", "s", primarySource=False), given)) == [("2", "1")]


def test_at_a_tie_the_survivors_own_dose_stays():
    assert pairs(merged(dose("1", "r"), dose("2", "s"))) == [("2", "1")]


def test_the_kept_dose_takes_over_identifiers_each_once():
    shared, other = {"system": "urn:a", "value": "1"}, {"system": "urn:a", "value": "2"}
    result = merged(dose("1", "s", identifier=[shared]), dose("2", "r", identifier=[shared, other]))
    assert result.changed["1"]["identifier"] == [shared, other]
    assert result.changed["2"]["identifier"] == [shared, other]


def test_the_gateways_own_identifier_means_the_kept_dose_only():
    own = {"system": systems.DOSE, "value": "opaque"}
    result = merged(dose("1", "s"), dose("2", "r", identifier=[own], note=None))
    assert result.changed["1"]["identifier"] == [own]
    assert "identifier" not in result.changed["2"]


def test_the_kept_dose_takes_over_the_lot_that_it_lacks():
    bare = dose("1", "s", lotNumber=None, expirationDate=None)
    poorer = dose("2", "r", primarySource=None)
    kept = merged(bare, poorer).changed["1"]
    assert (kept["lotNumber"], kept["expirationDate"]) == ("LOT-1", "2025-12")


def test_an_expiry_date_is_not_taken_from_another_lot():
    one = dose("1", "s", lotNumber="BATCH-20240102083000", expirationDate=None)
    result = merged(one, dose("2", "r", primarySource=None))
    assert pairs(result) == [("1", "2")]
    assert "expirationDate" not in result.changed["1"]


def test_three_records_of_one_dose_become_one():
    assert pairs(merged(dose("1", "s"), dose("2", "a"), dose("3", "b"))) == [("1", "2"), ("1", "3")]


def test_a_dose_that_fits_two_different_ones_is_doubtful_and_all_stay():
    first = dose("1", "s", protocolApplied=[{"doseNumberPositiveInt": 1}])
    second = dose("2", "s", protocolApplied=[{"doseNumberPositiveInt": 2}])
    result = merged(first, second, dose("3", "r", protocolApplied=None))
    assert result.changed == {}
    assert codes(result) == ["dose-fits-two"]


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"status": "entered-in-error"}, "dose-entered-in-error"),
        ({"occurrenceDateTime": "2024-01"}, "dose-date-partial"),
    ],
)
def test_doubtful_doses_stay_and_are_listed_without_blocking(elements, code):
    result = merged(dose("1", "s"), dose("2", "r", **elements))
    assert result.changed == {}
    assert codes(result) == [code]
    assert not result.conflicts[0].blocks
    assert result.conflicts[0].resources == ("Immunization/1", "Immunization/2")


def test_doses_that_are_both_in_error_are_left_alone():
    result = merged(dose("1", "s", status="entered-in-error"), dose("2", "r", status="entered-in-error"))
    assert (result.changed, result.conflicts) == ({}, ())


def test_the_order_of_the_doses_does_not_matter():
    doses = [dose("1", "s"), dose("2", "a"), dose("3", "b", lotNumber=None)]
    assert merged(*doses) == merged(*reversed(doses))
