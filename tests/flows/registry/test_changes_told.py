"""Whatever the gateway wrote on the FHIR server is told to auditors: each version, once, with who did it and when."""

import asyncio
import json
import shutil
from collections import Counter

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from tests.fakes.duplicated_people import NIK, family
from tests.fakes.merging_place import fill
from tests.fakes.served_gateway import served_from
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN

from fhir_gateway.domain.access import Role
from fhir_gateway.embedded_server.server import EmbeddedServer

TWIN = RATNA_POLIO.replace("081210001001", "081210009999")
CORRECTED = RATNA.replace("B100", "B101")
MEASLES, MEASLES_RUBELLA = (BAYU.replace("BCG;1;B100", words) for words in ("Campak;;", "MR;;"))
"""Whether these are one dose is an operator's to say."""


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """Return a working folder with loads, a correction, a link taken apart, a merge and its undoing, as another Place."""
    return tmp_path_factory.mktemp("changed")


@pytest.fixture
def worked(changed, place, monkeypatch):
    """Work in the module's folder, once."""
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(changed))
    place.home = changed
    if not list(changed.iterdir()):
        fill(changed, family())
        for number, rows in enumerate(((RATNA, TWIN, BAYU, VITAMIN), (CORRECTED, TWIN))):
            place.load(place.sheet(*rows, name=f"{number}.csv"), "--clinic", "c")
        assert place.run("review", "unlink", 1, 2, "--user", "sari")[0] == 0
        assert place.run("merge", "plan", NIK, "--out", changed / "plan.json")[0] == 0
        assert place.run("merge", "apply", changed / "plan.json", "--user", "budi")[0] == 0
        assert place.run("merge", "undo", 1, "--user", "sari", "--reason", "two people")[0] == 0
        for number, row in enumerate((MEASLES, MEASLES_RUBELLA), start=2):
            place.load(place.sheet(row, name=f"{number}.csv"), "--clinic", "c")
        assert place.run("review", "create", 2, "--user", "budi")[0] == 0
        assert place.run("review", "undo", 2, "--user", "sari")[0] == 0
    return place


@pytest.fixture
def copied(worked, tmp_path, monkeypatch):
    """Return a copy of the folder, to go on working in."""
    worked.home = shutil.copytree(worked.home, tmp_path / "copy")
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(worked.home))
    return worked


_ALL = []


@pytest.fixture
def events(worked):
    """Return all that is told of the folder, in many pages."""
    if not _ALL:
        _ALL.extend(told(worked, limit=7))
    return list(_ALL)


def told(place, wanted=None, limit=500):
    """Return the AuditEvents that an auditor gets, all pages of them."""

    async def ask():
        async with served_from(place.home) as served:
            key = served.key(Role.AUDITOR, "embedded")[1]
            body = {"limit": limit, **(wanted or {})}
            answer = await served.ask("POST", "/embedded/audit-events/search", key, json=body)
            found = []
            while True:
                assert answer.status_code == 200, answer.text
                found += [one["resource"] for one in answer.json().get("entry", ())]
                link = next((one["url"] for one in answer.json().get("link", ())), "")
                if not link:
                    return found
                answer = await served.get(link, key)

    return asyncio.run(ask())


def each_by_id(place, ids):
    async def ask():
        async with served_from(place.home) as served:
            key = served.key(Role.AUDITOR, "embedded")[1]
            return [await served.get(f"/embedded/audit-events/{one}", key) for one in ids]

    return asyncio.run(ask())


def written(event):
    (data,) = [one for one in event["entity"] if one["type"]["code"] == "2"]
    name = data["what"]["reference"]
    assert "/_history/" in name
    return name


def concerned(event):
    (patient,) = [one for one in event["entity"] if one["type"]["code"] == "1"]
    return patient["what"]["reference"].removeprefix("Patient/")


def job(event):
    (found,) = [one for one in event["entity"] if one["type"]["code"] == "4"]
    return found["what"]["identifier"]["value"], found["description"]


def user(event):
    return next(one["name"] for one in event["agent"] if one["requestor"])


def versions(home):
    """Return how often each version stands in the server's history, but for what the test itself put there."""
    server = EmbeddedServer(home / ".fhir-gateway" / "embedded")
    own = {f"{one['resourceType']}/{one['id']}/_history/1" for one in family()}
    try:
        found = []
        for kind in {one["resourceType"] for one in family()} | {"Provenance", "Immunization"}:
            said = server.handle(
                "GET", f"/{kind}/_history", query="_count=500", headers={}, body=b"", base="http://x/fhir"
            )
            entries = json.loads(said.body).get("entry", ())
            found += [f"{kind}/{e['resource']['id']}/_history/{e['resource']['meta']['versionId']}" for e in entries]
    finally:
        server.close()
    return Counter(found) - Counter(own)


def test_every_version_that_the_gateway_wrote_is_told_once_and_nothing_else(worked, events):
    assert Counter(map(written, events)) == versions(worked.home)
    for one in events:
        AuditEvent.model_validate(one)


def test_creating_and_updating_are_told_apart(events):
    for one in events:
        is_new = written(one).endswith("/_history/1")
        assert (one["action"], one["subtype"][0]["code"]) == (("C", "create") if is_new else ("U", "update"))
        name = "PatientCreate" if is_new else "PatientUpdate"
        assert one["meta"]["profile"][0].endswith(f"IHE.BasicAudit.{name}")


