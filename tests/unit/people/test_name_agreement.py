import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.people.name_agreement import NameLevel, compare_names
from fhir_gateway.people.name_sounds import (
    LASTING,
    compared_form,
    heard_letters,
    lasting_letters,
    sound_alike,
    sound_form,
)
from fhir_gateway.people.name_words import ABBREVIATIONS
from fhir_gateway.people.names import read_name

WORDS = st.sampled_from(
    [
        "Muhammad",
        "Siti",
        "Rizki",
        "Rizka",
        "Aminah",
        "Budi",
        "B.",
        "Nur",
        "Hayati",
        "Nurhayati",
        "bin",
        "Ali",
        "H.",
        "Frs.",
    ]
)


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Rizki Pratama", "RIZKI PRATAMA", NameLevel.EXACT),
        ("H. Rizki Pratama, S.Kom", "Rizki Pratama", NameLevel.EXACT),
        ("Moh. Rizki", "Muhammad Rizky", NameLevel.EQUIVALENT),
        ("M. Rizki", "Muhammad Rizki", NameLevel.EQUIVALENT),
        ("Nur Hayati", "Nurhayati", NameLevel.EQUIVALENT),
        ("Nurhayati Putri", "Nur Hayati Putri", NameLevel.EQUIVALENT),
        ("Abdul Rahman", "Abdurrahman", NameLevel.EQUIVALENT),
        ("Aminah Siti", "Siti Aminah", NameLevel.EQUIVALENT),
        ("Ahmad bin Ali", "Ahmad Ali", NameLevel.EQUIVALENT),
        ("Jusuf", "Yusuf", NameLevel.NEAR),
        ("Rizki", "Rizka", NameLevel.NEAR),
        ("Hasan Basri", "Hasan Bisri", NameLevel.NEAR),
        ("Wahyu Hidayat", "Wahyuu Hidayt", NameLevel.NEAR),
        ("Fitriani", "Pitriani", NameLevel.NEAR),
        ("Budi", "Budi Santoso", NameLevel.SUBSET),
        ("Budi S.", "Budi Santoso", NameLevel.INITIALS),
        ("A. Fauzi", "Ahmad Fauzi", NameLevel.INITIALS),
        ("Kmg. Ayu Lestari", "Komang Ayu Lestari", NameLevel.EQUIVALENT),
        ("Siti", "Siti Aminah", NameLevel.WEAK),
        ("Muhammad", "Muhammad Hasan", NameLevel.WEAK),
        ("Asni", "Asnidar Tanjung", NameLevel.WEAK),
        ("Ahmad Rizki Maulana", "Ahmad Rizki Pratama", NameLevel.PARTIAL),
        ("Ahmad bin Ali", "Ahmad bin Umar", NameLevel.PARTIAL),
        ("Siti Aminah", "Siti Rohmah", NameLevel.DIFFERENT),
        ("Siti", "Sri", NameLevel.DIFFERENT),
        ("Hasan", "Husin", NameLevel.DIFFERENT),
        ("By. Ny. Siti", "Siti", NameLevel.UNKNOWN),
        ("", "Siti", NameLevel.UNKNOWN),
    ],
)
def test_level_of_agreement(one, other, level):
    assert compare_names(read_name(one), read_name(other)).level is level


def test_name_cut_off_at_forty_characters_agrees_with_the_whole():
    whole = read_name("Siti Nurhayati Rahmawati Kusumaningtyas Putri Utami")
    cut = read_name("Siti Nurhayati Rahmawati Kusumaningtyas P"[:40])
    assert compare_names(cut, whole).level is NameLevel.EQUIVALENT


@settings(derandomize=True, deadline=None)
@given(st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=4))
def test_comparing_is_symmetric(one, other):
    left, right = read_name(" ".join(one)), read_name(" ".join(other))
    forward, back = compare_names(left, right), compare_names(right, left)
    assert forward.level is back.level
    assert sorted(forward.shared) == sorted(back.shared)


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=50))
def test_name_agrees_with_itself(text):
    name = read_name(text)
    assert compare_names(name, name).level in {NameLevel.EXACT, NameLevel.UNKNOWN}


@given(word=st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12))
@settings(derandomize=True, max_examples=500, deadline=None)
def test_the_lasting_letters_of_words_written_as_one_are_those_of_its_compared_form(word):
    for end in range(1, len(word) + 1):
        assert lasting_letters([word[:end], word[end:]]) == heard_letters(compared_form(word)) & LASTING


