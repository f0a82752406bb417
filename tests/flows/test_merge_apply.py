"""Duplicates become one Patient: everything follows, nothing is lost, and what changed meanwhile is heeded."""

import json
from dataclasses import replace

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import BASE, is_bundle
from tests.fakes.duplicated_people import NIK, OTHER_NIK, dose, family, observation, patient, put_all
from tests.fakes.merging_place import everything, fill, read_all, referring_to
from tests.fakes.scripted_server import outcome

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import Grade
from fhir_gateway.merging.plan_file import read_plan, write_plan

PEOPLE = (NIK, OTHER_NIK, "Rizki", "Pratama", "Bayu", "Kusumo", "Aminah", "81200000001")


@pytest.fixture
def people(place):
    fill(place.home, family())
    return place


def planned(place, *words, environment="embedded"):
    """Plan and return the plan's file and what was printed."""
    out = place.home / "plan.json"
    code, said, err = place.run("merge", "plan", *(words or (NIK,)), "--out", out, "--json", "--env", environment)
    assert code == 0, err
    assert not [word for word in PEOPLE if word in err]
    return out, json.loads(said)


def applied(place, plan, *options, environment="embedded"):
    code, said, err = place.run("merge", "apply", plan, "--json", "--env", environment, *options)
    assert not [word for word in PEOPLE if word in err]
    assert "Traceback" not in err
    return code, json.loads(said)["merges"] if said else None, err


def test_planning_writes_nothing_and_names_what_would_change(people):
    before = everything(people.home)
    plan, said = planned(people)
    (group,) = said["groups"]
    assert (group["survivor"], group["replaced"]) == ("p1", ["p2", "p3"])
    assert group["changes"] == {"Patient": 3, "Immunization": 3, "Observation": 3, "List": 1, "Appointment": 1}
    assert group["doses"] == [{"kept": "d1-p2", "in_error": "d1-p1"}]
    assert everything(people.home) == before
    assert plan.stat().st_mode & 0o777 == 0o600


def test_a_plan_is_the_same_after_an_edit_that_has_nothing_to_do_with_it(people):
    _, first = planned(people)
    fill(people.home, [observation(9, "p9", note=[{"text": "seen again"}])])
    _, second = planned(people)
    assert first == second


def test_everything_refers_to_the_survivor_afterwards(people):
    plan, _ = planned(people)
    code, (merge,), _ = applied(people, plan)
    assert code == 0
    assert set(merge) == {"merge", "nik", "survivor", "replaced", "changed", "requests", "failed"}
    assert (merge["nik"], merge["survivor"], merge["replaced"], merge["failed"]) == (NIK, "p1", ["p2", "p3"], [])
    assert merge["changed"] == 11  # without the Provenance, which is added
    content = everything(people.home)
    assert referring_to(content, ["p2", "p3"]) == []
    assert {one: content[f"Patient/{one}"]["active"] for one in ("p1", "p2", "p3")} == {
        "p1": True,
        "p2": False,
        "p3": False,
    }
    assert content["Observation/o3-p3"]["focus"] == [{"reference": "Patient/p1"}, {"reference": "Patient/p9"}]


def test_what_refers_to_a_dose_in_error_refers_to_the_kept_one(people):
    evaluation = {
        "resourceType": "ImmunizationEvaluation",
        "id": "e1",
        "status": "completed",
        "patient": {"reference": "Patient/p1"},
        "targetDisease": {"text": "tuberculosis"},
        "immunizationEvent": {"reference": "Immunization/d1-p1"},
        "doseStatus": {"text": "valid"},
    }
    fill(people.home, [evaluation])
    plan, said = planned(people)
    assert said["groups"][0]["doses"] == [{"kept": "d1-p2", "in_error": "d1-p1"}]
    applied(people, plan)
    now = everything(people.home)["ImmunizationEvaluation/e1"]
    assert now == evaluation | {"immunizationEvent": {"reference": "Immunization/d1-p2"}}
    assert people.run("merge", "undo", 1)[0] == 0
    assert everything(people.home)["ImmunizationEvaluation/e1"] == evaluation


def test_applying_again_changes_nothing_and_tells_the_same_merge(people):
    plan, _ = planned(people)
    _, (merge,), _ = applied(people, plan)
    before = everything(people.home)
    code, (again,), told = applied(people, plan)
    assert (code, again) == (0, merge)
    assert "1 merge was made before: nothing to do" in told
    assert everything(people.home) == before


