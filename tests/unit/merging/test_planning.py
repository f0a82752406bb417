import copy
from zoneinfo import ZoneInfo

import pytest
from tests.fakes.merge_people import KINDS, dose, duplicate, record

from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.merges import ChangeKind, DuplicateGroup, ElementChange, GroupRule
from fhir_gateway.fhir.validation import validate
from fhir_gateway.merging.grouping import group_by_nik
from fhir_gateway.merging.planning import element_changes, plan_group
from fhir_gateway.merging.repointing import patients_referred_to

ZONE = ZoneInfo("Asia/Jakarta")


def plan_of(patients, referring=(), **given):
    (group,) = group_by_nik(patients)
    return plan_group(group, patients, referring, zone=ZONE, **given)


def kinds(plan):
    return {change.resource: change.kind for change in plan.changes}


def codes(plan):
    return [conflict.code for conflict in plan.conflicts]


def people():
    return [duplicate("a"), duplicate("b", phone="", village="", mother="")]


def everything():
    records = [record(kind, number, "b", "a") for number, kind in enumerate(KINDS)]
    return [*records, dose("d1", "a"), dose("d2", "b", identifier=[{"system": "urn:b", "value": "2"}])]


def test_every_resource_that_refers_to_a_replaced_patient_is_changed_and_valid():
    plan = plan_of(people(), everything())
    assert plan.survivor == "a"
    assert plan.replaced == ("b",)
    changed = {change.resource: change for change in plan.changes}
    expected = {f"{one['resourceType']}/{one['id']}" for one in everything() if one["resourceType"] != "Provenance"}
    assert set(changed) == {"Patient/a", "Patient/b", *expected}
    for change in changed.values():
        assert validate(change.after) == ()
        assert "b" not in patients_referred_to(change.after)


def test_changes_say_what_they_are():
    plan = plan_of(people(), everything())
    named = kinds(plan)
    assert named["Patient/a"] is ChangeKind.SURVIVOR
    assert named["Patient/b"] is ChangeKind.REPLACED
    assert named["Immunization/d1"] is ChangeKind.DOSE_KEPT
    assert named["Immunization/d2"] is ChangeKind.DOSE_IN_ERROR
    assert named[f"Task/task-{KINDS.index('Task')}"] is ChangeKind.REFERENCE


def test_a_dose_in_error_is_moved_to_the_survivor_too():
    plan = plan_of(people(), [dose("d1", "a"), dose("d2", "b")])
    (change,) = [change for change in plan.changes if change.kind is ChangeKind.DOSE_IN_ERROR]
    assert change.after["patient"] == {"reference": "Patient/a"}
    assert change.after["status"] == "entered-in-error"


def test_resources_are_planned_without_the_servers_own_version():
    (survivor, *_) = plan_of(people()).changes
    assert survivor.version == "1"
    assert "meta" not in survivor.before
    assert "versionId" not in survivor.after["meta"]


def test_planning_twice_gives_the_same_plan():
    assert plan_of(people(), everything()) == plan_of(people(), everything())
    assert plan_of(people(), everything()).digest == plan_of(people()[::-1], everything()[::-1]).digest


def test_an_unrelated_edit_changes_neither_survivor_nor_digest():
    edited = everything()
    edited[0]["valueString"] = "other"
    edited[0]["meta"] = {"versionId": "7"}
    before, after = plan_of(people(), everything()), plan_of(people(), edited)
    assert (before.survivor, before.digest) == (after.survivor, after.digest)


def test_the_digest_changes_with_what_is_changed():
    assert plan_of(people(), everything()).digest != plan_of(people(), everything()[1:]).digest


def test_after_a_merge_the_master_stays_the_master():
    first = plan_of(people(), everything())
    golden = first.changes[0].after
    better = duplicate("A", village="Kalimanah") | {"photo": [{"url": "http://x/1"}]}
    assert (
        plan_of([golden, better], [dose(f"x{number}", "A", lotNumber=f"X{number}") for number in range(200)]).survivor
        == "a"
    )


def test_nothing_is_changed_in_what_was_given():
    patients, referring = people(), everything()
    before = copy.deepcopy((patients, referring))
    plan_of(patients, referring)
    assert (patients, referring) == before


def test_resources_of_the_survivor_alone_are_not_touched():
    assert kinds(plan_of(people(), [record("Observation", 1, "a", "a")])).keys() == {"Patient/a", "Patient/b"}


def test_a_patient_who_refers_to_a_merged_one_is_repointed_in_one_change():
    reference = {"url": "urn:sibling", "valueReference": {"reference": "Patient/b"}}
    other, member = duplicate("z", nik="") | {"extension": [reference]}, duplicate("a") | {"extension": [reference]}
    plan = plan_of([member, duplicate("b", phone="", village="", mother="")], [other, member])
    assert [change.resource for change in plan.changes] == ["Patient/a", "Patient/b", "Patient/z"]
    assert plan.changes[0].after["extension"][0]["valueReference"] == {"reference": "Patient/a"}


