"""Undoing a merge gives everything back, and only what the merge changed; what was edited since is decided by a person."""

import json

import httpx
import pytest
from tests.fakes.disturbed_server import BASE
from tests.fakes.duplicated_people import NIK, dose, family, observation, patient, put_all
from tests.fakes.merging_place import everything, fill, read_all, referring_to
from tests.flows.test_merge_apply import PEOPLE, applied, planned, writes

from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.merging.elements import replaced_by_tag


def merge_family(place):
    """Return everything as it was before."""
    fill(place.home, family())
    before = everything(place.home)
    plan, _ = planned(place)
    assert applied(place, plan)[0] == 0
    return before


@pytest.fixture
def merged(place, begin):
    """Return the place after its family was merged, and everything as it was before."""
    return place, begin(merge_family)


def undo(place, *options, environment="embedded"):
    """Return (exit code, what --json printed, stderr) of undoing merge 1."""
    code, said, err = place.run("merge", "undo", 1, "--json", "--env", environment, *options)
    assert not [word for word in PEOPLE if word in err]
    assert "Traceback" not in err
    return code, json.loads(said) if said else None, err


def edit(place, name, **elements):
    """Change elements of a resource as somebody does who reads it first; None takes one away."""
    content = everything(place.home)[name] | elements
    fill(place.home, [{element: value for element, value in content.items() if value is not None}])


def test_undoing_gives_every_resource_back_as_it_was(merged):
    place, before = merged
    code, said, _ = undo(place)
    assert (code, said["state"], said["conflicts"], said["failed"]) == (0, "undone", [], [])
    assert everything(place.home) == before


def test_a_preview_tells_what_would_be_put_back_and_writes_nothing(merged):
    place, _ = merged
    now = everything(place.home)
    code, previewed, _ = undo(place, "--preview")
    assert (code, previewed["state"]) == (0, "applied")
    assert everything(place.home) == now
    assert undo(place)[1]["restored"] == previewed["restored"] > 0


def test_undoing_twice_changes_nothing(merged):
    place, before = merged
    undo(place)
    code, said, _ = undo(place)
    assert (code, said["state"], said["restored"]) == (0, "undone", 0)
    assert everything(place.home) == before
    code, told, _ = place.run("merge", "undo", 1, "--preview")
    assert (code, "nothing to do: merge 1 was undone already, by " in told) == (0, True)
    code, _, told = place.run("merge", "undo", 1, "--move", "Observation/any=somebody")
    assert (code, "merge 1 is undone already" in told) == (2, True)


def test_a_provenance_tells_of_the_undoing(merged):
    place, _ = merged
    undo(place, "--reason", "two sisters")
    assert len(place.server("Provenance")) == 2
    undo(place)
    assert len(place.server("Provenance")) == 2


def test_an_edit_since_survives(merged):
    place, before = merged
    edit(place, "Observation/o3-p3", note=[{"text": "seen again"}], valueQuantity={"value": 11, "unit": "kg"})
    telecom = everything(place.home)["Patient/p1"]["telecom"]
    newer = {"system": "email", "value": "r@example.org"}
    edit(place, "Patient/p1", telecom=[newer, *telecom])
    code, _, _ = undo(place)
    after = everything(place.home)
    assert code == 0
    assert after["Observation/o3-p3"] == before["Observation/o3-p3"] | {
        "note": [{"text": "seen again"}],
        "valueQuantity": {"value": 11, "unit": "kg"},
    }
    assert after["Patient/p1"] == before["Patient/p1"] | {"telecom": [newer, *before["Patient/p1"]["telecom"]]}
    edited = {"Observation/o3-p3", "Patient/p1"}
    assert {name: one for name, one in after.items() if name not in edited} == {
        name: one for name, one in before.items() if name not in edited
    }


@pytest.fixture
def conflicting(merged):
    """Return the place after somebody gave an Observation that had been moved to someone else."""
    place, before = merged
    edit(place, "Observation/o2-p2", subject={"reference": "Patient/p9"})
    return place, before


def test_a_conflict_is_listed_and_nothing_written(conflicting):
    place, _ = conflicting
    now = everything(place.home)
    code, said, _ = undo(place)
    assert (code, said["state"], said["restored"]) == (3, "applied", 0)
    assert said["conflicts"] == [
        {
            "resource": "Observation/o2-p2",
            "path": "/subject/reference",
            "before": "Patient/p2",
            "now": "Patient/p9",
        }
    ]
    assert "Patient/p9" in place.run("merge", "undo", 1)[1]
    assert everything(place.home) == now
    assert len(place.server("Provenance")) == 1


