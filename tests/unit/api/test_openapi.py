"""What the OpenAPI document says of merging is what is answered, to requests that are right and to such that are not."""

import asyncio

import pytest
from tests.fakes.openapi_schemas import Schemas
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role
from fhir_gateway.flows.merge import ApplyRequest

NIK, OTHER_NIK, TWINS_NIK = "3303015203200003", "3303015203200004", "3303015203200005"
TAGS = {"access", "merges", "merge operation"}


def parameters(**references):
    given = [
        {"name": name.replace("_", "-"), "valueReference": {"reference": f"Patient/{patient}"}}
        for name, patient in references.items()
    ]
    return {"resourceType": "Parameters", "parameter": given}


GET, POST = "get", "post"
MERGES = "/{environment}/merges"
RIGHT = {
    (GET, "/{environment}/access"): (200, None),
    (POST, MERGES): (202, {"niks": [NIK], "dry_run": True}),
    (GET, MERGES): (200, None),
    (GET, f"{MERGES}/jobs/{{job}}"): ({200, 202}, None),
    (GET, f"{MERGES}/verification"): (200, None),
    (POST, f"{MERGES}/verification"): (202, {}),
    (GET, f"{MERGES}/checkpoint"): (200, None),
    (GET, f"{MERGES}/checkpoint/key"): (200, None),
    (GET, f"{MERGES}/{{merge}}/proof"): (200, None),
    (POST, f"{MERGES}/{{merge}}/proof"): (200, {}),
    (POST, f"{MERGES}/duplicates"): (202, {"niks": [NIK]}),
    (GET, f"{MERGES}/duplicates"): (200, None),
    (GET, f"{MERGES}/parted"): (200, None),
    (POST, f"{MERGES}/parted"): (200, {"patients": ["a", "b"], "reason": "namesakes"}),
    (POST, f"{MERGES}/search"): (200, {"nik": NIK}),
    (GET, f"{MERGES}/{{merge}}"): (200, None),
    (POST, f"{MERGES}/{{merge}}/undo"): (200, {"preview": True}),
    (POST, "/{environment}/fhir/Patient/$merge"): (404, parameters(source_patient="nobody", target_patient="no-one")),
    (POST, "/{environment}/fhir/Patient/$undo-merge"): (404, parameters(target_patient="nobody")),
}
"""Each operation, what a request that is right is answered with, and its body."""
OPERATORS = {
    (POST, MERGES),
    (POST, f"{MERGES}/duplicates"),
    (POST, f"{MERGES}/parted"),
    (POST, f"{MERGES}/{{merge}}/undo"),
    (POST, "/{environment}/fhir/Patient/$merge"),
    (POST, "/{environment}/fhir/Patient/$undo-merge"),
}


@pytest.fixture
def documented(served):
    """Return (method, path) → the statuses that the document names, as numbers."""
    paths = served.app.openapi()["paths"]
    return {
        (method, path): {int(status) for status in operation["responses"]}
        for path, operations in paths.items()
        for method, operation in operations.items()
        if TAGS & set(operation["tags"])
    }


@pytest.fixture
async def content(served):
    """A merge and a job, both with the number 1."""
    opened = await served.app.state.serving.environment("north")
    await served.put_pair(NIK)
    await opened.merges.apply(await opened.merges.plan(niks=[NIK]), ApplyRequest("tests"))
    opened.merge_jobs.hand_in([NIK], user="tests", dry_run=True)


def address(path, environment="north", number="1"):
    return path.format(environment=environment, merge=number, job=number)


async def asked(served, operation, key="", *, environment="north", number="1", **body):
    method, path = operation
    options = body or ({"json": RIGHT[operation][1]} if method == POST else {})
    return await served.ask(method.upper(), address(path, environment, number), key, **options)


def test_the_document_knows_exactly_these_operations(documented):
    assert set(documented) == set(RIGHT)


async def test_what_is_right_is_answered_as_documented(served, content, documented):
    key = served.key()[1]
    for operation, (wanted, _) in RIGHT.items():
        answer = await asked(served, operation, key)
        assert answer.status_code in (wanted if isinstance(wanted, set) else {wanted}), operation
        assert answer.status_code in documented[operation], operation


@pytest.fixture
def schemas(served):
    return Schemas(served.app.openapi())


