import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.invented_people import RIZKIS_NIK, TWINS_NIK, evidence, rizki

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.blocking import blocking_keys
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import unmasked
from fhir_gateway.identity.explain import explain_comparison
from fhir_gateway.identity.frequencies import Frequencies, count_frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.vetoes import VETOES, VetoCode

MOTHERS_NIK = "3303124502950001"
OTHERS_NIK = "3303051708190003"

CASES = {
    "same record": (rizki(), rizki(), Grade.CERTAIN),
    "same NIK, spelled otherwise": (rizki(nik=RIZKIS_NIK), rizki(name="Riski Pratama", nik=RIZKIS_NIK), Grade.CERTAIN),
    "same NIK, mononym": (rizki(nik=RIZKIS_NIK), rizki(name="Rizki", nik=RIZKIS_NIK, mother=""), Grade.CERTAIN),
    "same NIK, another name": (rizki(nik=RIZKIS_NIK), rizki(name="Agus Setiawan", nik=RIZKIS_NIK), Grade.PROBABLE),
    "same NIK, another person": (
        rizki(nik=RIZKIS_NIK),
        evidence("Dewi Lestari", nik=RIZKIS_NIK, born="1990-01-02", gender="female"),
        Grade.PROBABLE,
    ),
    "same NIK, sibling's first name": (
        rizki(name="Ahmad Rizki Maulana", nik=RIZKIS_NIK),
        rizki(name="Ahmad Rizki Pratama", nik=RIZKIS_NIK),
        Grade.PROBABLE,
    ),
    "same NIK, no name": (rizki(nik=RIZKIS_NIK), rizki(name="", nik=RIZKIS_NIK), Grade.PROBABLE),
    "same NIK, boy and girl of nearly one name": (
        rizki(nik=RIZKIS_NIK),
        rizki(name="Rizka Pratama", nik=RIZKIS_NIK, gender="female"),
        Grade.PROBABLE,
    ),
    "same NIK, wrong year": (rizki(nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, born="2019-03-15"), Grade.CERTAIN),
    "same NIK, same name, another day": (
        rizki(nik=RIZKIS_NIK),
        rizki(nik=RIZKIS_NIK, born="2017-11-02"),
        Grade.PROBABLE,
    ),
    "same day of another year, no NIK": (rizki(), rizki(born="2019-03-15"), Grade.PROBABLE),
    "same NIK, wrong gender": (rizki(nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, gender="female"), Grade.CERTAIN),
    "earlier NIK": (
        rizki(nik=OTHERS_NIK, old_nik=RIZKIS_NIK),
        rizki(nik=RIZKIS_NIK, phone="", village=""),
        Grade.CERTAIN,
    ),
    "mistyped NIK, all else the same": (rizki(nik=RIZKIS_NIK), rizki(nik="3303131503200001"), Grade.PROBABLE),
    "two NIKs, all else the same": (rizki(nik=RIZKIS_NIK), rizki(nik=OTHERS_NIK), Grade.PROBABLE),
    "two NIKs, namesakes": (
        evidence("Rizki Pratama", nik=RIZKIS_NIK, born="2020-03-15", gender="male"),
        evidence("Rizki Pratama", nik=OTHERS_NIK, born="2020-03-15", gender="male"),
        Grade.POSSIBLE,
    ),
    "twins with NIKs": (rizki(nik=RIZKIS_NIK), rizki(name="Rizka Pratama", nik=TWINS_NIK), Grade.CERTAINLY_NOT),
    "twins without NIKs": (rizki(), rizki(name="Agus Pambudi"), Grade.CERTAINLY_NOT),
    "twins who share a word": (rizki(), rizki(name="Agus Pratama"), Grade.CERTAINLY_NOT),
    "twins one sound apart": (rizki(), rizki(name="Rizka Pratama"), Grade.PROBABLE),
    "twins of whom one is called like the other's beginning": (
        rizki(name="Arif Pratama"),
        rizki(name="Arifin Pratama"),
        Grade.PROBABLE,
    ),
    "twins by birth order": (rizki(order=1), rizki(order=2), Grade.CERTAINLY_NOT),
    "typing error that is no twin's name": (rizki(name="Fahrizal"), rizki(name="Fahirzal"), Grade.CERTAIN),
    "one sound that is no twin's name": (rizki(name="Hafiz Ali"), rizki(name="Haviz Ali"), Grade.CERTAIN),
    "same record number, name mistyped": (
        rizki(record=("rs", "0123")),
        rizki(name="Rizka Pratama", record=("rs", "123")),
        Grade.CERTAIN,
    ),
    "sibling a year younger": (rizki(), rizki(name="Raka Pratama", born="2021-05-02"), Grade.CERTAINLY_NOT),
    "sibling of nearly one name": (rizki(), rizki(name="Rizka Pratama", born="2021-05-02"), Grade.POSSIBLE),
    "father and son of one name": (rizki(born="1988-07-02"), rizki(), Grade.CERTAINLY_NOT),
    "namesakes of one day": (
        evidence("Rizki Pratama", born="2020-03-15", gender="male"),
        evidence("Rizki Pratama", born="2020-03-15", gender="male"),
        Grade.PROBABLE,
    ),
    "initial for a word, another word beside it": (
        evidence("Tarmiyah Larasati", born="1989-06-23", gender="female", village="Kalimanah"),
        evidence("T. Purnamaningsih Larasati", born="1989-06-23", gender="female", village="Kalimanah"),
        Grade.CERTAINLY_NOT,
    ),
    "a word missing, one village": (
        evidence("Rumondang Purnamaningsih", born="1989-06-23", gender="female", village="Kalimanah"),
        evidence("Rumondang Purnamaningsih Silaban", born="1989-06-23", gender="female", village="Kalimanah"),
        Grade.PROBABLE,
    ),
    "namesakes of one day with other families": (
        rizki(mother="Sri Rahayu", phone="+6281111222333", village="Bojong"),
        rizki(),
        Grade.POSSIBLE,
    ),
    "day and month exchanged": (rizki(born="2020-03-05"), rizki(born="2020-05-03"), Grade.CERTAIN),
    "one digit wrong": (rizki(), rizki(born="2020-03-16"), Grade.CERTAIN),
    "moved, and changed phone": (rizki(), rizki(phone="+6285511122233", village="Bojong"), Grade.CERTAIN),
    "rounded NIK": (rizki(nik=RIZKIS_NIK, phone=""), rizki(nik="3303121503200000", phone=""), Grade.CERTAIN),
    "rounded NIKs of twins": (
        rizki(nik="3303121503200000", phone=""),
        rizki(name="Rizka Pratama", nik=TWINS_NIK, phone=""),
        Grade.PROBABLE,
    ),
    "NIK with a digit lost": (
        rizki(nik=RIZKIS_NIK, mother="", phone="", village=""),
        rizki(written_nik="330312150320001", mother="", phone="", village=""),
        Grade.CERTAIN,
    ),
    "mother and newborn": (
        evidence("Siti Aminah", nik=MOTHERS_NIK, born="1995-02-05", gender="female", phone="+6281234567890"),
        evidence("By. Ny. Siti Aminah", nik=MOTHERS_NIK, born="2024-03-05", gender="male", phone="+6281234567890"),
        Grade.CERTAINLY_NOT,
    ),
    "mother and child with the mother's NIK": (
        evidence("Siti Aminah", nik=MOTHERS_NIK, born="1995-02-05", gender="female"),
        evidence("Rizki", nik=MOTHERS_NIK, born="2024-03-05", gender="male"),
        Grade.CERTAINLY_NOT,
    ),
    "newborn and the child's own name": (
        evidence("By. Ny. Siti Aminah", nik=MOTHERS_NIK, born="2024-03-05", gender="male", village="Kalimanah"),
        evidence(
            "Rizki", mother_nik=MOTHERS_NIK, born="2024-03-05", gender="male", mother="Siti Aminah", village="Kalimanah"
        ),
        Grade.CERTAIN,
    ),
    "newborn under an invented NIK": (
        rizki(name="By. Ny. Siti Aminah", nik="3303011503200001"),
        rizki(nik=RIZKIS_NIK),
        Grade.PROBABLE,
    ),
    "newborn under a cut NIK of another place": (
        rizki(name="By. Ny. Siti Aminah", written_nik="3303011503200000"),
        rizki(nik=RIZKIS_NIK),
        Grade.PROBABLE,
    ),
    "newborn girl under another NIK than the boy of that day": (
        rizki(name="By. Ny. Siti Aminah", nik="3303015503200001", gender="female"),
        rizki(nik=RIZKIS_NIK),
        Grade.CERTAINLY_NOT,
    ),
    "newborn of another family under another NIK": (
        rizki(name="By. Ny. Siti Aminah", nik="3303011503200001", phone="+6281111222333"),
        rizki(nik=RIZKIS_NIK, mother="Sri Rahayu"),
        Grade.CERTAINLY_NOT,
    ),
    "newborn ten days off": (
        evidence("By. Ny. Siti Aminah", nik=MOTHERS_NIK, born="2024-03-15", gender="male", mother="Siti Aminah"),
        evidence("Rizki", mother_nik=MOTHERS_NIK, born="2024-03-05", gender="male", mother="Siti Aminah"),
        Grade.PROBABLE,
    ),
    "newborn two weeks off, no parent's NIK": (
        rizki(name="By. Ny. Siti Aminah", born="2020-03-01"),
        rizki(),
        Grade.PROBABLE,
    ),
    "newborn ten days off, another sex": (
        rizki(name="By. Ny. Siti Aminah", born="2020-03-25", gender="female"),
        rizki(),
        Grade.CERTAINLY_NOT,
    ),
    "one name and family, a week off": (rizki(name="Rizki"), rizki(name="Rizki", born="2020-03-22"), Grade.PROBABLE),
    "one name and family, a week off, two NIKs": (
        rizki(nik=RIZKIS_NIK),
        rizki(nik=TWINS_NIK, born="2020-03-22"),
        Grade.PROBABLE,
    ),
    "a sister's name, a week off": (rizki(), rizki(name="Agus Pratama", born="2020-03-22"), Grade.CERTAINLY_NOT),
    "one name and family, ten months off, two NIKs": (
        rizki(nik=RIZKIS_NIK),
        rizki(nik=OTHERS_NIK, born="2021-01-22"),
        Grade.CERTAINLY_NOT,
    ),
    "names a sound apart, the one's NIK of another birthday": (
        rizki(nik=RIZKIS_NIK),
        rizki(name="Rizka Pratama", nik=OTHERS_NIK),
        Grade.PROBABLE,
    ),
    "newborn of whose year alone is known": (
        evidence("By. Ny. Siti Aminah", nik=MOTHERS_NIK, born="2024-01-01", gender="male", mother="Siti Aminah"),
        evidence("Rizki", mother_nik=MOTHERS_NIK, born="2024-11-05", gender="male", mother="Siti Aminah"),
        Grade.PROBABLE,
    ),
    "newborn two years after the named child": (
        evidence("By. Ny. Siti Aminah", nik=MOTHERS_NIK, born="2026-03-15", gender="male", mother="Siti Aminah"),
        evidence("Rizki", mother_nik=MOTHERS_NIK, born="2024-03-05", gender="male", mother="Siti Aminah"),
        Grade.CERTAINLY_NOT,
    ),
    "newborn twins by number": (
        evidence("By. Ny. Siti Aminah 1", born="2024-03-05", gender="male", mother_nik=MOTHERS_NIK),
        evidence("By. Ny. Siti Aminah 2", born="2024-03-05", gender="male", mother_nik=MOTHERS_NIK),
        Grade.CERTAINLY_NOT,
    ),
    "born after death": (rizki(died="2019-01-01"), rizki(), Grade.PROBABLE),
    "nothing known": (evidence(), evidence(), Grade.CERTAINLY_NOT),
}


