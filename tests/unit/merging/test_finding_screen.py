import pytest
from tests.fakes.duplicated_people import patient
from tests.fakes.invented_people import RIZKI, TWINS_NIK, evidence

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen
from fhir_gateway.merging.finding_pages import NUMBER_BITS
from fhir_gateway.merging.finding_people import pack, person_of
from fhir_gateway.merging.finding_screen import LEAST, worth_of

ASKED = {Grade.CERTAIN, Grade.PROBABLE}


def person(**other):
    return evidence(**{**RIZKI, **other})


def passes(one, other):
    return Screen(MatchingPolicy(), least=LEAST).passes(one, other)


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


def test_who_is_worth_a_comparison_is_named_by_id_and_by_number():
    people = {number: person_of(patient(number, nik="")) for number in (4, 7)}
    records = {number: pack(person) for number, person in people.items()}
    assert worth_of([4 << NUMBER_BITS | 7], records, MatchingPolicy()) == {
        4 << NUMBER_BITS | 7: (people[4].shown.id, people[7].shown.id)
    }


def test_who_shares_a_nik_is_listed_elsewhere():
    both = [person_of(patient(number)) for number in (1, 2)]
    records = {number: pack(one) for number, one in enumerate(both)}
    assert worth_of([1], records, MatchingPolicy()) == {}


def test_the_same_patient_written_again_meanwhile_is_no_pair():
    records = {number: pack(person_of(patient(1, nik=""))) for number in (0, 1)}
    assert worth_of([1], records, MatchingPolicy()) == {}


def test_a_person_of_several_names_is_compared_by_each():
    several = person()._replace(own_keys=(*person().own_keys, *evidence(name="Bayu Kusumo").own_keys))
    assert passes(several, person(name="Bayu Kusumo"))