def test_every_success_has_a_schema_or_no_body(served):
    without = {
        (method, path, status)
        for path, operations in served.app.openapi()["paths"].items()
        for method, operation in operations.items()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        and not all(media["schema"] for media in answer.get("content", {"": {"schema": {}}}).values())
    }
    assert {path for _, path, _ in without} == {
        "/metrics",
        "/{environment}/fhir/$export",
        "/{environment}/fhir/Patient/$export",
        "/{environment}/fhir/Group/{group_id}/$export",
        "/{environment}/fhir/bulk-status/{job_id}",
    }
    assert {status for _, path, status in without if "export" in path or "bulk" in path} == {"202"}


async def test_every_json_answer_has_the_documented_shape(served, content, schemas):
    key = served.key()[1]
    for operation, (wanted, _) in RIGHT.items():
        answer = await asked(served, operation, key)
        if answer.headers["content-type"] == "application/json":
            schemas.check(answer, operation)
        else:
            assert wanted == 404 or "checkpoint" in operation[1]


async def test_what_work_comes_to_has_the_documented_shape(served, content, schemas):
    key = served.key()[1]
    opened = await served.app.state.serving.environment("north")
    await served.put_pair(OTHER_NIK)
    await served.put_pair(TWINS_NIK, other_name="Bayu Kusumo")
    given = {"niks": [NIK, OTHER_NIK, TWINS_NIK]}
    for begun, watched, is_done in (
        ((POST, MERGES), (GET, f"{MERGES}/jobs/{{job}}"), lambda told: told["state"] == "finished"),
        ((POST, f"{MERGES}/duplicates"), (GET, f"{MERGES}/duplicates"), lambda told: not told["running_since"]),
        ((POST, f"{MERGES}/verification"), (GET, f"{MERGES}/verification"), lambda told: not told["running_since"]),
    ):
        body = {} if "verification" in begun[1] else given
        answer = await asked(served, begun, key, json=body)
        schemas.check(answer, begun)
        number = str(answer.json().get("job", ""))
        while not is_done((answer := await asked(served, watched, key, number=number)).json()):
            schemas.check(answer, watched)
            await asyncio.sleep(0)
        schemas.check(answer, watched)
    jobs = (await asked(served, (GET, f"{MERGES}/jobs/{{job}}"), key, number="2")).json()["counts"]
    assert jobs == {"nothing": 1, "merged": 1, "conflict": 1}
    found = (await asked(served, (GET, f"{MERGES}/duplicates"), key)).json()
    assert found["groups"]
    earlier = (await asked(served, (GET, f"{MERGES}/checkpoint"), key)).text
    operation = (POST, f"{MERGES}/{{merge}}/proof")
    schemas.check(await asked(served, operation, key, json={"earlier": earlier}), operation)
    operation = (GET, f"{MERGES}/parted")
    await asked(served, (POST, f"{MERGES}/parted"), key)
    answer = await asked(served, operation, key)
    assert answer.json()["parted"]
    schemas.check(answer, operation)
    assert opened.merges.record(2)


async def test_an_undoing_has_the_documented_shape_with_conflicts_too(served, content, schemas):
    key = served.key()[1]
    opened = await served.app.state.serving.environment("north")
    merge = opened.merges.record(1).merge
    survivor = await opened.reader.read("Patient", merge.survivor)
    survivor["link"][0]["type"] = "seealso"
    await served.write(survivor)
    undo, show = (POST, f"{MERGES}/{{merge}}/undo"), (GET, f"{MERGES}/{{merge}}")
    for body, status in (({"preview": True}, 200), ({}, 409), ({"otherwise": "keep"}, 200)):
        answer = await asked(served, undo, key, json=body)
        assert answer.status_code == status
        schemas.check(answer, undo)
    assert answer.json()["kept"]
    schemas.check(await asked(served, show, key), show)
    assert (await asked(served, show, key)).json()["undo_conflicts"]


async def test_the_merge_operation_has_the_documented_shape(served, schemas):
    key = served.key()[1]
    survivor, replaced = sorted(await served.put_pair(NIK))
    merge, undo = ((POST, f"/{{environment}}/fhir/Patient/${name}") for name in ("merge", "undo-merge"))
    body = parameters(source_patient=replaced, target_patient=survivor)
    preview = {
        "resourceType": "Parameters",
        "parameter": [*body["parameter"], {"name": "preview", "valueBoolean": True}],
    }
    for operation, given in ((merge, preview), (merge, body), (undo, parameters(target_patient=survivor))):
        answer = await asked(served, operation, key, json=given)
        assert answer.status_code == 200
        schemas.check(answer, operation)


