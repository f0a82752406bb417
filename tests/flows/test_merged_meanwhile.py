"""Doses never stay behind with a Patient whom a merge replaces while they are being loaded."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import BASE, holds, is_bundle
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

NIK = "3303015203200003"
OTHER = {
    "resourceType": "Patient",
    "id": "other",
    "active": True,
    "identifier": [{"system": "https://fhir.kemkes.go.id/id/nik", "value": NIK}],
    "name": [{"text": "Ratna Dewanti"}],
    "gender": "female",
    "birthDate": "2020-03-12",
}
COUNTS = ("loaded", "unchanged", "review", "rejected", "failed")


def counts(summary):
    return {name: summary[name] for name in COUNTS if summary[name]}


def load(place, path):
    code, out, err = place.run("load", path, "--env", "region", "--json")
    assert out, err
    return code, json.loads(out)


class Server:
    """The region's server, as others who work on it see it."""

    def __init__(self, disturbed):
        self._handle = disturbed.server.handle

    def get(self, path):
        said = self._handle("GET", path, query="", headers={}, body=b"", base=BASE)
        return json.loads(said.body) if said.status == 200 else None

    def all(self, resource_type):
        said = self._handle("GET", f"/{resource_type}", query="_count=500", headers={}, body=b"", base=BASE)
        return [entry["resource"] for entry in json.loads(said.body).get("entry", [])]

    def put(self, resource):
        path = f"/{resource['resourceType']}/{resource['id']}"
        body = orjson.dumps({**resource, "meta": {}})
        said = self._handle("PUT", path, query="", headers={}, body=body, base=BASE)
        assert said.status in {200, 201}, said.body

    def replace(self, replaced, survivor):
        """Merge two Patients as another one would: references first, then the mark, then what came meanwhile."""
        self.repoint(replaced, survivor)
        self.mark(replaced, survivor)
        self.repoint(replaced, survivor)

    def mark(self, replaced, survivor):
        """Say that a Patient was replaced, and leave what refers to it where it is."""
        patient = self.get(f"/Patient/{replaced}")
        link = {"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}
        self.put({**patient, "active": False, "link": [link]})

    def repoint(self, replaced, survivor):
        for dose in self.all("Immunization"):
            if dose["patient"]["reference"] == f"Patient/{replaced}":
                self.put({**dose, "patient": {"reference": f"Patient/{survivor}"}})

    def owners(self):
        """Return the Patients that doses stand with."""
        return {dose["patient"]["reference"].removeprefix("Patient/") for dose in self.all("Immunization")}

    def person(self, nik=NIK):
        """Return the id of the one active Patient with a NIK who was not there before the loads."""
        return next(
            p["id"]
            for p in self.all("Patient")
            if p["id"] != "other" and any(i["value"] == nik for i in p.get("identifier", []))
        )


def once(wanted, act):
    """Return a disturbance that does something before the first request that is wanted."""
    done = []

    def disturb(request):
        if not done and wanted(request):
            done.append(True)
            act()

    disturb.done = done
    return disturb


def looks_for_doses(request):
    return request.url.path.endswith("Immunization/_search") and b"patient=" in request.content


def reads_patients_again(request):
    return request.url.path.endswith("Patient/_search") and b"_id=" in request.content


def posts_doses(request):
    return holds(request, "Immunization")


@pytest.fixture
def known(place, region):
    """Return the region's server with Ratna loaded before, and `other`, her second Patient, put there by others."""
    server = Server(region())
    assert load(place, place.sheet(RATNA))[0] == 0
    server.put(OTHER)
    return server


@pytest.mark.parametrize("moment", [reads_patients_again, looks_for_doses, posts_doses])
def test_a_known_person_who_is_replaced_meanwhile_gets_the_dose_as_the_survivor(place, region, known, moment):
    person = known.person()
    disturb = once(moment, lambda: known.replace(person, "other"))
    region(before=disturb)
    code, summary = load(place, place.sheet(RATNA_POLIO, name="next.csv"))
    assert disturb.done
    assert (code, counts(summary)) == (0, {"loaded": 1})
    assert (known.owners(), len(known.all("Immunization"))) == ({"other"}, 2)


def test_a_person_created_a_moment_ago_and_replaced_already_is_followed(place, region):
    server = Server(disturbed := region())
    server.put({**OTHER, "identifier": [{"system": "urn:elsewhere", "value": "1"}], "birthDate": "1999-01-01"})
    disturbed.before = once(posts_doses, lambda: server.replace(server.person(), "other"))
    code, summary = load(place, place.sheet(RATNA))
    assert (code, counts(summary)) == (0, {"loaded": 1})
    assert server.owners() == {"other"}


def test_a_survivor_who_is_replaced_in_turn_is_followed_to_the_end(place, region, known):
    known.put({**OTHER, "id": "third"})
    person = known.person()

    def merge_twice():
        known.replace(person, "other")
        known.replace("other", "third")

    region(before=once(posts_doses, merge_twice))
    assert load(place, place.sheet(RATNA_POLIO, name="next.csv"))[0] == 0
    assert known.owners() == {"third"}


def test_a_dose_that_somebody_changes_while_it_is_moved_is_moved_all_the_same(place, region, known):
    person = known.person()
    changed = []

    def change(request):
        merge(request)
        if is_bundle(request) and b'"PUT"' in request.content and not changed:
            changed.append(request)
            for dose in known.all("Immunization"):
                known.put({**dose, "note": [{"text": "seen"}]})

    merge = once(posts_doses, lambda: known.replace(person, "other"))
    region(before=change)
    code, summary = load(place, place.sheet(RATNA_POLIO, name="next.csv"))
    assert changed
    assert (code, counts(summary)) == (0, {"loaded": 1})
    assert known.owners() == {"other"}


def test_doses_that_cannot_be_moved_leave_the_row_failed_and_a_retry_moves_them(place, region, known):
    person = known.person()
    merge = once(posts_doses, lambda: known.replace(person, "other"))

    def hinder(request):
        merge(request)
        if merge.done and is_bundle(request) and b'"PUT"' in request.content:
            for dose in known.all("Immunization"):
                known.put({**dose, "note": [{"text": "changed"}]})
                known.put({**dose, "note": [{"text": "changed again"}]})

    region(before=hinder)
    code, summary = load(place, place.sheet(RATNA_POLIO, name="next.csv"))
    assert (code, counts(summary), summary["reasons"]) == (3, {"failed": 1}, {"changed-meanwhile": 1})
    assert known.owners() == {person, "other"}
    region()
    code, out, _ = place.run("runs", "retry", summary["run"], "--env", "region", "--json")
    assert (code, counts(json.loads(out))) == (0, {"loaded": 1})
    assert (known.owners(), len(known.all("Immunization"))) == ({"other"}, 2)


@pytest.mark.parametrize("by", ["nobody", "itself"])
def test_a_patient_put_out_of_use_meanwhile_gets_nothing_and_is_asked_about_later(place, region, known, by):
    patient = known.get(f"/Patient/{known.person()}")
    link = [{"other": {"reference": f"Patient/{patient['id']}"}, "type": "replaced-by"}] if by == "itself" else []
    close = {**patient, "active": False, **({"link": link} if link else {})}
    region(before=once(reads_patients_again, lambda: known.put(close)))
    path = place.sheet(RATNA_POLIO, name="next.csv")
    code, summary = load(place, path)
    assert (code, counts(summary)) == (3, {"failed": 1})
    assert len(known.all("Immunization")) == 1
    code, out, _ = place.run("runs", "retry", summary["run"], "--env", "region", "--json")
    assert (code, counts(json.loads(out))) == (3, {"review": 1})
    assert len(known.all("Immunization")) == 1


def test_a_server_that_does_not_search_patients_by_id_is_read_one_by_one(place, region, known):
    person = known.person()
    merge = once(posts_doses, lambda: known.replace(person, "other"))

    def ignores_ids(request):
        merge(request)
        if not reads_patients_again(request):
            return None
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return disturbed.answer(httpx.Request("POST", request.url, content=b"_count=500", headers=headers))

    disturbed = region(before=ignores_ids)
    assert load(place, place.sheet(RATNA_POLIO, name="next.csv"))[0] == 0
    assert known.owners() == {"other"}
    assert any(request.url.path.endswith(f"/Patient/{person}") for request in disturbed.requests)


def test_a_merge_by_the_command_at_the_moment_of_posting_leaves_no_dose_behind(place, region, known):
    plan = place.home / "plan.json"
    assert place.run("merge", "plan", NIK, "--out", plan, "--env", "region")[0] == 0
    said = []

    def merge():
        with ThreadPoolExecutor(1) as aside:  # a loop of its own, as another process has
            said.append(aside.submit(place.run, "merge", "apply", plan, "--env", "region", "--json").result())

    region(before=once(posts_doses, merge))
    code, summary = load(place, place.sheet(RATNA_POLIO, BAYU, name="next.csv"))
    ((merged, out, _),) = said
    survivor = json.loads(out)["merges"][0]["survivor"]
    assert (merged, code, counts(summary)) == (0, 0, {"loaded": 2})
    bayu = known.person("3303021107190002")
    assert known.owners() == {survivor, bayu}


def test_a_dose_of_an_unchanged_row_that_was_left_with_a_replaced_patient_goes_on_once(place, known):
    person = known.person()
    known.mark(person, "other")
    _, told, _ = place.run("load", place.home / "sheet.csv", "--env", "region", "--json", "--dry-run")
    assert (counts(json.loads(told)), known.owners()) == ({"unchanged": 1}, {person})
    code, summary = load(place, place.home / "sheet.csv")
    assert (code, counts(summary), summary["reasons"]) == (0, {"unchanged": 1}, {"dose-followed": 1})
    assert known.owners() == {"other"}
    versions = {dose["meta"]["versionId"] for dose in known.all("Immunization")}
    _, again = load(place, place.home / "sheet.csv")
    assert (counts(again), again["reasons"]) == ({"unchanged": 1}, {})
    assert {dose["meta"]["versionId"] for dose in known.all("Immunization")} == versions


def test_a_dose_that_somebody_changes_just_then_goes_on_with_the_next_load(place, region, known):
    person = known.person()
    known.mark(person, "other")
    (dose,) = known.all("Immunization")
    region(before=once(posts_doses, lambda: known.put({**dose, "lotNumber": "B101"})))
    code, summary = load(place, place.home / "sheet.csv")
    assert (code, counts(summary), known.owners()) == (0, {"unchanged": 1}, {person})
    load(place, place.home / "sheet.csv")
    assert known.owners() == {"other"}
    assert [each["lotNumber"] for each in known.all("Immunization")] == ["B101"]


def test_a_dose_that_came_back_to_whom_the_gateway_merged_itself_is_left_to_that_merge(place, known):
    place.run("merge", "plan", known.person(), "other", "--env", "region", "--out", "plan.json")
    (merge,) = place.json("merge", "apply", "plan.json", "--env", "region")["merges"]
    survivor, (replaced,) = merge["survivor"], merge["replaced"]
    known.repoint(survivor, replaced)
    _, summary = load(place, place.home / "sheet.csv")
    assert (counts(summary), summary["reasons"], known.owners()) == ({"unchanged": 1}, {}, {replaced})