def test_a_conflict_can_be_kept_as_it_is_now(conflicting):
    place, before = conflicting
    code, said, _ = undo(place, "--keep-now")
    assert (code, said["state"], [one["resource"] for one in said["kept"]]) == (0, "undone", ["Observation/o2-p2"])
    after = everything(place.home)
    assert after["Observation/o2-p2"] == before["Observation/o2-p2"] | {"subject": {"reference": "Patient/p9"}}
    assert {**after, "Observation/o2-p2": None} == {**before, "Observation/o2-p2": None}


def test_a_conflict_can_be_put_back_as_it_was(conflicting):
    place, before = conflicting
    code, said, _ = undo(place, "--restore")
    assert (code, said["state"], said["kept"]) == (0, "undone", [])
    assert everything(place.home) == before


@pytest.mark.parametrize("decision", ["keep", "restore"])
def test_each_conflict_can_be_decided_in_a_file(conflicting, decision):
    place, before = conflicting
    path = place.home / "decisions.json"
    assert undo(place, "--decisions", path)[0] == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert undo(place, "--decisions", path)[0] == 3  # nothing was filled in
    content = json.loads(path.read_text())
    for line in content["conflicts"]:
        line["decision"] = decision
    path.write_text(json.dumps(content))
    assert undo(place, "--decisions", path)[0] == 0
    kept = {"reference": "Patient/p9"} if decision == "keep" else {"reference": "Patient/p2"}
    assert everything(place.home)["Observation/o2-p2"] == before["Observation/o2-p2"] | {"subject": kept}


def test_what_was_deleted_since_stays_deleted(merged):
    place, before = merged
    deleted, provenances = "Observation/o2-p2", place.server("Provenance")
    server = EmbeddedServer(place.home / ".fhir-gateway" / "embedded")
    for name in (*(f"Provenance/{one}" for one in provenances), deleted):  # what is referred to cannot be deleted
        answer = server.handle("DELETE", f"/{name}", query="", headers={}, body=b"", base="http://x/fhir")
        assert answer.status in {200, 204}
    server.close()
    code, said, _ = undo(place)
    assert (code, said["state"]) == (0, "undone")
    assert everything(place.home) == {name: one for name, one in before.items() if name != deleted}


def test_what_arrived_since_is_named_and_moved_only_where_told(merged):
    place, before = merged
    fill(place.home, [observation(7, "p1"), observation(8, "p1"), dose(6, "p1")])
    _, previewed, _ = undo(place, "--preview")
    assert {"Observation/o7-p1", "Observation/o8-p1", "Immunization/d6-p1"} <= set(previewed["arrived"])
    code, _, _ = undo(place, "--move", "Observation/o7-p1=p2", "--move", "Immunization/d6-p1=Patient/p3")
    assert code == 0
    after = everything(place.home)
    assert after["Observation/o7-p1"]["subject"] == {"reference": "Patient/p2"}
    assert after["Immunization/d6-p1"]["patient"] == {"reference": "Patient/p3"}
    assert after["Observation/o8-p1"]["subject"] == {"reference": "Patient/p1"}
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    ("move", "told"),
    [
        ("Observation/o7-p1", "name one of the replaced Patients"),
        ("Observation/o7-p1=p9", "only whom merge 1 had replaced"),
        ("Observation/o2-p2=p3", "was changed by the merge itself"),
        ("Observation/o9-p9=p2", "does not refer to Patient p1"),
        ("Observation/o77=p2", "is not on the server"),
        ("Observation", "TYPE/ID"),
    ],
)
def test_what_cannot_be_moved_is_told_and_nothing_written(merged, move, told):
    place, _ = merged
    fill(place.home, [observation(7, "p1")])
    now = everything(place.home)
    code, _, err = undo(place, "--move", move)
    assert code == 2
    assert told in err
    assert everything(place.home) == now


def test_what_was_undone_is_not_merged_again_unasked(merged):
    place, before = merged
    undo(place)
    plan, said = planned(place)
    assert said["groups"]
    assert all(any(one["blocks"] for one in group["conflicts"]) for group in said["groups"])
    assert applied(place, plan)[0] == 3
    assert everything(place.home) == before


def test_who_has_looked_may_merge_the_pair_again_and_undo_that(merged):
    place, before = merged
    undo(place)
    plan, _ = planned(place)
    code, (merge,), _ = applied(place, plan, "--accept-conflicts")
    assert (code, merge["merge"]) == (0, 2)
    assert referring_to(everything(place.home), ["p2", "p3"]) == []
    assert place.run("merge", "undo", 2)[0] == 0
    assert everything(place.home) == before


@pytest.mark.parametrize("order", [(2, 1), (1, 2)])
def test_two_merges_with_one_survivor_are_undone_in_any_order(place, order):
    fill(place.home, family())
    before = everything(place.home)
    for words in (("p2", "p3"), (NIK,)):
        plan, _ = planned(place, *words)
        _, (merge,), _ = applied(place, plan, "--accept-conflicts")
        assert merge["survivor"] == "p2"
    assert place.run("merge", "undo", order[0])[0] == 0
    assert replaced_by_tag(everything(place.home)["Patient/p2"]) == "p2"  # the other one stands
    assert place.run("merge", "undo", order[1])[0] == 0
    assert everything(place.home) == before