async def test_what_is_wrong_is_a_documented_problem(served, documented):
    operator, auditor = served.key()[1], served.key(Role.AUDITOR)[1]
    for number, operation in enumerate(RIGHT):
        wrong = f"fgk-{number:08x}-" + "A" * 43
        refused = {
            401: [await asked(served, operation), await asked(served, operation, wrong)],
            404: [await asked(served, operation, operator, environment="west")],
        }
        if operation in OPERATORS:
            refused[403] = [await asked(served, operation, auditor)]
        if "{merge}" in operation[1] or "{job}" in operation[1]:
            refused[404].append(await asked(served, operation, operator, number="999999"))
            refused[422] = [
                await asked(served, operation, operator, number=each) for each in ("0", "x", "-1", "9" * 30)
            ]
        for status, answers in refused.items():
            for answer in answers:
                assert_is_problem(answer, status)
                assert status in documented[operation], operation


HOSTILE = (
    b"",
    b"\xff\xfe{}",
    b'{"niks": ["\xc3\x28"]}',
    b"[" * 9000,
    b'{"a":' * 3000,
    b"nul",
    b"NaN",
    b"1e999",
    b'{"limit": ' + b"9" * 5000 + b"}",
    b'"\\ud800"',
    b'{"niks": null, "niks": [1]}',
    b'{"nik": "\\u0000"}',
    b"<Parameters/>",
)


NO_JSON = ("text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded")
WRITTEN = [
    (operation, *each)
    for operation in RIGHT
    if operation[0] == POST
    for each in (*((body, "application/json") for body in HOSTILE), *((b'{"x": 1}', kind) for kind in NO_JSON))
]


async def test_a_hostile_body_is_a_documented_problem(served, content, documented):
    key = served.key()[1]
    for operation, body, kind in WRITTEN:
        answer = await asked(served, operation, key, content=body, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500, (operation, body[:20], kind)
        assert_is_problem(answer, answer.status_code)
        assert answer.status_code in documented[operation], operation


async def test_a_method_is_not_overridden_by_a_header(served, content):
    key = served.key()[1]
    for header in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        answer = await served.get("/north/merges/1/undo", key, headers={header: "POST"})
        assert_is_problem(answer, 405)
        assert (await served.get("/north/merges/1", key, headers={header: "DELETE"})).status_code == 200


async def test_addresses_in_answers_are_not_led_astray_by_headers(served):
    headers = {"X-Forwarded-Host": "evil.test", "X-Original-URL": "/south/access", "Forwarded": "host=evil.test"}
    answer = await served.ask("POST", "/north/merges", served.key()[1], json={"niks": [NIK]}, headers=headers)
    assert answer.headers["content-location"].startswith("http://gateway.test/north/merges/jobs/")


PATHS = [
    "/north/../south/access",
    "/north/%2e%2e/south/access",
    "/north/merges/1%00",
    "/north/merges/1%0d%0aX-Evil:%201",
    "/north/merges?cursor=%00",
    "/north/merges?patient=%0d%0aX-Evil:%201",
    "/north/" + "a" * 5000,
    "//north/access",
    "/north/merges/\u0661",
]


async def test_a_hostile_address_is_a_problem(served):
    key = served.key()[1]
    for path in PATHS:
        answer = await served.get(path, key)
        assert 400 <= answer.status_code < 500, path
        assert "x-evil" not in answer.headers
        assert_is_problem(answer, answer.status_code)


async def test_nothing_that_is_refused_leaves_a_task_behind(served, content):
    key = served.key()[1]
    before = len(asyncio.all_tasks())
    for _ in range(5):
        await asked(served, (POST, MERGES), key, content=b"{")
    assert len(asyncio.all_tasks()) == before


async def test_every_operation_of_an_environment_tells_of_the_problems_that_it_may_answer(served):
    for path, operations in served.app.openapi()["paths"].items():
        for operation in operations.values():
            if path.startswith("/{environment}"):
                assert {"400", "401", "404", "429", "503"} <= operation["responses"].keys(), path


async def test_a_body_that_says_it_is_no_json_is_an_unsupported_media_type(served):
    key = served.key(Role.OPERATOR)[1]
    headers = {"Content-Type": "text/plain"}
    answer = await served.ask("POST", "/north/merges", key, content=b'{"niks": []}', headers=headers)
    assert_is_problem(answer, 415)