def test_the_newest_come_first_and_pages_join_without_a_gap(worked, events):
    times = [one["recorded"] for one in events]
    assert times == sorted(times, reverse=True)
    assert [one["id"] for one in told(worked)] == [one["id"] for one in events]
    assert len({one["id"] for one in events}) == len(events)


def test_what_it_was_part_of_and_who_did_it(events):
    jobs = {job(one): user(one) for one in events}
    assert {what: who for what, who in jobs.items() if what[1] != "load"} == {
        ("run 3", "unlink"): "sari",
        ("merge 1", "merge"): "budi",
        ("merge 1", "unmerge"): "sari",
        ("run 7", "review"): "budi",
        ("review 2", "undo"): "sari",
    }
    assert {what for what, kind in jobs if kind == "load"} == {"run 1", "run 2", "run 5"}


def test_by_user_run_and_kind(worked, events):
    assert {job(one) for one in told(worked, {"user": "sari"})} == {
        ("run 3", "unlink"),
        ("merge 1", "unmerge"),
        ("review 2", "undo"),
    }
    assert {job(one)[0] for one in told(worked, {"run": 2})} == {"run 2"}
    assert told(worked, {"kind": "pull"}) == []
    assert told(worked, {"client": "nobody"}) == []
    assert told(worked, {"kind": "change"}) == events


def test_by_patient_the_replaced_and_the_one_from_whom_a_dose_was_taken_too(worked, events):
    unlinked = [one for one in events if job(one) == ("run 3", "unlink")]
    (wrong,) = {concerned(one) for one in unlinked if written(one).startswith("Patient/") and one["action"] == "U"}
    by_wrong = told(worked, {"patient": wrong})
    assert [one["id"] for one in by_wrong if job(one)[0] == "run 3"] == [one["id"] for one in unlinked]
    assert {job(one)[0] for one in by_wrong} == {"run 1", "run 2", "run 3"}
    merged = [one["id"] for one in events if job(one)[0] == "merge 1"]
    for one in ("p1", "p2"):
        assert [each["id"] for each in told(worked, {"patient": one})] == merged
    assert told(worked, {"patient": "nobody"}) == []


def test_by_nik(worked):
    events = told(worked, {"nik": "3303021107190002", "kind": "change"})
    assert {job(one)[0] for one in events} == {"run 1", "run 5", "run 7", "review 2"}
    assert len({concerned(one) for one in events}) == 1


def test_by_time(worked, events):
    begun = next(one["recorded"] for one in reversed(events) if job(one)[0] == "merge 1")
    assert {job(one)[0] for one in told(worked, {"since": begun})} == {"merge 1", "run 5", "run 7", "review 2"}
    assert told(worked, {"until": "2020-01-01T00:00:00Z"}) == []
    assert told(worked, {"since": "2199-01-01T00:00:00Z"}) == []


def test_each_is_found_by_its_id_and_others_are_not(worked, events):
    wanted = events[::5]
    assert [one.json() for one in each_by_id(worked, [one["id"] for one in wanted])] == wanted
    unknown = (
        "run-1-1-99",
        "run-99-1-1",
        "run-1-99-1",
        "merge-999-1-0",
        "merge-3-1-1",
        "run-1-1",
        "run-x-1-1",
        "answer-9-1-0",
    )
    assert {one.status_code for one in each_by_id(worked, unknown)} == {404}


def test_they_tell_nothing_of_a_person_but_references(events):
    said = json.dumps(events)
    for word in ("3303015203200003", NIK, "Ratna", "Rizki", "Dewanti", "0812", "2020-03-1", "BCG"):
        assert word not in said


def test_a_link_that_is_taken_apart_for_somebody_who_is_named(copied):
    (bayu,) = {concerned(one) for one in told(copied, {"nik": "3303021107190002"})}
    before = versions(copied.home)
    assert copied.run("review", "unlink", 2, 1, "--to", bayu)[0] == 0
    events = [one for one in told(copied) if job(one)[1] == "unlink"]
    assert Counter(map(written, told(copied))) == versions(copied.home)
    assert {written(one) for one in events} >= {*(versions(copied.home) - before)}


def test_a_load_that_changes_nothing_is_told_of_nothing(copied, events):
    assert copied.load(copied.home / "1.csv", "--clinic", "c")["unchanged"] > 0
    assert told(copied) == events


def test_what_comes_while_somebody_pages_is_on_no_later_page(copied):
    async def ask():
        async with served_from(copied.home) as served:
            key = served.key(Role.AUDITOR, "embedded")[1]
            first = await served.ask("POST", "/embedded/audit-events/search", key, json={"limit": 2})
            whole = await served.ask("POST", "/embedded/audit-events/search", key, json={"limit": 4})
            more = copied.sheet(BAYU.replace("B100", "B1").replace("BCG;1", "MR;1"), name="more.csv")
            assert await asyncio.to_thread(copied.load, more)
            rest = await served.get(first.json()["link"][0]["url"], key)
            assert first.json()["entry"] + rest.json()["entry"] == whole.json()["entry"]

    asyncio.run(ask())
