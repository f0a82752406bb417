"""Duplicates over HTTP: looked for beside other work, told with their evidence."""

import asyncio

import pytest
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role
from fhir_gateway.domain.history import HistoryEvent, Part

NIK = "3303015203200003"
OTHER = "3303021107190012"


async def looked(served, **wish):
    key = served.key()[1]
    begun = await served.ask("POST", "/north/merges/duplicates", key, json=wish)
    assert begun.status_code == 202
    for _ in range(3000):
        told = (await served.get("/north/merges/duplicates", key)).json()
        if told["running_since"] is None:
            return told
        await asyncio.sleep(0.02)
    raise AssertionError("it did not end")


async def test_before_anybody_has_looked_nothing_is_claimed(served):
    told = (await served.get("/north/merges/duplicates", served.key(Role.AUDITOR)[1])).json()
    assert (told["read"], told["groups"], told["running_since"]) == (None, [], None)


async def test_who_shares_a_nik_is_found_with_the_evidence(served):
    ids = sorted(await served.put_pair(NIK))
    await served.put_pair(OTHER, "Gilang Prakoso")
    told = await looked(served)
    assert (told["read"], told["total"]) == (4, 2)
    group = next(each for each in told["groups"] if each["nik"] == NIK)
    assert (group["kind"], group["patients"]) == ("shared-nik", ids)
    assert group["evidence"]


async def test_only_the_niks_that_were_asked_for_are_looked_at(served):
    await served.put_pair(NIK)
    await served.put_pair(OTHER, "Gilang Prakoso")
    told = await looked(served, niks=[NIK, "3303030903170008"])
    assert [each["nik"] for each in told["groups"]] == [NIK]
    assert told["single"] == ["3303030903170008"]


async def test_groups_are_paged_without_gaps(served):
    await served.put_pair(NIK)
    await served.put_pair(OTHER, "Gilang Prakoso")
    whole = (await looked(served))["groups"]
    key = served.key()[1]
    first = (await served.get("/north/merges/duplicates?limit=1&kind=shared-nik", key)).json()
    second = (await served.get(first["next"], key)).json()
    assert [*first["groups"], *second["groups"]] == whole
    assert "next" not in second
    assert (await served.get("/north/merges/duplicates?kind=conflict", key)).json()["groups"] == []


async def test_one_looks_at_a_time(served):
    finding = (await served.app.state.serving.environment("north")).finding
    go_on = asyncio.Event()
    finding.work.begin(go_on.wait)
    assert_is_problem(await served.ask("POST", "/north/merges/duplicates", served.key()[1], json={}), 409)
    go_on.set()


async def test_a_server_that_has_gone_is_told_and_forgotten_by_the_next_look(served):
    finding = (await served.app.state.serving.environment("north")).finding

    async def gone():
        raise ConnectionError

    finding.work.begin(gone)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    told = (await served.get("/north/merges/duplicates", served.key()[1])).json()
    assert told["problem"] == "a fault of the program"
    assert (await looked(served))["problem"] == ""


@pytest.mark.parametrize("body", [{"niks": []}, {"niks": ["1"]}, {"who": 1}])
async def test_a_wish_that_cannot_be_is_refused(served, body):
    assert_is_problem(await served.ask("POST", "/north/merges/duplicates", served.key()[1], json=body), 422)


async def test_an_auditor_reads_what_was_found_and_begins_nothing(served):
    key = served.key(Role.AUDITOR)[1]
    assert_is_problem(await served.ask("POST", "/north/merges/duplicates", key, json={}), 403)


async def test_who_was_parted_is_not_found_again_and_the_history_tells_who_said_so(served):
    ids = sorted(await served.put_pair(NIK))
    key = served.key()[1]
    said = await served.ask("POST", "/north/merges/parted", key, json={"patients": ids, "reason": "namesakes"})
    assert (said.status_code, said.json()) == (200, {"patients": ids, "pairs": 1})
    assert (await looked(served))["groups"] == []
    history = (await served.app.state.serving.environment("north")).ledger.merges.history
    (entry,) = history.entries(events=[HistoryEvent.PARTED])
    assert history.part(entry.number, Part.FACTS)["via"] == "api"
    assert history.part(entry.number, Part.PERSON) == {"patients": ids, "reason": "namesakes"}


@pytest.mark.parametrize(
    "body",
    [
        {"patients": ["a"], "reason": "x"},
        {"patients": ["a", "b/c"], "reason": "x"},
        {"patients": ["a", "b"], "reason": ""},
        {"patients": ["a", "b"]},
        {"patients": [f"p{number}" for number in range(51)], "reason": "x"},
    ],
)
async def test_a_parting_that_cannot_be_is_refused(served, body):
    assert_is_problem(await served.ask("POST", "/north/merges/parted", served.key()[1], json=body), 422)


@pytest.mark.parametrize("body", [{"patients": ["a", "a"], "reason": "x"}, {"patients": ["a", "b"], "reason": " "}])
async def test_a_parting_of_one_or_without_a_reason_is_refused(served, body):
    answer = await served.ask("POST", "/north/merges/parted", served.key()[1], json=body)
    assert answer.status_code in {400, 422}
    assert_is_problem(answer, answer.status_code)


async def test_an_auditor_parts_nobody(served):
    body = {"patients": ["a", "b"], "reason": "x"}
    assert_is_problem(await served.ask("POST", "/north/merges/parted", served.key(Role.AUDITOR)[1], json=body), 403)


async def test_an_auditor_reads_who_was_said_to_be_different_people(served):
    key, auditor = served.key()[1], served.key(Role.AUDITOR)[1]
    for patients in (["a", "b"], ["a", "c"], ["d", "e"]):
        wish = {"patients": patients, "reason": "namesakes"}
        assert (await served.ask("POST", "/north/merges/parted", key, json=wish)).status_code == 200
    first = (await served.get("/north/merges/parted?patient=a&limit=1", auditor)).json()
    second = (await served.get(first["next"], auditor)).json()
    told = [*first["parted"], *second["parted"]]
    assert [(one["patients"], one["reason"], one["via"]) for one in told] == [
        (["a", "c"], "namesakes", "api"),
        (["a", "b"], "namesakes", "api"),
    ]
    assert_is_problem(await served.get("/north/merges/parted?name=a", auditor), 400)
