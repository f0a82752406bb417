from itertools import permutations

import pytest
from tests.fakes.invented_people import RIZKIS_NIK, evidence, patient

from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.unseen import may_be_unseen_twins

BIRTH = {"born": "2024-06-08", "gender": "female", "mother": "Hasmiati Suriani", "village": "Rimbo Data"}
FOLDER, OTHER_FOLDER = ("clinic", "000101"), ("clinic", "000102")


def unseen(*pair, met_on_server=True):
    (answer,) = {
        may_be_unseen_twins(one, other, compare(one, other), met_on_server=met_on_server)
        for one, other in permutations(pair)
    }
    return answer


def child(name, **given):
    return evidence(name, **{**BIRTH, **given})


def labelled(name, **given):
    known = patient(name, **{**BIRTH, **given})
    known["name"].append({"text": "By. Ny. Hasmiati Suriani", "use": "old"})
    return evidence_of(known)


def test_spelling_that_parents_choose_may_be_a_twins_whom_no_file_told_of():
    pair = child("Nadya Fitrah"), child("Nadia Fitrah")
    assert unseen(*pair)
    assert not unseen(*pair, met_on_server=False)


def test_boys_and_girls_name_may_be_twins():
    assert unseen(child("Hafiz Alif", gender="male"), child("Hafizah Alif"))


@pytest.mark.parametrize("number", [{"nik": RIZKIS_NIK}, {"record": FOLDER}])
def test_own_number_tells_that_it_is_no_twin(number):
    assert not unseen(child("Nadya Fitrah", **number), child("Nadia Fitrah", **number))


def test_record_number_that_may_have_come_with_a_label_tells_nothing():
    assert unseen(labelled("Nadya Fitrah", record=FOLDER), child("Nadia Fitrah", record=FOLDER))


def test_label_with_a_record_number_leaves_names_a_sound_apart_in_doubt():
    vetoes = compare(labelled("Yose Latif", record=FOLDER), child("Yosi Latif", record=FOLDER)).vetoes
    assert [veto.code for veto in vetoes] == ["possible-twins"]
    assert not compare(child("Yose Latif", record=FOLDER), child("Yosi Latif", record=FOLDER)).vetoes


def test_known_under_both_spellings_is_one():
    both = evidence_of(
        {**patient("Nadya Fitrah", **BIRTH), "name": [{"text": "Nadya Fitrah"}, {"text": "Nadia Fitrah"}]}
    )
    assert not unseen(both, child("Nadia Fitrah"))


def test_missing_first_word_is_in_doubt_beside_two_folders_of_one_clinic():
    pair = child("Fitrah Amelia", record=FOLDER), child("Kalila Fitrah Amelia", record=OTHER_FOLDER)
    assert unseen(*pair)
    assert not unseen(child("Fitrah Amelia"), pair[1])
    assert not unseen(pair[0], child("Fitrah Amelia Kalila", record=OTHER_FOLDER))


def test_newborn_and_child_of_two_folders_and_phones_may_be_twins():
    newborn = evidence("By. Ny. Hasmiati Suriani", **BIRTH, record=FOLDER, phone="081210001001")
    assert unseen(newborn, child("Kalila Fitrah", record=OTHER_FOLDER, phone="081210009999"))
    assert not unseen(newborn, child("Kalila Fitrah", record=OTHER_FOLDER, phone="081210001001"))