@given(one=st.text(alphabet="abdefhijkopstuvwz", max_size=4), other=st.text(alphabet="abdefhijkopstuvwz", max_size=4))
@settings(derandomize=True, max_examples=500, deadline=None)
def test_words_sound_alike_whose_sound_forms_are_one(one, other):
    assert sound_alike(one, other) == (sound_form(one) == sound_form(other))


@pytest.mark.parametrize("word", sorted(ABBREVIATIONS))
def test_the_lasting_letters_of_an_abbreviation_are_those_of_what_it_stands_for(word):
    assert lasting_letters([word]) == heard_letters(compared_form(word)) & LASTING


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I Made Sudarma", "Made Sudarma"),
        ("Ni Nyoman Sari", "Nym. Sari"),
        ("A.A. Gede Rai", "Anak Agung Gde Rai"),
        ("AA Ayu Rai", "Anak Agung Ayu Rai"),
        ("I Gst Ngr Adnyana", "Gusti Ngurah Adnyana"),
        ("Ni Mirah Ratna", "Mirah Ratna"),
        ("I Kadel Sudana", "Kadel Sudana"),
    ],
)
def test_balinese_marks_of_sex_and_rank_are_as_often_left_out_or_shortened(one, other):
    assert compare_names(read_name(one), read_name(other)).level is NameLevel.EQUIVALENT


@pytest.mark.parametrize(("one", "other"), [("I Sudana", "I Wayan Sudana"), ("Ni Sari", "Ni Wayan Sari")])
def test_a_balinese_mark_that_both_have_is_no_word_left_over(one, other):
    assert compare_names(read_name(one), read_name(other)).level is NameLevel.SUBSET


def test_mistyped_words_behind_a_balinese_mark_leave_no_mark_over():
    assert compare_names(read_name("Ni Waian Mirah"), read_name("Ni Wayan Mirah Ratna")).level is NameLevel.SUBSET
    assert compare_names(read_name("I Kadel Sudana"), read_name("Kadek Sudana Putra")).level is NameLevel.SUBSET


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("M Siregar", "Melda Siregar", NameLevel.INITIALS),
        ("M. Noami Tabuni", "Martha Noami Tabuni", NameLevel.INITIALS),
        ("M. Siregar", "Muhammad Siregar", NameLevel.EQUIVALENT),
        ("Ni M. Suartini", "Ni Made Suartini", NameLevel.INITIALS),
        ("M. Siregar", "Ester Siregar", NameLevel.PARTIAL),
        ("Moeh. Anwar", "Muh. Anwar", NameLevel.EQUIVALENT),
    ],
)
def test_m_is_muhammad_or_the_initial_of_the_word_that_stands_there(one, other, level):
    assert compare_names(read_name(one), read_name(other)).level is level
    assert compare_names(read_name(other), read_name(one)).level is level


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alfian X.", "Alfian Xavier"),
        ("Mikayla F", "Mikayla Paranisa"),
        ("Aqila Z", "Aqila Jahra"),
        ("Budi D.", "Budi Djatmiko"),
        ("Budi T.", "Budi Tjahjono"),
    ],
)
def test_an_initial_stands_for_a_word_that_is_spelled_by_ear(one, other):
    assert compare_names(read_name(one), read_name(other)).level is NameLevel.INITIALS
    assert compare_names(read_name(other), read_name(one)).level is NameLevel.INITIALS


@pytest.mark.parametrize(("one", "other"), [("Inah", "Siti Aminah"), ("Asya", "Raffasya Elfathan")])
def test_who_is_called_by_the_end_of_her_name_may_be_anybody_of_that_end(one, other):
    agreement = compare_names(read_name(one), read_name(other))
    assert (agreement.level, agreement.shortened) == (NameLevel.WEAK, True)


def test_balinese_names_of_birth_order_still_tell_brothers_apart():
    assert compare_names(read_name("I Wayan Rai"), read_name("I Made Rai")).level is NameLevel.PARTIAL


def test_initials_before_another_name_are_no_balinese_rank():
    assert compare_names(read_name("A.A. Maramis"), read_name("Alex Andries Maramis")).level is NameLevel.INITIALS


def test_a_name_that_fills_its_column_may_have_lost_its_end():
    assert len("Ni Luh Indrayani Kir") == 20
    assert (
        compare_names(read_name("Ni Luh Indrayani Kir"), read_name("Ni Luh Indrayani Kirana")).level
        is NameLevel.EQUIVALENT
    )
    assert (
        compare_names(read_name("Ni Luh Indrayani Ki"), read_name("Ni Luh Indrayani Kirana")).level is NameLevel.PARTIAL
    )