@pytest.mark.parametrize("case", CASES)
def test_grade_of(case):
    left, right, grade = CASES[case]
    comparison = compare(left, right)
    assert comparison.grade is grade, comparison


@pytest.mark.parametrize("case", CASES)
def test_comparing_is_symmetric(case):
    left, right, _ = CASES[case]
    forward, back = compare(left, right), compare(right, left)
    assert (forward.weight, forward.grade, forward.vetoes) == (back.weight, back.grade, back.vetoes)


def test_nik_hit_with_another_name_says_so():
    comparison = compare(rizki(nik=RIZKIS_NIK), rizki(name="Agus Setiawan", nik=RIZKIS_NIK))
    assert "nik-name-disagrees" in {veto.code for veto in comparison.vetoes}


def test_masked_patient_is_at_most_probable():
    masked = unmasked(evidence("Rizki Pratama"), RIZKIS_NIK)
    assert compare(rizki(nik=RIZKIS_NIK), masked).grade is Grade.PROBABLE


def test_weight_is_the_sum_of_the_evidence_and_the_prior():
    comparison = compare(rizki(), rizki(born="2020-03-16"), policy=MatchingPolicy(prior=-20.0))
    assert comparison.weight == pytest.approx(-20 + sum(one.weight for one in comparison.evidence), abs=0.02)


