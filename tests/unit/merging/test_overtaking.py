from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from tests.fakes.merge_people import dose, duplicate, record

from fhir_gateway.merging.grouping import group_by_nik
from fhir_gateway.merging.overtaking import Verdict, overtaken
from fhir_gateway.merging.planning import plan_group


def people(**other):
    return [duplicate("a"), duplicate("b", **{"phone": "", "village": "", "mother": "", **other})]


def plan_of(patients, *referring):
    (group,) = group_by_nik(patients)
    return plan_group(group, patients, referring, zone=ZoneInfo("Asia/Jakarta"))


REVIEWED = plan_of(people(), dose("d1", "a"), record("Task", 1, "b", "a"))


def test_a_plan_holds_where_nothing_has_changed():
    assert overtaken(REVIEWED, plan_of(people(), dose("d1", "a"), record("Task", 1, "b", "a"))).verdict is Verdict.SAME


def test_versions_alone_do_not_overtake_a_plan():
    newer = record("Task", 1, "b", "a") | {"meta": {"versionId": "9"}}
    assert overtaken(REVIEWED, plan_of(people(), dose("d1", "a"), newer)).verdict is Verdict.SAME


def test_elements_that_others_added_to_lists_do_not_overtake_a_plan():
    patients = people()
    patients[0]["link"] = [{"other": {"reference": "RelatedPerson/1"}, "type": "seealso"}]
    assert overtaken(REVIEWED, plan_of(patients, dose("d1", "a"), record("Task", 1, "b", "a"))).verdict is Verdict.SAME


def test_more_or_fewer_references_may_go_on_with_the_fresh_plan():
    fresh = plan_of(people(), dose("d1", "a"), record("Observation", 2, "b", "b"))
    found = overtaken(REVIEWED, fresh)
    assert found.verdict is Verdict.OTHER_REFERENCES
    assert found.reasons == ("referring resources: 1 more, 1 fewer, 0 that refer otherwise",)


@pytest.mark.parametrize(
    ("fresh", "word"),
    [
        (replace(REVIEWED, survivor="b"), "survive"),
        (replace(REVIEWED, replaced=("b", "c")), "replaced"),
        (plan_of(people(village="Bobotsari"), dose("d1", "a"), record("Task", 1, "b", "a")), "fields"),
        (plan_of(people(), dose("d1", "a"), record("Task", 1, "b", "a"), dose("d2", "b")), "doses"),
        (plan_of(people(gender="female"), dose("d1", "a"), record("Task", 1, "b", "a")), "conflicts"),
    ],
    ids=["survivor", "members", "fields", "doses", "conflicts"],
)
def test_what_nobody_has_reviewed_is_refused(fresh, word):
    found = overtaken(REVIEWED, fresh)
    assert found.verdict is Verdict.REFUSED
    assert any(word in reason for reason in found.reasons)


def test_other_values_of_the_same_fields_are_refused():
    before = plan_of(people(village="Bobotsari"))
    after = plan_of(people(village="Kutasari"))
    assert before.fields == after.fields
    assert overtaken(before, after).reasons == ("the survivor's content would become another: Patient/a (address)",)
