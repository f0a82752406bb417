from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from tests.fakes.merge_people import duplicate, record

from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.merges import GroupRule, Merge, MergeState
from fhir_gateway.fhir.validation import validate
from fhir_gateway.merging.grouping import group_by_nik
from fhir_gateway.merging.planning import plan_group
from fhir_gateway.merging.provenance import provenance_of, provenance_of_undo

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DONE = datetime(2026, 1, 2, 3, 4, 6, tzinfo=ZoneInfo("Asia/Jakarta"))


def plan():
    patients = [duplicate("a"), duplicate("b", phone="", village="", mother="")]
    (group,) = group_by_nik(patients)
    return plan_group(group, patients, [record("Task", 1, "b", "a")], zone=ZoneInfo("Asia/Jakarta"))


def targets(provenance):
    return [target["reference"] for target in provenance["target"]]


def test_a_merges_provenance_names_every_changed_resource_in_its_new_version():
    provenance = provenance_of(
        plan(), {"Patient/a": "2", "Patient/b": "3", "Task/task-1": "4"}, merge=7, user="dewi", at=DONE, begun=BEGUN
    )
    assert validate(provenance) == ()
    assert targets(provenance) == ["Patient/a/_history/2", "Patient/b/_history/3", "Task/task-1/_history/4"]
    assert provenance["activity"]["coding"][0]["code"] == "merge"
    assert provenance["reason"][0]["coding"][0]["code"] == "PATADMIN"
    assert "merge 7" in provenance["reason"][0]["text"]
    assert provenance["occurredPeriod"] == {
        "start": "2026-01-02T03:04:05.000+00:00",
        "end": "2026-01-02T03:04:06.000+07:00",
    }
    assert provenance["agent"][0]["who"]["identifier"]["value"] == "dewi"


def test_the_patients_before_the_merge_are_its_sources():
    provenance = provenance_of(plan(), {}, merge=1, user="dewi", at=DONE)
    assert [entity["what"]["reference"] for entity in provenance["entity"]] == [
        "Patient/a/_history/1",
        "Patient/b/_history/1",
    ]
    assert targets(provenance) == ["Patient/a", "Patient/b"]
    assert validate(provenance) == ()


def test_an_undoings_provenance_says_what_was_undone_and_why():
    merge = Merge(7, 1, MergeState.UNDOING, "", "a", ("b",), GroupRule.SAME_NIK, Grade.CERTAIN, "dewi", BEGUN)
    provenance = provenance_of_undo(merge, {"Patient/a": "5"}, user="rina", at=DONE, reason="two people", begun=BEGUN)
    assert validate(provenance) == ()
    assert targets(provenance) == ["Patient/a/_history/5", "Patient/b"]
    assert provenance["activity"]["coding"][0]["code"] == "unmerge"
    assert provenance["reason"][0]["text"] == "merge 7 undone: two people"


def test_who_did_it_is_always_said():
    assert validate(provenance_of(plan(), {}, merge=1, user=" ", at=DONE)) == ()


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        provenance_of(plan(), {}, merge=1, user="dewi", at=DONE.replace(tzinfo=None))