def test_sharing_a_rare_name_weighs_more():
    common = compare(rizki(name="Siti Dewi"), rizki(name="Siti Dewi")).weight
    rare = compare(rizki(name="Xenobia Quartarius"), rizki(name="Xenobia Quartarius")).weight
    assert rare > common + 5


def test_household_is_one_piece_of_evidence():
    comparison = compare(rizki(), rizki())
    assert [one.field for one in comparison.evidence].count("household") == 1
    assert {one.field for one in comparison.evidence} == {"name", "birth_date", "gender", "household"}


def test_decoded_parts_of_a_nik_add_nothing_to_its_agreement():
    both = compare(evidence("Rizki", nik=RIZKIS_NIK), evidence("Rizki", nik=RIZKIS_NIK))
    assert {one.field for one in both.evidence} == {"nik", "name"}


def test_words_hold_no_values():
    comparison = compare(rizki(nik=RIZKIS_NIK), rizki(nik=TWINS_NIK, name="Rizka Pratama"))
    said = " ".join(one.words for one in (*comparison.evidence, *comparison.vetoes))
    for secret in ("Rizki", "Aminah", "2020", RIZKIS_NIK, "8123"):
        assert secret not in said


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Rizki Pratama", "Rizka Pratama", "Rizki", "By. Ny. Siti Aminah", "Agus"]),
        "nik": st.sampled_from([RIZKIS_NIK, TWINS_NIK, MOTHERS_NIK, "3303121503200000"]),
        "born": st.sampled_from(["2020-03-15", "2020", "1995-02-05"]),
        "gender": st.sampled_from(["male", "female"]),
        "mother": st.sampled_from(["Siti Aminah", "Siti"]),
        "order": st.sampled_from([0, 1, 2]),
    },
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(PARTS, PARTS)
def test_no_vetoed_pair_is_ever_certain_and_all_pairs_are_symmetric(one, other):
    left, right = evidence(**one), evidence(**other)
    comparison = compare(left, right)
    assert not (comparison.vetoes and comparison.grade is Grade.CERTAIN)
    assert compare(right, left).grade is comparison.grade