def test_a_provenance_names_every_changed_resource(people):
    plan, _ = planned(people)
    applied(people, plan)
    (provenance,) = people.server("Provenance").values()
    targets = {target["reference"].partition("/_history")[0] for target in provenance["target"]}
    assert {"Patient/p1", "Patient/p2", "Patient/p3", "Observation/o3-p3", "List/shared"} <= targets
    assert len(targets) == 11


def test_a_plan_that_the_server_has_overtaken_is_refused_as_a_whole(people):
    plan, _ = planned(people)
    fill(people.home, [patient(2, birthDate="2020-03-16")])
    before = everything(people.home)
    code, (merge,), err = applied(people, plan)
    assert (code, merge["merge"], merge["changed"]) == (3, None, 0)
    assert "other fields would be taken over: birthDate" in err
    assert "`fhir-gateway merge plan NIK --out PLAN --env embedded`" in err
    assert everything(people.home) == before


def test_the_progress_of_a_merge_ends_with_all_that_was_changed(people):
    plan, _ = planned(people)
    _, (merge,), err = applied(people, plan)
    (line,) = [line for line in err.splitlines() if line.startswith("merging")]
    assert f"merging: {merge['changed'] + 1} done" in line  # and the Provenance


@pytest.mark.parametrize("options", [(), ("--accept-conflicts",)])
def test_what_a_forged_plan_says_of_two_people_is_not_believed(place, options):
    fill(place.home, [patient(1), patient(2, name=[{"text": "Dewi Lestari"}])])
    out, _ = planned(place)
    plan = read_plan(out.read_text())
    (planned_group,) = plan.groups
    group = replace(planned_group.group, grade=Grade.CERTAIN, conflicts=())
    out.write_text(write_plan(replace(plan, groups=(replace(planned_group, group=group, conflicts=()),))))
    before = everything(place.home)
    code, (merge,), err = applied(place, out, *options)
    assert (code, merge["merge"]) == (3, None)
    assert "judged otherwise" in err
    assert everything(place.home) == before


def test_resources_that_came_after_the_plan_go_along(people):
    plan, _ = planned(people)
    fill(people.home, [observation(7, "p3"), dose(5, "p2")])
    code, _, _ = applied(people, plan)
    assert code == 0
    assert everything(people.home)["Observation/o7-p3"]["subject"] == {"reference": "Patient/p1"}
    assert referring_to(everything(people.home), ["p2", "p3"]) == []


def test_a_group_with_conflicts_waits_for_who_has_looked(place):
    fill(place.home, [patient(1), patient(2, name=[{"text": "Endah Lestari"}])])
    plan, said = planned(place)
    assert any(conflict["blocks"] for conflict in said["groups"][0]["conflicts"])
    assert applied(place, plan)[0] == 3
    assert everything(place.home)["Patient/p2"]["active"] is True
    code, (merge,), _ = applied(place, plan, "--accept-conflicts")
    assert (code, merge["replaced"]) == (0, ["p2"])


@pytest.mark.parametrize("named_by", ["word", "file"])
def test_a_nik_that_ends_in_0_can_be_planned(place, named_by):
    nik = "3303121503200010"
    fill(place.home, [patient(1, nik), patient(2, nik), observation(1, "p1")])
    path = place.home / "niks.csv"
    path.write_text(f"{nik}\n")
    plan, said = planned(place, *([nik] if named_by == "word" else ["--niks", path]))
    (group,) = said["groups"]
    assert (group["nik"], [one["code"] for one in group["conflicts"]]) == (nik, ["nik-may-be-cut"])
    code, (merge,), _ = applied(place, plan)
    assert (code, merge["replaced"]) == (0, ["p2"])


def test_a_server_that_covers_niks_is_planned_by_patients_ids_only(place, region):
    server = region(settings="masked_identifiers = true\n")
    covered = [{"system": systems.NIK, "value": "################"}]
    put_all(server.server, [patient(one, identifier=covered) for one in (1, 2)], base=BASE)
    code, _, err = place.run("merge", "plan", NIK, "--out", place.home / "plan.json", "--env", "region")
    assert code == 2
    assert "by their ids" in err
    plan, said = planned(place, "p1", "p2", environment="region")
    assert "covered-values" in {one["code"] for one in said["groups"][0]["conflicts"] if one["blocks"]}
    assert applied(place, plan, environment="region")[0] == 3


