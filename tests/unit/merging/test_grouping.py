from dataclasses import replace

import pytest
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, TWINS_NIK, patient

from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.merges import GroupRule
from fhir_gateway.merging.grouping import MOST_PATIENTS, grade_group, group_by_nik, judge_anew

MOTHERS_NIK = "3303125203900001"
CUT_NIK = "3303121503200010"


def rizki(patient_id, **other):
    return patient(**{**RIZKI, "nik": RIZKIS_NIK, **other}) | {"id": patient_id}


def codes(group):
    return {conflict.code for conflict in group.conflicts}


def test_patients_who_share_a_nik_and_agree_are_a_certain_group():
    (group,) = group_by_nik([rizki("b"), rizki("a"), rizki("c", nik=TWINS_NIK)])
    assert group.patient_ids == ("a", "b")
    assert (group.rule, group.grade, group.nik, group.conflicts) == (
        GroupRule.SAME_NIK,
        Grade.CERTAIN,
        RIZKIS_NIK,
        (),
    )


def test_a_shared_nik_whose_names_disagree_is_a_conflict():
    (group,) = group_by_nik([rizki("a"), rizki("b", name="Dewi Lestari")])
    assert codes(group) == {"name-disagrees"}
    assert group.grade is not Grade.CERTAIN
    assert group.conflicts[0].resources == ("Patient/a", "Patient/b")


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("李小龍", "王明", {"names-unread"}),
        ("Анна Петрова", "Rizki Pratama", {"names-unread"}),
        ("李小龍", "李小龍", set()),
        ("ЖЮЛИ", "Жюли", set()),
        ("", "李小龍", set()),
    ],
)
def test_names_in_another_script_must_be_written_alike(one, other, told):
    (group,) = group_by_nik([rizki("a", name=one), rizki("b", name=other)])
    assert codes(group) == told


def test_a_shared_nik_whose_birth_dates_disagree_is_a_conflict():
    (group,) = group_by_nik([rizki("a"), rizki("b", born="2016-11-02")])
    assert "birth-date-disagrees" in codes(group)


def test_a_slip_in_the_birth_date_is_no_conflict_where_the_nik_tells_the_right_one():
    (group,) = group_by_nik([rizki("a"), rizki("b", born="2020-03-16")])
    assert codes(group) == set()


def test_a_slip_in_the_birth_date_is_a_conflict_where_the_nik_tells_neither():
    (group,) = group_by_nik([rizki("a", born="2020-04-15"), rizki("b", born="2020-04-16")])
    assert "birth-date-disagrees" in codes(group)


def test_a_shared_nik_whose_genders_disagree_is_a_conflict():
    (group,) = group_by_nik([rizki("a"), rizki("b", gender="female")])
    assert "gender-disagrees" in codes(group)


def test_one_who_does_not_agree_stays_in_the_group_and_is_named():
    (group,) = group_by_nik([rizki("a"), rizki("b"), rizki("c", name="Dewi Lestari", gender="female")])
    assert group.patient_ids == ("a", "b", "c")
    assert all("Patient/c" in conflict.resources for conflict in group.conflicts)
    assert {pair.right for pair in group.pairs} == {"b", "c"}


def test_twins_with_one_nik_are_never_certain():
    twins = [rizki("a", order=1), rizki("b", name="Rizka Pratama", order=2)]
    (group,) = group_by_nik(twins)
    assert group.grade is not Grade.CERTAIN
    assert group.conflicts


def test_a_newborn_with_its_mothers_nik_is_never_certain():
    mother = patient("Siti Aminah", nik=MOTHERS_NIK, born="1990-03-12", gender="female") | {"id": "mother"}
    newborn = patient("By. Ny. Siti Aminah", nik=MOTHERS_NIK, born="2020-03-15", gender="male") | {"id": "newborn"}
    (group,) = group_by_nik([mother, newborn])
    assert group.grade is not Grade.CERTAIN
    assert group.conflicts


def test_nobody_is_grouped_by_a_placeholder_or_when_inactive():
    placeholders = [rizki(name, nik="0000000000000000") for name in "ab"]
    assert group_by_nik([*placeholders, rizki("c"), rizki("d") | {"active": False}]) == []


def test_an_earlier_nik_brings_people_together_too():
    (group,) = group_by_nik([rizki("a"), rizki("b", nik=TWINS_NIK, old_nik=RIZKIS_NIK)])
    assert group.patient_ids == ("a", "b")


