from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, TWINS_NIK, evidence

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.merging.finding_screen import Screen, worth_comparing

ASKED = {Grade.CERTAIN, Grade.PROBABLE}


def person(**other):
    return evidence(**{**RIZKI, **other})


def passes(*people):
    screen = Screen()
    for one in people:
        screen.add(one)
    return list(screen.pairs(range(len(people))))


@pytest.mark.parametrize(
    "other",
    [
        {"name": "Rizky Pratama"},
        {"name": "Rizki Partama"},
        {"name": "Rizki"},
        {"name": "Pratama Rizki"},
        {"name": "RIZKIPRATAMA"},
        {"name": "By. Ny. Siti Aminah"},
        {"name": ""},
        {"born": "2020-03-16"},
        {"born": "2019-07-11"},
        {"born": ""},
        {"gender": "female"},
        {"nik": TWINS_NIK},
    ],
)
def test_who_may_be_one_person_is_let_through(other):
    assert passes(person(), person(**other)) == [(0, 1)]


@pytest.mark.parametrize(
    "other",
    [{"name": "Bayu Kusumo"}, {"name": "Rizki Kusumawardani"}, {"name": "Rizal Pratomo", "born": "2016-11-02"}],
)
def test_who_cannot_be_is_passed_over_and_the_comparison_says_the_same(other):
    assert passes(person(), person(**other)) == []
    assert compare(person(), person(**other)).grade not in ASKED


def test_who_shares_a_nik_is_listed_elsewhere():
    assert passes(person(nik=RIZKIS_NIK), person(nik=RIZKIS_NIK)) == []


def test_a_person_of_several_names_is_let_through():
    named = person()
    several = replace(named, names=(*named.names, *evidence(name="Bayu Kusumo").names))
    assert passes(several, person(name="Dewi Lestari")) == [(0, 1)]


WORDS = ("Rizki", "Pratama", "Siti", "Nurhayati", "Bayu", "Kusumo", "Dewi", "Lestari", "Adi")


@st.composite
def people(draw):
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(words) - 1))
        cut = draw(st.integers(1, len(words[place]) - 1))
        words[place] = words[place][:cut] + words[place][cut + 1 :]
    return person(
        name=" ".join(words),
        born=draw(st.sampled_from(["2020-03-15", "2020-03-16", "2016-11-02", "2020-03", ""])),
        nik=draw(st.sampled_from(["", RIZKIS_NIK, TWINS_NIK])),
        mother=draw(st.sampled_from(["", "Siti Aminah", "Wulan Sari"])),
    )


@given(one=people(), other=people())
@settings(derandomize=True, max_examples=300, deadline=None)
def test_the_screen_hides_nobody_whom_an_operator_would_look_at(one, other):
    comparison = compare(one, other)
    if comparison.grade in ASKED and not set(one.niks) & set(other.niks):
        assert passes(one, other)
        assert worth_comparing(one, other, MatchingPolicy())


def test_where_an_environment_asks_about_less_all_is_compared():
    one, other = person(), person(name="Bayu Kusumo")
    assert not worth_comparing(one, other, MatchingPolicy())
    assert worth_comparing(one, other, MatchingPolicy(probable=0.0))
