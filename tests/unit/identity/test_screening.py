"""The screen is held against the comparison that it spares."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import OSA
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, TWINS_NIK, evidence

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.comparators import BirthDateLevel, compare_birth_dates
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence, read_birth_date
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen

GRADES = tuple(Grade)
"""Best first."""
KNOWN = Frequencies(
    {"riski": 40, "pratama": 700},
    people=4000,
    phones={"81210001001": 30},
    years={2020: 3900, 1985: 10},
    places={"bukateja": 2500, "bojong": 3, "": 4000},
    records={"1:7": 5, "1:8": 40},
)


def person(**other):
    return evidence(**{**RIZKI, **other})


def reaches(one, other, least, policy, frequencies=None):
    comparison = compare(one, other, policy=policy, frequencies=frequencies)
    return GRADES.index(comparison.grade) <= GRADES.index(least)


@pytest.mark.parametrize("least", [Grade.POSSIBLE, Grade.PROBABLE])
@pytest.mark.parametrize(
    "other",
    [
        {"name": "Bayu Kusumo", "born": "2016-11-02"},
        {"name": "Rizki Kusumawardani", "nik": TWINS_NIK},
        {"name": "Rizal Pratomo", "born": "2016-11-02", "mother": "Wulan Sari"},
    ],
)
def test_strangers_are_passed_over(least, other):
    assert not Screen(MatchingPolicy(), Frequencies(), least=least).passes(person(), person(**other))


def test_how_common_a_name_is_tells_namesakes_apart():
    one = person(nik="", mother="", village="")._replace(phones=(), places=("bukateja",))
    other = one._replace(birth_date=person(born="2016-11-02").birth_date)
    common = Frequencies({"riski": 2000, "pratama": 2000}, people=4000)
    assert Screen(MatchingPolicy(), least=Grade.POSSIBLE).passes(one, other)
    assert not Screen(MatchingPolicy(), common, least=Grade.POSSIBLE).passes(one, other)


WORDS = ("Rizki", "Pratama", "Siti", "Nurhayati", "Nur", "Hayati", "Muh", "M", "R.", "Bayu", "Kusumo", "Abdurrahman")
JOINING = (" ", " ", " ", " bin ", "")
DAMAGED = RIZKIS_NIK[:12] + "0000"
MISTYPED = f"{RIZKIS_NIK[:5]}2{RIZKIS_NIK[6:]}"


def slip(draw, word):
    """Return a word with up to three slips of the finger."""
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2, 3)))):
        if len(word) > 2:
            place = draw(st.integers(1, len(word) - 2))
            swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
            word = draw(st.sampled_from((word[:place] + word[place + 1 :], swapped, f"{word[:place]}a{word[place:]}")))
    return word


@st.composite
def people(draw):
    words = [slip(draw, word) for word in draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True))]
    known = person(
        name=draw(st.sampled_from(("", "", "", "By. Ny. "))) + draw(st.sampled_from(JOINING)).join(words),
        born=draw(
            st.sampled_from(["2020-03-15", "2020-03-16", "2020-11-02", "2016-11-02", "1988-03-15", "2020-03", ""])
        ),
        nik=draw(st.sampled_from(["", "", RIZKIS_NIK, TWINS_NIK, DAMAGED, MISTYPED])),
        mother=draw(st.sampled_from(["", "Siti Aminah", "Wulan Sari"])),
        gender=draw(st.sampled_from(["male", "male", "female"])),
    )
    return known._replace(
        phones=draw(st.sampled_from(((), ("81210001001",)))),
        places=draw(st.sampled_from(((), ("bukateja",), ("bukatja",), ("krajan bojong",)))),
        families=draw(st.sampled_from(((), ("3303011201100001",)))),
        records=draw(st.sampled_from(((), (), (("1", "77"),), (("1", "7"),), (("1", "8"),)))),
        persons=draw(st.sampled_from(((), (), (), ("g1",)))),
        deceased=draw(st.sampled_from(("", "", "2019-01-01"))),
    )


POLICIES = st.builds(
    lambda prior, possible, probable, certain: MatchingPolicy(
        certain=possible + probable + certain, probable=possible + probable, possible=possible, prior=prior
    ),
    prior=st.sampled_from((-17.0, -17.0, -25.0, -9.0)),
    possible=st.sampled_from((-4.0, -4.0, -12.0, 2.0)),
    probable=st.sampled_from((7.0, 7.0, 0.0)),
    certain=st.sampled_from((7.0, 7.0, 0.0, 12.0)),
)


@pytest.mark.parametrize(
    "examples", [100, pytest.param(1_000, marks=pytest.mark.exhaustive)], ids=["some pairs", "many pairs"]
)
@pytest.mark.parametrize("least", [Grade.POSSIBLE, Grade.PROBABLE])
def test_nobody_is_passed_over_whose_comparison_reaches_the_grade(least, examples):
    @given(one=people(), other=people(), policy=POLICIES, frequencies=st.sampled_from((None, KNOWN)))
    @settings(derandomize=True, max_examples=examples, deadline=None)
    def passes_whoever_reaches(one, other, policy, frequencies):
        if reaches(one, other, least, policy, frequencies):
            assert Screen(policy, least=least).passes(one, other)
            assert Screen(policy, frequencies or KNOWN, least=least).passes(one, other) or frequencies is None

    passes_whoever_reaches()


@given(one=people(), other=people(), policy=POLICIES)
@settings(derandomize=True, max_examples=500, deadline=None)
def test_who_passes_weighs_what_the_comparison_tells(one, other, policy):
    compared = compare(one, other, policy=policy, frequencies=KNOWN)
    weight = None if compared.grade is Grade.CERTAINLY_NOT else compared.weight
    assert Screen(policy, KNOWN, least=Grade.POSSIBLE).weight(one, other) == weight


@given(one=people(), other=people())
@settings(derandomize=True, max_examples=150, deadline=None)
def test_the_screen_is_symmetric(one, other):
    screen = Screen(MatchingPolicy(), KNOWN, least=Grade.POSSIBLE)
    assert screen.passes(one, other) == screen.passes(other, one)


DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2030, 12, 31))


@given(one=DAYS, days=st.integers(-800, 800))
@settings(derandomize=True, max_examples=500, deadline=None)
def test_days_that_lie_far_apart_are_no_slip(one, days):
    """What is told at once of two birth dates is what their digits and the days between them tell."""
    other = one + timedelta(days)
    level = compare_birth_dates(*(PersonEvidence(birth_date=read_birth_date(day.isoformat())) for day in (one, other)))
    if abs(days) <= 3 or OSA.distance(one.isoformat(), other.isoformat()) <= 1:
        assert level is not BirthDateLevel.DIFFERENT
