"""A dose that one list has of two rows: the Patient's is that of her very name, the other row is asked about."""

from itertools import combinations

import pytest
from tests.fakes.invented_people import evidence

from fhir_gateway.domain.identity import ComparedPair, PersonAction
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.given import GivenDose, Listed

DOSE = Listed(frozenset({GivenDose("clinic#0", "198", "4", "2024-08-25")}), rows=1)
LATER = Listed(frozenset({GivenDose("clinic#0", "04", "2", "2024-09-25")}), rows=1)
ELSEWHERE = Listed(frozenset({GivenDose("cohort#run1", "08", "", "2023-02-10")}), rows=1)
BORN = {"born": "2023-02-10", "gender": "male"}
FATHERS_NIK = "1212075011770087"


def child(name, **given):
    return evidence(name, **{**BORN, "mother": "Christina Lumbangaol", "village": "Julu", **given})


def decided(*people, listed):
    known = child("Yosua Manurung", nik="1202111002230063", mother_nik=FATHERS_NIK, phone="+6285253739888")
    nodes = dict(enumerate(people, start=1)) | {"known": known}
    pairs = [ComparedPair(left, right, compare(nodes[left], nodes[right])) for left, right in combinations(nodes, 2)]
    said = dict(enumerate(listed, start=1)) | {"known": ELSEWHERE}
    people_alone = {number: one for number, one in nodes.items() if number != "known"}
    return decide(people_alone, {"known": known}, pairs, listed=said)


@pytest.mark.parametrize("number", ["", FATHERS_NIK], ids=["fits-like-the-others", "fits-best"])
def test_a_row_that_has_a_word_more_is_asked_about_where_the_list_has_its_dose_of_the_very_name(number):
    twin = child("Daniel Josua Manurung", mother_nik=number)
    made = decided(
        child("Yosua Manurung"), twin, child("Yosua Manurung", phone="+6285253739888"), listed=[DOSE, DOSE, LATER]
    )
    of_twin = next(one for one in made if 2 in one.members)
    assert (of_twin.members, of_twin.action) == ((2,), PersonAction.REVIEW)
    assert "known" in of_twin.candidates
    assert of_twin.reason == "doses-contradict"


def test_a_row_that_has_a_word_more_is_the_persons_where_no_dose_stands_twice():
    made = decided(
        child("Yosua Manurung"), child("Daniel Yosua Manurung", mother_nik=FATHERS_NIK), listed=[DOSE, LATER]
    )
    assert [(one.members, one.patient_id) for one in made] == [((1, 2), "known")]
