"""Merging over HTTP, on an embedded server: duplicates of invented people."""

import asyncio

import pytest
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role

NIK = "3303015203200003"
SYSTEM = "https://fhir.kemkes.go.id/id/nik"


def patient(family="Ratna Dewanti", nik=NIK, **more):
    return {
        "resourceType": "Patient",
        "active": True,
        "identifier": [{"system": SYSTEM, "value": nik}],
        "name": [{"text": family}],
        "gender": "female",
        "birthDate": "2020-03-12",
        **more,
    }


@pytest.fixture
async def pair(served):
    """Two Patients of one person; the first is the fuller one."""
    full = await served.put(patient(telecom=[{"system": "phone", "value": "+6281210001001"}], address=[{"text": "X"}]))
    bare = await served.put(patient())
    return full, bare


async def finished(served, key, where):
    for _ in range(6000):
        answer = await served.get(where, key)
        if answer.status_code == 200:
            return answer.json()
        assert answer.status_code == 202
        await asyncio.sleep(0.01)
    raise AssertionError("the job did not end")


async def merged(served, key, **body):
    answer = await served.ask("POST", "/north/merges", key, json={"niks": [NIK], **body})
    assert answer.status_code == 202
    return await finished(served, key, answer.headers["content-location"])


async def test_a_job_merges_and_is_told(served, pair):
    _, key = served.key()
    job = await merged(served, key)
    assert job["counts"] == {"merged": 1}
    (group,) = job["groups"]
    assert {group["survivor"], *group["replaced"]} == set(pair)
    history = (await served.get("/north/merges", key)).json()["merges"]
    assert [(each["merge"], each["nik"], each["via"]) for each in history] == [
        (group["merge"], NIK, f"job {job['job']}")
    ]
    shown = (await served.get(f"/north/merges/{group['merge']}", key)).json()
    assert shown["plan"]["evidence"]
    assert shown["entries"][0]["event"] == "begun"
    replaced = next(each for each in shown["changes"] if each["kind"] == "replaced")
    assert (replaced["before"]["active"], replaced["after"]["active"]) == (True, False)


async def test_a_dry_run_writes_nothing(served, pair):
    _, key = served.key()
    job = await merged(served, key, dry_run=True)
    assert job["counts"] == {"planned": 1}
    assert (await served.get("/north/merges", key)).json() == {"merges": []}


async def test_a_nik_without_duplicates_is_told_as_nothing(served):
    assert (await merged(served, served.key()[1]))["counts"] == {"nothing": 1}


async def test_a_merge_is_found_by_its_nik_and_undone(served, pair):
    _, key = served.key()
    number = (await merged(served, key))["groups"][0]["merge"]
    found = await served.ask("POST", "/north/merges/search", key, json={"nik": NIK})
    assert [each["merge"] for each in found.json()["merges"]] == [number]
    undone = await served.ask("POST", f"/north/merges/{number}/undo", key, json={"reason": "two people"})
    assert undone.status_code == 200
    assert undone.json()["state"] == "undone"
    opened = served.app.state.serving.opened["north"]
    assert [(await opened.reader.read("Patient", one))["active"] for one in pair] == [True, True]


async def test_history_is_paged_without_gaps(served):
    _, key = served.key()
    for _ in range(2):
        await served.put(patient())
    first = (await merged(served, key))["groups"][0]["merge"]
    await served.put(patient())
    second = (await merged(served, key))["groups"][0]["merge"]
    page = (await served.get("/north/merges?limit=1", key)).json()
    assert [each["merge"] for each in page["merges"]] == [second]
    following = (await served.get(page["next"], key)).json()
    assert [each["merge"] for each in following["merges"]] == [first]


def parameters(source, target, **more):
    given = [
        {"name": "source-patient", "valueReference": {"reference": f"Patient/{source}"}},
        {"name": "target-patient", "valueReference": {"reference": f"Patient/{target}"}},
        *({"name": name, "valueBoolean": value} for name, value in more.items()),
    ]
    return {"resourceType": "Parameters", "parameter": given}


