"""What of a Patient and of a shared dose is whose."""

import pytest

from fhir_gateway.bundling.digests import supplied
from fhir_gateway.bundling.parting import dose_of_its_own, said_by, without, without_dose_identifiers
from fhir_gateway.bundling.patients import Said, combined, enriched
from fhir_gateway.domain import systems

RIGHT = {
    "resourceType": "Patient",
    "gender": "female",
    "birthDate": "2020-03-12",
    "name": [{"use": "official", "text": "Rina Rekaan"}],
    "identifier": [{"use": "official", "system": systems.NIK, "value": "3303015203200003"}],
    "telecom": [{"system": "phone", "value": "+6281210001001", "use": "mobile"}],
}
WRONG = {
    "resourceType": "Patient",
    "gender": "female",
    "birthDate": "2020-03-12",
    "name": [{"use": "official", "text": "Rini Rekaan"}],
    "identifier": [{"use": "official", "system": systems.NIK, "value": "3303015203200004"}],
    "telecom": [{"system": "phone", "value": "+6281210009999", "use": "mobile"}],
}


@pytest.fixture
def joined():
    """Return the Patient that the gateway made of both."""
    return enriched(combined([Said(RIGHT)], identifier="abc"), WRONG)


def test_what_was_said_comes_back_as_it_was_said(joined):
    said = said_by(joined, supplied(WRONG))
    assert (said.patient, said.complete) == (WRONG, True)


def test_what_was_never_added_is_known_to_be_missing(joined):
    said = said_by(joined, supplied({**WRONG, "address": [{"text": "Desa Rekaan"}]}))
    assert not said.complete
    assert "address" not in said.patient


def test_a_name_that_differs_in_capitals_stands_in_the_patients_form(joined):
    said = said_by(joined, supplied({**WRONG, "name": [{"use": "official", "text": "RINA REKAAN"}]}))
    assert said.patient["name"][0]["text"] == "Rina Rekaan"
    assert not said.complete


def test_only_what_nobody_else_said_is_taken_out(joined):
    cleaned = without(joined, [supplied(WRONG)], [supplied(RIGHT)])
    assert cleaned.patient == combined([Said(RIGHT)], identifier="abc")
    assert cleaned.left == ()


def test_a_patient_whom_others_made_keeps_everything(joined):
    foreign = {**joined, "identifier": [i for i in joined["identifier"] if i["system"] != systems.PERSON]}
    cleaned = without(foreign, [supplied(WRONG)], [])
    assert cleaned.patient == foreign
    assert set(cleaned.left) >= {"name", "identifier", "telecom"}


def test_a_field_stays_where_another_record_may_have_said_the_same(joined):
    capitals = {**RIGHT, "name": [{"use": "official", "text": "RINI REKAAN"}]}
    cleaned = without(joined, [supplied(WRONG)], [supplied(capitals)])
    assert cleaned.patient["name"] == joined["name"]
    assert "name" in cleaned.left


def test_the_last_name_is_never_taken_out():
    alone = combined([Said(WRONG)], identifier="abc")
    assert without(alone, [supplied(WRONG)], []).patient["name"] == WRONG["name"]


def test_a_copy_of_a_dose_says_what_its_own_record_said():
    own = {"status": "completed", "occurrenceDateTime": "2020-04-15", "vaccineCode": {"text": "BCG"}}
    shared = {**own, "id": "1", "lotNumber": "B100", "patient": {"reference": "Patient/1"}}
    copy = dose_of_its_own(shared, supplied(own), identifier="mine", source="urn:x")
    assert copy == {**own, "meta": {"source": "urn:x"}, "identifier": [{"system": systems.DOSE, "value": "mine"}]}


def test_a_shared_dose_keeps_the_identifier_of_the_record_that_stays():
    dose = {"identifier": [{"system": systems.DOSE, "value": "gone"}]}
    assert without_dose_identifiers(dose, ["gone"], "own")["identifier"] == [{"system": systems.DOSE, "value": "own"}]
    assert without_dose_identifiers(dose, ["another"], "own") is dose
