"""What is told of two names without comparing them is held against their comparison."""

from string import ascii_lowercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.people.name_agreement import WORDS_MISSING, NameLevel, compare_keys, may_be_paired
from fhir_gateway.people.name_contradiction import surely_contradict
from fhir_gateway.people.name_sounds import LASTING, compared_form, heard_letters
from fhir_gateway.people.name_words import ABBREVIATIONS
from fhir_gateway.people.names import read_name

CONTRADICTING = {NameLevel.PARTIAL, NameLevel.DIFFERENT}
KNOWN = """Rizki Pratama Siti Nurhayati Nur Hayati Muh M R. Abdurrahman Wayan Waian Ni I Melda Sjarif Syarif Djoko Joko Asni Asnidar
 Tini Suartini Fx Ana Nda Li An Ali"""
WORDS = st.one_of(st.sampled_from(KNOWN.split()), st.text(alphabet="aaiuehbdjknrstyz", min_size=1, max_size=6))
"""Words that are other ones' beginnings, ends, spellings or abbreviations, and words of letters that spelling changes."""
CHANGES = {
    "mistyped": lambda word, other: [f"{word[:1]}{other[0]}{word[2:]}"],
    "longer": lambda word, other: [f"{word}{other[0]}"],
    "exchanged": lambda word, other: [word[1::-1] + word[2:]],
    "initial": lambda word, other: [word[0]],
    "left out": lambda word, other: [],
    "joined": lambda word, other: [word + other],
    "divided": lambda word, other: [word[:2], word[2:] or other],
    "another": lambda word, other: [word, other],
}


@st.composite
def changed(draw, words):
    """Return a name's words as somebody else may write them."""
    words = list(words)
    for change in draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=3)):
        place = draw(st.integers(0, len(words) - 1))
        words[place : place + 1] = CHANGES[change](words[place], draw(WORDS))
        words = words or [draw(WORDS)]
    return words


@st.composite
def two_keys(draw):
    words = draw(st.lists(WORDS, min_size=1, max_size=4))
    others = draw(st.one_of(changed(words), st.lists(WORDS, min_size=1, max_size=4)))
    written = []
    for each in (words, others):
        father = draw(st.sampled_from(("", "", "", " bin Umar", " bin Rizki")))
        cut = draw(st.sampled_from((None, None, 20)))
        written.append(f"{' '.join(each)}{father}"[:cut])
    return tuple(read_name(text).key for text in written)


@given(keys=two_keys(), as_typed=st.booleans())
@settings(derandomize=True, max_examples=300, deadline=None)
def test_names_that_surely_contradict_are_partly_or_wholly_different(keys, as_typed):
    if all(keys) and surely_contradict(*keys, as_typed=as_typed):
        others = CONTRADICTING if as_typed else CONTRADICTING | WORDS_MISSING | {NameLevel.NEAR}
        assert compare_keys(*keys).level in others
        assert surely_contradict(*reversed(keys), as_typed=as_typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rizki Pratama", "Bayu Kusumo"),
        ("Rizki Pratama", "Fauzan Pratama"),
        ("Syarif Hidayat", "Sjarif Kusumo"),
        ("Siti Aminah binti Umar", "Siti Rahayu binti Umar"),
        ("Siti Aminah Kusumaningtyas Dew", "Putri Rahayu Kusumaningtyas"),
    ],
)
def test_names_with_a_word_that_stands_alone_on_each_side_contradict(one, other):
    assert surely_contradict(read_name(one).key, read_name(other).key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rizki Pratama", "Rizki"),
        ("Nur Hayati", "Nurhayati"),
        ("Ana Lim", "Anal Im"),
        ("Nanda Nanda", "Nanda Anda"),
        ("Rizki", "Bayu bin Rizki"),
        ("Siti Aminah Kusumaningtyas Dew", "Siti Aminah Kusumaningtyas"),
    ],
)
def test_nothing_is_told_of_names_that_may_be_one_persons(one, other):
    assert not surely_contradict(read_name(one).key, read_name(other).key)


@given(
    one=st.text(alphabet="aeoiudtkgbpfhszy", min_size=1, max_size=9),
    place=st.integers(0, 8),
    letter=st.sampled_from("aotdkpfzh"),
)
@settings(derandomize=True, max_examples=500, deadline=None)
def test_names_of_one_word_that_may_stand_for_each_other_do_not_contradict(one, place, letter):
    for other in (
        one[:place] + letter + one[place + 1 :],
        one[:place] + letter + one[place:],
        one[place:],
        one[:place],
    ):
        if other and may_be_paired(one, other):
            assert not surely_contradict(f"{one}||", f"{other}||")


@given(word=st.text(alphabet=ascii_lowercase, min_size=1, max_size=8))
@settings(derandomize=True, max_examples=500, deadline=None)
def test_no_spelling_changes_a_lasting_letter(word):
    if word not in ABBREVIATIONS:
        assert heard_letters(compared_form(word)) & LASTING == heard_letters(word) & LASTING


def test_words_that_an_error_joins_contradict_nothing():
    assert not surely_contradict("rizki li||", "rizkil lir||")
