import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from tests.fakes.merge_people import dose, duplicate, record

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.merges import ElementChange, MergePlan
from fhir_gateway.merging.grouping import group_by_nik
from fhir_gateway.merging.overtaking import Verdict, overtaken
from fhir_gateway.merging.plan_file import read_plan, write_plan
from fhir_gateway.merging.planning import plan_group

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def sample_plan(observations=3):
    patients = [duplicate("a"), duplicate("b", phone="", village="Bobotsari", gender="female")]
    (group,) = group_by_nik(patients)
    referring = [
        dose("d1", "a"),
        dose("d2", "b"),
        *(record("Observation", number, "b", "a") for number in range(observations)),
    ]
    plan = plan_group(
        group, patients, referring, zone=ZoneInfo("Asia/Jakarta"), unsearched=("Task.input.valueReference",)
    )
    return MergePlan("embedded", MADE, (plan,))


def without_bodies(plan):
    groups = tuple(
        replace(group, changes=tuple(replace(change, before={}, after={}) for change in group.changes))
        for group in plan.groups
    )
    return replace(plan, groups=groups)


def rounded(plan):
    return read_plan(write_plan(plan))


def test_a_plan_is_read_as_it_was_written():
    plan = sample_plan()
    read = read_plan(write_plan(plan))
    assert read.groups[0].changes == without_bodies(plan).groups[0].changes
    assert replace(read.groups[0], group=plan.groups[0].group) == without_bodies(plan).groups[0]
    assert (read.environment, read.made) == ("embedded", MADE)
    assert write_plan(read) == write_plan(plan)


def test_the_comparisons_of_a_group_stand_in_its_plan_to_two_decimals():
    written, read = sample_plan().groups[0].group, rounded(sample_plan()).groups[0].group
    assert (read.patient_ids, read.rule, read.grade, read.nik, read.conflicts) == (
        written.patient_ids,
        written.rule,
        written.grade,
        written.nik,
        written.conflicts,
    )
    assert [evidence.words for evidence in read.pairs[0].comparison.evidence] == [
        evidence.words for evidence in written.pairs[0].comparison.evidence
    ]
    assert read.pairs[0].comparison.weight == round(written.pairs[0].comparison.weight, 2)


def test_a_plan_that_was_read_still_holds():
    assert overtaken(rounded(sample_plan()).groups[0], sample_plan().groups[0]).verdict is Verdict.SAME


def test_the_same_plan_gives_the_same_text():
    assert write_plan(sample_plan()) == write_plan(sample_plan())


def test_a_plan_holds_no_whole_resources():
    assert "vaccineCode" not in write_plan(sample_plan())


def test_a_big_group_stays_readable():
    small, big = write_plan(sample_plan(10)).count("\n"), write_plan(sample_plan(210)).count("\n")
    assert big - small == 200


def test_decimals_keep_their_digits():
    plan = sample_plan()
    group = plan.groups[0]
    change = replace(group.changes[0], elements=(ElementChange("/x", Decimal("0.50"), None),))
    text = write_plan(replace(plan, groups=(replace(group, changes=(change,)),)))
    assert '"before": 0.50' in text
    assert str(read_plan(text).groups[0].changes[0].elements[0].before) == "0.50"


def edited(**values):
    content = json.loads(write_plan(sample_plan()))
    content["groups"][0].update(values)
    return json.dumps(content)


@pytest.mark.parametrize("values", [{"survivor": "b"}, {"conflicts": []}, {"extra": 1}])
def test_an_edited_plan_is_refused(values):
    with pytest.raises(UsageError, match="changed after it was written"):
        read_plan(edited(**values))


def test_a_plan_may_be_indented_otherwise():
    text = write_plan(sample_plan())
    assert read_plan(json.dumps(json.loads(text))) == read_plan(text)


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"format": "another"}', "null", '{"format": {}}'])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(UsageError, match="no merge plan"):
        read_plan(text)


def test_a_forged_plan_without_its_parts_is_refused():
    from fhir_gateway.merging import plan_file  # noqa: PLC0415 - forges with the file's own hash

    content = {"format": plan_file.FORMAT, "environment": "x", "made": "never", "groups": [{"patients": 5}]}
    with pytest.raises(UsageError, match="damaged"):
        read_plan(json.dumps(content | {"content_sha256": plan_file._hash(content)}))
