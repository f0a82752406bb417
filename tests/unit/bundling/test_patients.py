"""What Patients become; all people are invented."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.bundling import patients
from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems

NIK = {"use": "official", "system": systems.NIK, "value": "3303014501900001"}
OTHER_NIK = {"use": "official", "system": systems.NIK, "value": "3303014501900002"}
DAMAGED = {"system": systems.NIK_AS_WRITTEN, "value": "3,30301E+15"}
PHONE = {"system": "phone", "value": "+6281200000001"}
OTHER_PHONE = {"system": "phone", "value": "+6281200000002"}


def patient(**fields):
    return {"resourceType": "Patient", "name": [{"text": "Wulan Sari"}], "birthDate": "1990-01-05", **fields}


def test_a_match_adds_what_the_patient_lacks():
    current = {"resourceType": "Patient", "id": "7", "name": [{"text": "Wulan Sari"}]}
    result = patients.enriched(current, patient(identifier=[NIK], telecom=[PHONE], gender="female"))
    assert result == {
        **current,
        "birthDate": "1990-01-05",
        "identifier": [NIK],
        "telecom": [PHONE],
        "gender": "female",
    }


def test_a_match_that_adds_nothing_changes_nothing():
    current = patient(identifier=[NIK], telecom=[PHONE])
    assert patients.enriched(current, patient(telecom=[PHONE])) is None


@pytest.mark.parametrize("there", [{"value": "0812-0000-0001"}, {"use": "old", "value": "+62 81200000001"}])
def test_a_phone_that_is_there_in_another_form_or_as_an_old_one_is_not_added(there):
    current = patient(telecom=[{"system": "phone", **there}])
    assert patients.enriched(current, patient(telecom=[PHONE])) is None
    assert len(patients.enriched(current, patient(telecom=[OTHER_PHONE]))["telecom"]) == 2


def test_a_match_never_overwrites():
    current = patient(gender="female", address=[{"text": "Desa Bukateja RT 1"}])
    addition = patient(gender="male", birthDate="1991-01-05", address=[{"text": "Bukateja"}])
    assert patients.enriched(current, addition) is None


def test_a_nik_that_a_spreadsheet_damaged_replaces_no_whole_one():
    nik = {"use": "official", "system": systems.NIK, "value": "3303015203200017"}
    current, before = patient(identifier=[nik]), supplied(patient(identifier=[nik]))
    for damaged in ("3303015203200010", "3303015203200020"):
        wrong = patient(identifier=[{**nik, "value": damaged}])
        assert patients.corrected(current, before, wrong) is None
        assert patients.enriched(current, wrong) is None
    other = patient(identifier=[{**nik, "value": "3303015203200025"}])
    assert patients.corrected(current, before, other)["identifier"][0] == {**nik, "value": "3303015203200025"}


def test_who_has_moved_has_an_address_more():
    current = patient(address=[{"text": "Desa Bukateja RT 1"}])
    moved = patients.enriched(current, patient(address=[{"text": "Kutasari"}]))
    assert [address["text"] for address in moved["address"]] == ["Desa Bukateja RT 1", "Kutasari"]
    assert patients.enriched(moved, patient(address=[{"text": "KUTASARI RT 3"}])) is None
    assert patients.enriched(moved, patient(address=[{"text": "-"}])) is None


def test_another_spelling_is_kept_as_an_earlier_name():
    result = patients.enriched(patient(), patient(name=[{"text": "Wulan Sarie"}]))
    assert result["name"] == [{"text": "Wulan Sari"}, {"text": "Wulan Sarie", "use": "old"}]


def test_a_newborn_that_gets_its_own_name_keeps_the_first_one_as_old():
    newborn = patient(name=[{"use": "temp", "text": "By. Ny. Sari"}])
    result = patients.enriched(newborn, patient(name=[{"use": "official", "text": "Bagas"}]))
    assert result["name"] == [{"use": "official", "text": "Bagas"}, {"use": "old", "text": "By. Ny. Sari"}]


@pytest.mark.parametrize(
    "known", [{"use": "official", "text": "By. Ny. Sari"}, {"given": ["Bayi", "Ny"], "family": "Sari"}]
)
def test_a_newborn_that_another_system_named_gets_its_own_name(known):
    result = patients.enriched(patient(name=[known]), patient(name=[{"use": "official", "text": "Bagas"}]))
    assert result["name"] == [{"use": "official", "text": "Bagas"}, {**known, "use": "old"}]


def test_a_later_row_under_the_mothers_name_takes_no_childs_name_away():
    result = patients.enriched(patient(), patient(name=[{"text": "By. Ny. Sari"}]))
    assert result["name"] == [{"text": "Wulan Sari"}, {"text": "By. Ny. Sari", "use": "old"}]


def test_a_second_nik_is_secondary():
    result = patients.enriched(patient(identifier=[NIK]), patient(identifier=[OTHER_NIK]))
    assert result["identifier"] == [NIK, {**OTHER_NIK, "use": "secondary"}]


def test_a_damaged_nik_adds_nothing_to_a_good_one():
    assert patients.enriched(patient(identifier=[NIK]), patient(identifier=[DAMAGED])) is None


def test_a_correction_changes_only_what_its_source_changed():
    before = patient(telecom=[PHONE], gender="male")
    current = {**before, "id": "7", "address": [{"text": "added by others"}]}
    result = patients.corrected(current, supplied(before), patient(telecom=[PHONE], gender="female"))
    assert result == {**current, "gender": "female"}


def test_a_correction_does_not_touch_what_others_wrote_meanwhile():
    before = patient(gender="male")
    current = {**before, "gender": "other"}
    assert patients.corrected(current, supplied(before), patient(gender="female")) is None


def test_a_corrected_phone_comes_first_and_the_wrong_one_stays_as_old():
    before = patient(telecom=[PHONE])
    result = patients.corrected(before, supplied(before), patient(telecom=[OTHER_PHONE]))
    assert result["telecom"] == [OTHER_PHONE, {**PHONE, "use": "old"}]


def test_a_nik_that_is_corrected_to_the_one_that_another_source_tells_is_no_second_number_any_more():
    before, wrong = patient(identifier=[OTHER_NIK]), {**OTHER_NIK, "use": "secondary"}
    current = patients.enriched(patient(identifier=[NIK]), before)
    assert current["identifier"] == [NIK, wrong]
    result = patients.corrected(current, supplied(before), patient(identifier=[NIK]))
    assert result["identifier"] == [NIK, {**wrong, "use": "old"}]


def test_a_phone_that_is_corrected_to_the_one_that_another_source_tells_is_an_earlier_one():
    before = patient(telecom=[PHONE])
    current = patients.enriched(patient(telecom=[OTHER_PHONE]), before)
    result = patients.corrected(current, supplied(before), patient(telecom=[OTHER_PHONE]))
    assert result["telecom"] == [OTHER_PHONE, {**PHONE, "use": "old"}]


def test_a_mother_who_is_corrected_to_the_one_that_another_source_tells_stands_once():
    mothers = [{"relationship": [{"coding": [{"code": "MTH"}]}], "name": {"text": text}} for text in ("Sti", "Siti")]
    before = patient(contact=mothers[:1])
    current = patients.enriched(patient(contact=mothers[1:]), before)
    assert patients.corrected(current, supplied(before), patient(contact=mothers[1:]))["contact"] == mothers[1:]


def test_a_move_that_two_sources_tell_in_other_words_is_one():
    before, moved = patient(address=[{"text": "Bukateja"}]), {"text": "DESA KUTASARI RT 1"}
    current = patient(address=[moved, {"text": "Bukateja"}])
    result = patients.corrected(current, supplied(before), patient(address=[{"text": "Kutasari"}]))
    assert result["address"] == [moved, {"text": "Bukateja", "use": "old"}]


def test_a_blank_never_replaces_a_value():
    before = patient(telecom=[PHONE], gender="male")
    assert patients.corrected(before, supplied(before), {"resourceType": "Patient"}) is None


def test_a_damaged_nik_never_replaces_a_good_one():
    before = patient(identifier=[NIK])
    assert patients.corrected(before, supplied(before), patient(identifier=[DAMAGED])) is None


def test_a_nik_that_arrives_replaces_its_damaged_form():
    before = patient(identifier=[DAMAGED])
    result = patients.corrected(before, supplied(before), patient(identifier=[NIK]))
    assert result["identifier"] == [NIK, {**DAMAGED, "use": "old"}]


def test_the_gateways_own_identifier_stays_through_a_correction():
    own = {"system": systems.PERSON, "value": "abc"}
    before = patient(identifier=[NIK])
    current = patient(identifier=[own, NIK])
    result = patients.corrected(current, supplied(before), patient(identifier=[OTHER_NIK]))
    assert result["identifier"] == [own, OTHER_NIK, {**NIK, "use": "old"}]


PIECES = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "gender": st.sampled_from(["male", "female"]),
        "birthDate": st.sampled_from(["1990-01-05", "1991-01-05"]),
        "name": st.lists(st.sampled_from([{"text": "Wulan"}, {"text": "Wulan Sari"}]), min_size=1, unique_by=str),
        "telecom": st.lists(st.sampled_from([PHONE, OTHER_PHONE]), min_size=1, unique_by=str),
        "identifier": st.lists(st.sampled_from([NIK, OTHER_NIK, DAMAGED]), min_size=1, unique_by=str),
    },
)


@settings(derandomize=True)
@given(st.lists(PIECES, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_combining_does_not_depend_on_the_order_of_records(pieces, random):
    said = [patients.Said(piece, records) for records, piece in enumerate(pieces, start=1)]
    shuffled = list(said)
    random.shuffle(shuffled)
    assert patients.combined(said, identifier="k") == patients.combined(shuffled, identifier="k")


@settings(derandomize=True)
@given(PIECES, PIECES)
def test_enriching_twice_is_enriching_once(current, addition):
    once = patients.enriched(current, addition) or current
    assert patients.enriched(once, addition) is None


@settings(derandomize=True)
@given(PIECES, PIECES)
def test_correcting_twice_is_correcting_once(before, new):
    once = patients.corrected(before, supplied(before), new) or before
    assert patients.corrected(once, supplied(new), new) is None


def test_one_odd_record_tells_no_birth_date_and_no_gender_because_it_is_the_fullest():
    usual = patient(gender="male")
    odd = patient(gender="female", birthDate="1991-01-05", telecom=[PHONE, OTHER_PHONE])
    result = patients.combined([patients.Said(odd, 1), patients.Said(usual, 5)])
    assert (result["birthDate"], result["gender"], result["telecom"]) == ("1990-01-05", "male", [PHONE, OTHER_PHONE])


def test_the_persons_nik_tells_which_birth_date_and_gender_are_right():
    right = patient(gender="female", identifier=[NIK])
    wrong = patient(gender="male", birthDate="1991-01-05", identifier=[NIK], telecom=[PHONE])
    result = patients.combined([patients.Said(wrong, 3), patients.Said(right, 1)])
    assert (result["birthDate"], result["gender"]) == ("1990-01-05", "female")