def test_named_patients_become_one(people):
    plan, said = planned(people, "p1", "Patient/p3")
    assert [group["rule"] for group in said["groups"]] == ["chosen"]
    code, (merge,), _ = applied(people, plan)
    assert (code, merge["survivor"], merge["replaced"]) == (0, "p1", ["p3"])


def test_a_nik_of_one_patient_is_nothing_to_merge(people):
    code, out, err = people.run("merge", "plan", OTHER_NIK, "--out", people.home / "plan.json")
    assert (code, out.strip()) == (0, "no group")
    assert "fewer than two" in err
    assert OTHER_NIK not in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["p1"], "two or more"),
        (["p1", "p77"], "no Patient p77"),
        ([], "name at least one NIK"),
    ],
)
def test_who_cannot_be_planned_is_told(people, words, told):
    code, _, err = people.run("merge", "plan", *words, "--out", people.home / "plan.json")
    assert code == 2
    assert told in err


def test_a_file_of_niks_is_read_and_a_broken_line_named_without_its_value(people):
    path = people.home / "niks.csv"
    path.write_text(f"NIK;name\n# these\n{NIK};x\n\n{OTHER_NIK}\n")
    code, out, _ = people.run("merge", "plan", "--niks", path, "--out", people.home / "plan.json", "--json")
    assert (code, len(json.loads(out)["groups"])) == (0, 1)
    path.write_text(f"{NIK}\n33031\n")
    code, _, err = people.run("merge", "plan", "--niks", path, "--out", people.home / "plan.json")
    assert code == 2
    assert "niks.csv:2" in err
    assert "33031" not in err


def two_families():
    return [*family(), patient(10, nik=OTHER_NIK, name=[{"text": "Bayu Kusumo"}], birthDate="2019-07-11")]


def test_groups_that_share_a_resource_follow_each_other(place):
    fill(place.home, two_families())
    plan, _ = planned(place, NIK, OTHER_NIK)
    code, merges, _ = applied(place, plan)
    assert (code, [merge["failed"] for merge in merges]) == (0, [[], []])
    content = everything(place.home)
    replaced = [one for merge in merges for one in merge["replaced"]]
    assert referring_to(content, replaced) == []


def test_requests_are_counted_as_they_were_sent(place, region):
    server = region()
    put_all(server.server, two_families(), base=BASE)
    plan, _ = planned(place, NIK, OTHER_NIK, environment="region")
    server.requests.clear()
    code, merges, _ = applied(place, plan, environment="region")
    assert (code, sum(merge["requests"] for merge in merges)) == (0, len(server.requests))


def in_region(place, region, **disturbances):
    """Put the family behind `region` and plan, undisturbed; return the server and the plan."""
    server = region()
    put_all(server.server, family(), base=BASE)
    plan, _ = planned(place, environment="region")
    server.before = disturbances.get("before", server.before)
    server.after = disturbances.get("after", server.after)
    server.requests.clear()
    return server, plan


def writes(request, name):
    """Tell whether a bundle writes this resource."""
    return is_bundle(request) and any(
        entry["request"]["method"] == "PUT" and entry["request"]["url"] == name
        for entry in orjson.loads(request.content)["entry"]
    )


def test_a_refused_entry_leaves_the_rest_done_and_is_mended_by_saying_it_again(place, region):
    def refuse(request, response):
        if not writes(request, "Observation/o3-p3"):
            return None
        bundle = orjson.loads(response.content)
        asked = orjson.loads(request.content)["entry"]
        number = next(n for n, entry in enumerate(asked) if entry["request"]["url"] == "Observation/o3-p3")
        bundle["entry"][number] = {"response": {"status": "422", "outcome": outcome(text="not today")}}
        put_all(server.server, [observation(3, "p3", focus=[{"reference": "Patient/p2"}, {"reference": "Patient/p9"}])])
        return httpx.Response(200, content=orjson.dumps(bundle))

    server, plan = in_region(place, region, after=refuse)
    code, (merge,), err = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (3, ["Observation/o3-p3"])
    assert "Observation/o3-p3" in err
    content = read_all(server.server)
    assert set(referring_to(content, ["p2", "p3"])) == {"Observation/o3-p3"}
    server.after = lambda *_: None
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])
    assert referring_to(read_all(server.server), ["p2", "p3"]) == []