def test_the_conflicts_of_the_group_are_those_of_the_plan():
    plan = plan_of([duplicate("a"), duplicate("b", gender="female")])
    assert "gender-disagrees" in codes(plan)


def test_what_disagrees_in_a_pair_and_in_the_choice_of_its_value_is_told_once():
    plan = plan_of([duplicate("a", born="2020-04-15"), duplicate("b", born="2016-11-02", gender="female")])
    assert sorted(codes(plan)) == ["birth-date-disagrees", "gender-disagrees"]
    assert "and no NIK tells which is right" in " ".join(one.text for one in plan.conflicts)


def test_those_who_were_parted_since_are_a_conflict():
    assert codes(plan_of(people(), parted={frozenset("ab")})) == ["kept-apart"]


def test_a_dose_after_death_is_a_conflict_that_blocks():
    plan = plan_of([duplicate("a"), duplicate("b", died="2023-12-31")], [dose("d1", "a")])
    assert codes(plan) == ["dose-after-death"]
    assert plan.conflicts[0].blocks
    assert plan.conflicts[0].resources == ("Immunization/d1",)


def test_doubtful_doses_are_listed_and_do_not_block():
    plan = plan_of(people(), [dose("d1", "a"), dose("d2", "b", occurrenceDateTime="2024-01")])
    assert [(conflict.code, conflict.blocks) for conflict in plan.conflicts] == [("dose-date-partial", False)]
    assert kinds(plan)["Immunization/d2"] is ChangeKind.REFERENCE


def test_a_dose_of_somebody_else_who_only_names_a_member_is_no_duplicate():
    foreign = dose("d2", "else", note=[{"text": "x", "authorReference": {"reference": "Patient/b"}}])
    plan = plan_of(people(), [dose("d1", "a"), foreign])
    assert plan.doses == ()
    assert kinds(plan)["Immunization/d2"] is ChangeKind.REFERENCE


def test_versioned_references_are_listed():
    plan = plan_of(people(), [record("Encounter", 1, "b", "b")])
    assert [(conflict.code, conflict.blocks) for conflict in plan.conflicts] == [("versioned-reference", False)]


def test_a_reference_by_another_address_blocks():
    inside = dose("d2", "b") | {"patient": {"reference": "http://inside:8080/fhir/Patient/b"}}
    plan = plan_of(people(), [dose("d1", "a"), inside], base="https://server.example/fhir")
    assert [(one.code, one.resources, one.blocks) for one in plan.conflicts] == [
        ("foreign-reference", ("Immunization/d2",), True)
    ]
    assert "Immunization/d2" not in kinds(plan)


def test_absolute_references_to_the_server_are_moved():
    base = "https://server.example/fhir"
    resource = record("RelatedPerson", 1, "b", "b") | {"patient": {"reference": f"{base}/Patient/b"}}
    plan = plan_of(people(), [resource], base=base)
    assert plan.changes[-1].elements == (ElementChange("/patient/reference", f"{base}/Patient/b", f"{base}/Patient/a"),)


def group_of(*ids):
    return DuplicateGroup(ids, GroupRule.CHOSEN, Grade.CERTAIN)


def test_members_that_are_gone_or_inactive_are_left_out_and_named():
    patients = {"a": duplicate("a"), "b": duplicate("b"), "c": duplicate("c") | {"active": False}}
    plan = plan_group(group_of("a", "b", "c", "d"), patients, [], zone=ZONE)
    assert plan.replaced == ("b",)
    assert [(conflict.code, conflict.blocks) for conflict in plan.conflicts] == [
        ("patient-inactive", False),
        ("patient-missing", True),
    ]


@pytest.mark.parametrize("patients", [{}, {"a": duplicate("a")}])
def test_a_group_of_which_nobody_is_left_has_no_changes(patients):
    plan = plan_group(group_of("a", "b"), patients, [], zone=ZONE)
    assert (plan.changes, plan.replaced) == ((), ())
    assert plan.survivor == ("a" if patients else "")


def test_what_no_search_reaches_is_named():
    assert plan_of(people(), unsearched=("Task.input.valueReference",)).unsearched == ("Task.input.valueReference",)


def test_element_changes_are_json_pointers():
    before = {"a/b": 1, "list": [{"x": 1}, {"y": 2}], "gone": True, "same": {"z": 0}, "flag": True}
    after = {"a/b": 2, "list": [{"x": 1}, {"y": 3}, {"new": 1}], "same": {"z": 0}, "flag": 1}
    assert [(change.path, change.before, change.after) for change in element_changes(before, after)] == [
        ("/a~1b", 1, 2),
        ("/list/1/y", 2, 3),
        ("/list/2", None, {"new": 1}),
        ("/gone", True, None),
        ("/flag", True, 1),
    ]


def test_a_resource_that_refers_to_nobody_of_the_group_is_left_alone():
    assert kinds(plan_of(people(), [dose("d1", "else")])).keys() == {"Patient/a", "Patient/b"}
