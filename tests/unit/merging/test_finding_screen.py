from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.duplicated_people import patient
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, TWINS_NIK, evidence

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.comparators import BirthDateLevel
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.parameters import MatchingPolicy, default_parameters
from fhir_gateway.identity.vetoes import SAME_DAY
from fhir_gateway.merging.finding_people import pack, person_of
from fhir_gateway.merging.finding_screen import worth_comparing, worth_of

NOT_THE_SAME_DAY = {level.value for level in BirthDateLevel} - {level.value for level in SAME_DAY}
ASKED = {Grade.CERTAIN, Grade.PROBABLE}


def person(**other):
    return evidence(**{**RIZKI, **other})


def passes(one, other):
    return worth_comparing(one, other, MatchingPolicy())


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
    assert passes(person(), person(**other))


@pytest.mark.parametrize(
    "other",
    [{"name": "Bayu Kusumo"}, {"name": "Rizki Kusumawardani"}, {"name": "Rizal Pratomo", "born": "2016-11-02"}],
)
def test_who_cannot_be_is_passed_over_and_the_comparison_says_the_same(other):
    assert not passes(person(), person(**other))
    assert compare(person(), person(**other)).grade not in ASKED


def test_who_shares_a_nik_is_listed_elsewhere():
    both = [person_of(patient(number)) for number in (1, 2)]
    records = {number: pack(one) for number, one in enumerate(both)}
    assert worth_of([(0, 1)], records, MatchingPolicy()) == []


def test_the_same_patient_written_again_meanwhile_is_no_pair():
    records = {number: pack(person_of(patient(1, nik=""))) for number in (0, 1)}
    assert worth_of([(0, 1)], records, MatchingPolicy()) == []


def test_a_person_of_several_names_is_compared_by_each():
    several = replace(person(), own_keys=(*person().own_keys, *evidence(name="Bayu Kusumo").own_keys))
    assert passes(several, person(name="Bayu Kusumo"))


WORDS = ("Rizki", "Pratama", "Siti", "Nurhayati", "Nur", "Hayati", "Muh", "M", "R.", "Bayu", "Kusumo", "Abdurrahman")
JOINING = (" ", " ", " ", " bin ", "")
DAMAGED = RIZKIS_NIK[:12] + "0000"


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
        name=draw(st.sampled_from(JOINING)).join(words),
        born=draw(st.sampled_from(["2020-03-15", "2020-03-16", "2016-11-02", "1988-03-15", "2020-03", ""])),
        nik=draw(st.sampled_from(["", "", RIZKIS_NIK, TWINS_NIK, DAMAGED])),
        mother=draw(st.sampled_from(["", "Siti Aminah", "Wulan Sari"])),
        gender=draw(st.sampled_from(["male", "male", "female"])),
    )
    return replace(
        known,
        phones=draw(st.sampled_from(((), ("81210001001",)))),
        places=draw(st.sampled_from(((), ("bukateja",)))),
        families=draw(st.sampled_from(((), ("3303011201100001",)))),
        records=draw(st.sampled_from(((), (), (("1", "77"),)))),
        persons=draw(st.sampled_from(((), (), (), ("g1",)))),
        deceased=draw(st.sampled_from(("", "", "2019-01-01"))),
    )


@given(one=people(), other=people())
@settings(derandomize=True, max_examples=1500, deadline=None)
def test_the_screen_hides_nobody_whom_an_operator_would_look_at(one, other):
    if compare(one, other).grade in ASKED and not set(one.niks) & set(other.niks):
        assert passes(one, other)


def test_where_an_environment_asks_about_less_all_is_compared():
    one, other = person(), person(name="Bayu Kusumo")
    assert not worth_comparing(one, other, MatchingPolicy())
    assert worth_comparing(one, other, MatchingPolicy(probable=0.0))


def test_what_is_passed_over_is_bounded_by_the_shipped_weights():
    """Whoever changes a weight so that a bound no longer holds is told here, not by a duplicate that nobody sees."""
    policy, shipped = MatchingPolicy(), default_parameters()
    weights = shipped.weights
    else_at_most = policy.prior + weights["gender.agree"] + shipped.household.most
    other_day = max(w for name, w in weights.items() if name in {f"birth_date.{one}" for one in NOT_THE_SAME_DAY})
    assert max(weights["name.partial"], weights["name.different"]) + other_day + else_at_most < policy.probable
    like = max(weights["name.subset"], weights["name.initials"], weights["name.near"]) + shipped.names.all_most
    assert like + weights["birth_date.different"] + else_at_most < policy.certain
    household_of_no_family = 3.0
    same_day = policy.prior + weights["gender.agree"] + household_of_no_family + weights["birth_date.exact"]
    assert weights["name.partial"] + same_day < policy.probable