def test_a_resource_that_changed_meanwhile_is_planned_anew_and_keeps_both_changes(place, region):
    edited = []

    def edit(request):
        if writes(request, "Observation/o2-p2") and not edited:
            edited.append(1)
            newer = observation(2, "p2", performer=[{"reference": "Patient/p3"}], note=[{"text": "again"}])
            put_all(server.server, [newer], base=BASE)

    server, plan = in_region(place, region, before=edit)
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])
    now = read_all(server.server)["Observation/o2-p2"]
    assert (now["note"], now["subject"], now["performer"]) == (
        [{"text": "again"}],
        {"reference": "Patient/p1"},
        [{"reference": "Patient/p1"}],
    )


def test_a_survivor_whom_a_load_completes_meanwhile_is_merged_and_keeps_both_changes(place, region):
    edited = []

    def edit(request):
        if writes(request, "Patient/p1") and not edited:
            edited.append(1)
            newer = read_all(server.server)["Patient/p1"] | {"contact": [{"name": {"text": "Siti Aminah"}}]}
            put_all(server.server, [newer], base=BASE)

    server, plan = in_region(place, region, before=edit)
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"], len(edited)) == (0, [], 1)
    now = read_all(server.server)["Patient/p1"]
    assert now["contact"] == [{"name": {"text": "Siti Aminah"}}]
    assert now["meta"]["tag"]
    assert {one["type"] for one in now["link"]} == {"replaces"}


def test_a_dose_that_comes_to_a_replaced_patient_meanwhile_is_moved_before_the_end(place, region):
    come = []

    def post(request):
        if writes(request, "Patient/p2") and not come:
            come.append(1)
            put_all(server.server, [dose(6, "p2")], base=BASE)

    server, plan = in_region(place, region, before=post)
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])
    assert read_all(server.server)["Immunization/d6-p2"]["patient"] == {"reference": "Patient/p1"}


def test_a_server_that_is_lost_midway_is_told_and_the_same_command_goes_on(place, region):
    def lose(request):
        if writes(request, "Patient/p2"):
            raise httpx.ConnectError("refused")

    server, plan = in_region(place, region, before=lose)
    code, out, err = applied(place, plan, environment="region")
    assert (code, out) == (1, None)
    assert "run the same command again" in err
    assert read_all(server.server)["Patient/p2"]["active"] is True
    _, _, told = place.run("merge", "plan", NIK, "--out", place.home / "other.json", "--env", "region")
    assert "merge 1 is unfinished" in told
    server.before = lambda _: None
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["merge"], merge["failed"]) == (0, 1, [])
    assert referring_to(read_all(server.server), ["p2", "p3"]) == []


def test_a_reference_by_the_servers_inner_address_is_no_merge_that_is_silently_not_whole(people):
    inside = {
        "resourceType": "Task",
        "id": "t1",
        "status": "requested",
        "intent": "order",
        "for": {"reference": "http://inside.example:8080/fhir/Patient/p2"},
    }
    fill(people.home, [inside])
    before = everything(people.home)
    plan, _ = planned(people, NIK, "--scan")
    code, (merge,), said = applied(people, plan, "--scan")
    assert (code, merge["merge"]) == (3, None)
    assert "names another address than base_url" in said
    assert everything(people.home) == before


def test_a_merge_that_stands_takes_along_what_only_reading_everything_finds(people):
    hidden = {
        "resourceType": "Task",
        "id": "t1",
        "status": "requested",
        "intent": "order",
        "input": [{"type": {"text": "who"}, "valueReference": {"reference": "Patient/p2"}}],
    }
    fill(people.home, [hidden])
    before = everything(people.home)
    plan, _ = planned(people)
    assert applied(people, plan)[0] == 0
    assert referring_to(everything(people.home), ["p2", "p3"]) == ["Task/t1"]
    code, (merge,), _ = applied(people, plan, "--scan")
    assert (code, merge["merge"], merge["changed"], merge["failed"]) == (0, 1, 12, [])
    assert referring_to(everything(people.home), ["p2", "p3"]) == []
    assert people.run("merge", "verify")[0] == 0
    assert people.run("merge", "undo", 1)[0] == 0
    assert everything(people.home) == before