def test_a_nik_that_ends_in_0_is_shared_where_name_birth_date_and_gender_agree_and_the_doubt_is_told():
    (group,) = group_by_nik([rizki("a", nik=CUT_NIK), rizki("b", nik=CUT_NIK)])
    assert (group.patient_ids, group.nik, group.grade) == (("a", "b"), CUT_NIK, Grade.CERTAIN)
    assert [(conflict.code, conflict.blocks) for conflict in group.conflicts] == [("nik-may-be-cut", False)]


@pytest.mark.parametrize(
    "other", [{"name": "Dewi Lestari"}, {"born": "2020-03-16"}, {"born": ""}, {"gender": ""}, {"name": ""}]
)
def test_a_nik_that_ends_in_0_is_a_conflict_where_name_birth_date_or_gender_does_not_agree(other):
    (group,) = group_by_nik([rizki("a", nik=CUT_NIK), rizki("b", nik=CUT_NIK, **other)])
    assert any(conflict.blocks for conflict in group.conflicts)
    assert group.grade is not Grade.CERTAIN


def test_patients_who_share_a_valid_nik_and_a_cut_one_are_grouped_by_the_valid_one():
    (group,) = group_by_nik([rizki(name, nik=RIZKIS_NIK, old_nik=CUT_NIK) for name in "ab"])
    assert (group.nik, group.conflicts) == (RIZKIS_NIK, ())


def test_a_nik_without_a_serial_number_brings_nobody_together():
    assert group_by_nik([rizki(name, nik="3303121503200000") for name in "ab"]) == []


def test_those_who_were_parted_are_a_conflict():
    (group,) = group_by_nik([rizki("a"), rizki("b")], parted={frozenset("ab")})
    assert codes(group) == {"kept-apart"}
    assert group.grade is Grade.PROBABLE


def test_a_number_that_very_many_carry_is_a_conflict_and_compares_nobody():
    (group,) = group_by_nik([rizki(f"p{number}") for number in range(MOST_PATIENTS + 1)])
    assert codes(group) == {"too-many-patients"}
    assert group.pairs == ()


def test_chosen_patients_that_nothing_confirms_are_a_conflict():
    strangers = [
        patient("Dewi Lestari", born="1980-01-02") | {"id": "a"},
        patient("Budi", born="1999-05-06") | {"id": "b"},
    ]
    group = grade_group(strangers, rule=GroupRule.CHOSEN)
    assert group.grade is Grade.CERTAINLY_NOT
    assert group.conflicts


def test_a_group_is_judged_by_its_patients_and_not_by_what_is_said_of_it():
    pair = [rizki("a"), rizki("b", name="Dewi Lestari")]
    (group,) = group_by_nik(pair)
    assert judge_anew(group, pair) == group
    assert judge_anew(replace(group, grade=Grade.CERTAIN, pairs=(), conflicts=()), pair) == group


def test_a_nik_that_they_do_not_share_is_none():
    pair = [rizki("a"), rizki("b")]
    (group,) = group_by_nik(pair)
    judged = judge_anew(replace(group, nik=MOTHERS_NIK), pair)
    assert (judged.rule, judged.nik) == (GroupRule.CHOSEN, "")


def test_different_valid_niks_are_never_certain():
    group = grade_group([rizki("a"), rizki("b", nik=TWINS_NIK)], rule=GroupRule.EVIDENCE)
    assert "different-niks" in codes(group)
    assert group.grade is not Grade.CERTAIN


@pytest.mark.parametrize("identifier", ["no list", [None], [{"system": 1, "value": {}}]])
def test_malformed_patients_bring_nobody_together(identifier):
    odd = {"resourceType": "Patient", "id": "x", "identifier": identifier}
    assert group_by_nik([odd, odd | {"id": "y"}]) == []


@pytest.mark.parametrize(("nik", "told"), [("", {"possible-twins"}), (RIZKIS_NIK, set())])
def test_whom_an_operator_names_may_be_twins_unless_a_number_tells_otherwise(nik, told):
    sisters = [rizki("a", name="Nadya Fitrah", nik=nik), rizki("b", name="Nadia Fitrah", nik=nik)]
    assert codes(grade_group(sisters, rule=GroupRule.CHOSEN)) == told