def test_a_child_written_as_by_and_its_own_name_is_not_its_own_mother():
    child = evidence("Alya Safira", mother="Ratna Sari", born="2024-05-05", gender="female", village="Majapura")
    newborn = evidence("By. Alya Safira", born="2024-05-05", gender="female", village="Majapura", phone="081234567890")

    assert compare(child, newborn).vetoes == ()


def test_the_mother_of_a_newborn_without_a_name_is_another_person():
    mother = evidence("Ratna Sari", mother="Sumiyati", born="1995-05-05", gender="female")
    newborn = evidence("By. Ratna Sari", born="2024-05-05", gender="female")

    assert "parent-and-child" in {veto.code for veto in compare(mother, newborn).vetoes}


def test_the_same_birth_date_tells_more_where_few_were_born_in_its_year():
    counted = count_frequencies([*[rizki()] * 4000, *[rizki(born="1985-03-15")] * 4])
    child, woman = (
        compare(rizki(born=born), rizki(born=born), frequencies=counted) for born in ("2020-03-15", "1985-03-15")
    )
    shipped = compare(rizki(), rizki(), frequencies=Frequencies())
    bits = [
        one.weight for comparison in (child, shipped, woman) for one in comparison.evidence if one.field == "birth_date"
    ]
    assert bits == sorted(bits)
    assert bits[0] < bits[1] < bits[2] <= bits[1] + 4


def test_classmates_of_1_january_whose_names_nearly_agree_are_not_told_apart_by_their_village():
    boarder = evidence("Muhammad Rifqi Sultan Akbar", nik="3303120101090001", born="2009-01-01", village="Kalimanah")
    other = evidence("Muhammad Akbar Rifqi", born="2009-01-01", village="Kalimanah")
    assert compare(boarder, other).grade is not Grade.CERTAIN
    assert {"namesakes"} == {one.agreement for one in compare(boarder, other).evidence if one.field == "caution"}