async def test_the_operation_previews_merges_and_undoes(served, pair):
    _, key = served.key()
    full, bare = pair
    previewed = await served.ask("POST", "/north/fhir/Patient/$merge", key, json=parameters(bare, full, preview=True))
    assert previewed.status_code == 200
    opened = served.app.state.serving.opened["north"]
    assert (await opened.reader.read("Patient", bare))["active"] is True
    done = await served.ask("POST", "/north/fhir/Patient/$merge", key, json=parameters(bare, full))
    named = {each["name"]: each["resource"] for each in done.json()["parameter"]}
    assert named["input"] == parameters(bare, full)
    assert named["result"]["link"][0]["type"] == "replaces"
    assert (await opened.reader.read("Patient", bare))["active"] is False
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "target-patient", "valueReference": {"reference": f"Patient/{full}"}}],
    }
    undone = await served.ask("POST", "/north/fhir/Patient/$undo-merge", key, json=body)
    assert undone.status_code == 200
    assert (await opened.reader.read("Patient", bare))["active"] is True


@pytest.mark.parametrize("number", [777, 0, -1, 2**40])
async def test_undoing_a_merge_that_never_was_is_not_found(served, number):
    body = {"resourceType": "Parameters", "parameter": [{"name": "merge", "valuePositiveInt": number}]}
    answer = await served.ask("POST", "/north/fhir/Patient/$undo-merge", served.key()[1], json=body)
    assert_is_problem(answer, 404, "not-found")


async def test_the_operation_keeps_to_the_rule_who_survives(served, pair):
    full, bare = pair
    answer = await served.ask("POST", "/north/fhir/Patient/$merge", served.key()[1], json=parameters(full, bare))
    assert_is_problem(answer, 409, "business-rule")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/north/merges", {"niks": [NIK]}),
        ("/north/merges/1/undo", {}),
        ("/north/fhir/Patient/$merge", {}),
        ("/north/fhir/Patient/$undo-merge", {}),
    ],
)
async def test_an_auditor_changes_nothing(served, path, body):
    assert_is_problem(await served.ask("POST", path, served.key(Role.AUDITOR)[1], json=body), 403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b'{"niks": []}',
        b'{"niks": "x"}',
        b'{"niks": ["1"]}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
@pytest.mark.parametrize("path", ["/north/merges", "/north/merges/search", "/north/fhir/Patient/$merge"])
async def test_hostile_bodies_are_refused_as_problems(served, path, body):
    answer = await served.ask("POST", path, served.key()[1], content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("cursor", ["x", "bTA=", "!!!", "bXg"])
async def test_a_cursor_of_nobody_s_is_refused(served, cursor):
    answer = await served.get(f"/north/merges?cursor={cursor}", served.key()[1])
    assert answer.status_code in {200, 400} if cursor == "bTA=" else answer.status_code == 400


async def test_a_parameter_that_is_not_known_is_refused_and_a_nik_above_all(served):
    for query in (f"nik={NIK}", "patinet=p1"):
        answer = await served.get(f"/north/merges?{query}", served.key(Role.AUDITOR)[1])
        assert_is_problem(answer, 400)
        assert NIK not in answer.text


async def test_what_is_wrong_is_told_without_what_was_sent(served):
    answer = await served.ask("POST", "/north/merges", served.key()[1], json={"niks": [NIK + "0"], NIK: 1})
    assert_is_problem(answer, 422)
    assert NIK not in answer.text


async def test_a_preview_tells_what_stands_against_the_merge_and_the_merge_is_refused(served):
    _, key = served.key()
    one = await served.put(patient(telecom=[{"system": "phone", "value": "+6281210001001"}], address=[{"text": "X"}]))
    other = await served.put(patient("Gilang Prakoso", gender="male", birthDate="1991-11-30"))
    answer = await served.ask("POST", "/north/fhir/Patient/$merge", key, json=parameters(other, one, preview=True))
    issues = next(each["resource"] for each in answer.json()["parameter"] if each["name"] == "outcome")["issue"]
    assert [each["code"] for each in issues if each["severity"] == "error"]
    assert "Gilang" not in str(issues)
    refused = await served.ask("POST", "/north/fhir/Patient/$merge", key, json=parameters(other, one))
    assert_is_problem(refused, 409, "conflict")