def test_a_chain_of_merges_is_undone_from_its_end(place):
    fill(place.home, [*family(), patient(4), observation(4, "p4")])
    begun = everything(place.home)
    chain = []
    for people in (("p1", "p2"), ("p3", "p4")):
        plan, _ = planned(place, *people)
        chain.append(applied(place, plan)[1][0])
    plan, _ = planned(place, *(merge["survivor"] for merge in chain))
    chain.append(applied(place, plan, "--accept-conflicts")[1][0])
    replaced = [one for merge in chain for one in merge["replaced"]]
    assert referring_to(everything(place.home), replaced) == []
    below = next(merge["merge"] for merge in chain[:2] if merge["survivor"] in chain[2]["replaced"])
    code, _, err = place.run("merge", "undo", below)
    assert code == 2
    assert f"merge 3 came after merge {below} and builds upon it: undo that one first" in err
    for merge in (3, below, 3 - below):
        assert place.run("merge", "undo", merge)[0] == 0
    assert everything(place.home) == begun


def test_the_other_end_of_a_chain_is_undone_on_its_own(place):
    fill(place.home, [*family(), patient(4), observation(4, "p4")])
    chain = []
    for people in (("p1", "p2"), ("p3", "p4")):
        plan, _ = planned(place, *people)
        chain.append(applied(place, plan)[1][0])
    before = everything(place.home)
    plan, _ = planned(place, *(merge["survivor"] for merge in chain))
    chain.append(applied(place, plan, "--accept-conflicts")[1][0])
    above = next(merge for merge in chain[:2] if merge["survivor"] == chain[2]["survivor"])
    assert place.run("merge", "undo", above["merge"])[0] == 0
    assert place.run("merge", "undo", 3)[0] == 0
    content = everything(place.home)
    assert referring_to(content, chain[2]["replaced"]) == referring_to(before, chain[2]["replaced"])
    assert all(content[f"Patient/{one}"]["active"] for one in (*above["replaced"], chain[2]["survivor"]))


def test_what_was_decided_is_remembered_when_the_undoing_was_interrupted(place, region):
    def lose(request):
        if writes(request, "Patient/p1"):
            raise httpx.ConnectError("refused")

    server = region()
    put_all(server.server, family(), base=BASE)
    before = read_all(server.server)
    plan, _ = planned(place, environment="region")
    applied(place, plan, environment="region")
    elsewhere = {"subject": {"reference": "Patient/p9"}}
    put_all(server.server, [observation(2, "p2") | elsewhere, observation(7, "p1")], base=BASE)
    server.before = lose
    assert undo(place, "--keep-now", "--move", "Observation/o7-p1=p3", environment="region")[0] == 1
    server.before = lambda _: None
    code, said, _ = undo(place, environment="region")
    assert (code, said["state"], said["conflicts"]) == (0, "undone", [])
    assert {one["resource"] for one in said["kept"]} == {"Observation/o2-p2"}
    after = read_all(server.server)
    assert after["Observation/o2-p2"]["subject"] == elsewhere["subject"]
    assert after["Observation/o7-p1"]["subject"] == {"reference": "Patient/p3"}
    edited = {"Observation/o2-p2", "Observation/o7-p1"}
    assert {name: one for name, one in after.items() if name not in edited} == {
        name: one for name, one in before.items() if name not in edited
    }


def test_a_merge_that_is_not_there_is_told(place):
    code, _, err = undo(place)
    assert code == 2
    assert "no merge 1" in err


@pytest.mark.parametrize("lost_at", ["Patient/p2", "Observation/o3-p3", "Patient/p1"])
def test_an_undoing_whose_server_is_lost_goes_on_with_the_same_command(place, region, lost_at):
    def lose(request):
        if writes(request, lost_at):
            raise httpx.ConnectError("refused")

    server = region()
    put_all(server.server, family(), base=BASE)
    before = read_all(server.server)
    plan, _ = planned(place, environment="region")
    applied(place, plan, environment="region")
    server.before = lose
    code, said, err = undo(place, environment="region")
    assert (code, said) == (1, None)
    assert "run the same command again" in err
    assert read_all(server.server) != before
    _, _, told = place.run("merge", "plan", NIK, "--out", place.home / "other.json", "--env", "region")
    assert "merge 1 is unfinished" in told
    assert "merge undo 1" in told
    server.before = lambda _: None
    code, said, _ = undo(place, environment="region")
    assert (code, said["state"], said["failed"]) == (0, "undone", [])
    assert read_all(server.server) == before