def test_a_newborn_girl_under_her_mothers_name_is_not_the_boy_who_was_called_by_it():
    boy = evidence(
        "Ermawati Nurhaida", gender="male", born="2024-03-15", mother="Ermawati Nurhaida", village="Kalimanah"
    )
    label = {"gender": "female", "born": "2024-03-15", "village": "Kalimanah"}
    girl = evidence("By. Ermawati Nurhaida II", **label)
    assert VETOES[VetoCode.POSSIBLE_TWINS] in compare(boy, girl).vetoes


def test_a_known_twin_is_nobody_of_another_number_whose_name_lacks_words():
    told = {"born": "2024-10-14", "mother": "Fauziah", "phone": "+6281234567890"}
    twin = evidence("Runi Khalisa Zahra", record=("rs", "101"), order=2, **told)
    other = evidence("Khalisa Zahra", record=("rs", "102"), **told)
    assert VETOES[VetoCode.POSSIBLE_TWINS] in compare(twin, other).vetoes


def test_a_nik_that_was_cut_off_within_its_serial_number_is_as_near_to_the_twins():
    cut = evidence("Naila Humaira", written_nik="332093610424000", born="2024-04-21", gender="female")
    told = {"born": "2024-04-21", "gender": "female"}
    near = [evidence("Nayla Humaira", nik=f"332093610424000{last}", **told) for last in (1, 2)]
    assert [nik_of(compare(cut, child)) for child in near] == ["damaged_agree", "damaged_agree"]


def test_a_nik_that_a_spreadsheet_rounded_up_is_what_is_left_of_the_whole_one():
    told = {"born": "2024-04-21", "gender": "male"}
    rounded = evidence("Naufal Hakim", nik="3320932104240020", **told)
    niks = [f"33209321042400{last}" for last in (15, 19, 20, 14, 35)]
    found = [nik_of(compare(rounded, evidence("Naufal Hakim", nik=nik, **told))) for nik in niks]
    assert found == ["damaged_agree_serial"] * 3 + ["damaged_differs"] * 2
    assert set(blocking_keys(rounded)) & set(blocking_keys(evidence("Agus", nik="3320932104240017")))


def nik_of(comparison):
    return next(one.agreement for one in comparison.evidence if one.field == "nik")


def test_the_name_behind_by_is_the_childs_own_or_its_mothers_and_never_both():
    newborn = evidence("By. Rafa", born="2024-03-05", gender="male")
    called_so = evidence("Rafa", born="2024-03-05", gender="male", mother="Dewi")
    mothers = evidence("Ahmad", born="2024-03-05", gender="male", mother="Rafa")
    fields = [{one.field for one in compare(newborn, other).evidence} for other in (called_so, mothers)]
    assert [{"name", "household"} & found for found in fields] == [{"name"}, {"household"}]


def test_two_numbers_of_one_birth_are_asked_about_in_words():
    told = "\n".join(explain_comparison(compare(rizki(nik=RIZKIS_NIK), rizki(nik=TWINS_NIK, born="2020-03-22"))))
    assert "both have a valid NIK" in told
    assert "but no mother bears again so soon" in told


def test_a_villages_name_that_is_mistyped_speaks_neither_for_nor_against():
    households = [
        next(one for one in compare(rizki(), rizki(village=village)).evidence if one.field == "household").words
        for village in ("Kalimanah", "Kalimnah", "Bukateja")
    ]
    assert ["village" in words for words in households] == [True, False, True]


def test_known_twin_under_a_name_in_another_spelling_may_be_the_other_twin():
    twin, in_doubt = rizki(order=2), (VETOES[VetoCode.POSSIBLE_TWINS],)
    assert compare(twin, rizki(name="Rizqi Pratama")).vetoes == in_doubt
    assert compare(rizki(name="Rizqi Pratama"), twin).vetoes == in_doubt
    assert compare(rizki(), rizki(name="Rizqi Pratama")).vetoes == ()


def test_own_name_number_folder_or_order_of_birth_tells_which_twin_it_is():
    spelled = {"name": "Rizqi Pratama"}
    folder = {"record": ("rs-a", "000123")}
    assert compare(rizki(order=2), rizki()).vetoes == ()
    assert compare(rizki(order=2, nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, **spelled)).vetoes == ()
    assert compare(rizki(order=2, **folder), rizki(**folder, **spelled)).vetoes == ()
    assert compare(rizki(order=2), rizki(order=2, **spelled)).vetoes == ()
