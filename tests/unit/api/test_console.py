"""The console as a browser without scripts sees it: forms, cookies, redirects."""

import asyncio
import json
import re
from datetime import UTC, datetime

import pytest
from starlette.routing import Mount
from tests.fakes.served_gateway import served_from

from fhir_gateway.domain.access import Role
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.domain.history import MergeFilter
from fhir_gateway.domain.merge_jobs import JobPart, ReviewedPlan
from fhir_gateway.fhir_server.client import Request
from fhir_gateway.serving import merge_jobs

NIK = "3303015203200003"


async def post(served, path, **fields):
    return await served.client.post(path, data=fields, headers={"Origin": "http://gateway.test"})


def token(page):
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


async def log_in(served, role=Role.OPERATOR):
    key_id, key = served.key(role)
    form = await served.get("/console/login")
    answer = await post(served, "/console/login", csrf=token(form), environment="north", key=key)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/merges")
    return key_id


@pytest.fixture
async def merge(served):
    """A merge of two invented Patients, by its number."""
    opened = await served.app.state.serving.environment("north")
    patient = {
        "resourceType": "Patient",
        "active": True,
        "identifier": [{"system": "https://fhir.kemkes.go.id/id/nik", "value": NIK}],
        "name": [{"text": "<b>Ratna</b> Dewanti"}],
        "gender": "female",
        "birthDate": "2020-03-12",
    }
    for _ in range(2):
        headers = {"Content-Type": "application/fhir+json"}
        await opened.client.send(Request("POST", "Patient", content=json.dumps(patient).encode(), headers=headers))
    from fhir_gateway.flows.merge import ApplyRequest  # noqa: PLC0415

    plan = await opened.merges.plan(niks=[NIK])
    (outcome,) = await opened.merges.apply(plan, ApplyRequest("tests"))
    return outcome.merge.id


async def followed(served, answer):
    """Follow an answer to the page at its end, waiting where a page says so."""
    for _ in range(6000):
        while answer.status_code == 303:
            answer = await served.get(answer.headers["location"])
        if 'http-equiv="refresh"' not in answer.text:
            return answer
        await asyncio.sleep(0.01)
        answer = await served.get(answer.url.path)
    raise AssertionError("it did not end")


async def test_without_a_login_every_page_leads_to_the_form(served):
    for path in ("/console/merges", "/console/merges/1", "/console/merges/export/csv", "/console/work/x"):
        answer = await served.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(served):
    _, key = served.key()
    form = await served.get("/console/login")
    answer = await post(served, "/console/login", csrf=token(form), environment="north", key=key)
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("fhir_gateway="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


async def test_behind_tls_the_cookie_is_tied_to_this_host_and_browsers_stay_with_tls(served):
    served.client.base_url = "https://gateway.test"
    _, key = served.key()
    form = await served.get("/console/login")
    assert form.headers["strict-transport-security"] == "max-age=63072000"
    fields = {"csrf": token(form), "environment": "north", "key": key}
    answer = await served.client.post("/console/login", data=fields, headers={"Origin": "https://gateway.test"})
    assert answer.headers["location"] == "/console/merges"
    cookies = answer.headers.get_list("set-cookie")
    (cookie,) = [each for each in cookies if each.startswith("__Host-fhir_gateway=")]
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Secure"} <= set(cookie.split("; "))
    assert (await served.get("/console/merges")).status_code == 200


@pytest.mark.parametrize(("environment", "known"), [("north", False), ("west", True)])
async def test_a_wrong_login_is_told_without_saying_what_was_wrong(served, environment, known):
    key = served.key()[1] if known else "fgk-x"
    form = await served.get("/console/login")
    answer = await post(served, "/console/login", csrf=token(form), environment=environment, key=key)
    assert answer.status_code == 401
    assert "No such environment, or no valid key of it." in answer.text


async def test_a_login_form_of_another_site_is_refused(served):
    form = await served.get("/console/login")
    fields = {"csrf": token(form), "environment": "north", "key": served.key()[1]}
    answer = await served.client.post("/console/login", data=fields, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403


async def test_a_revoked_key_ends_the_login_at_once(served):
    key_id = await log_in(served)
    assert (await served.get("/console/merges")).status_code == 200
    served.revoke(key_id)
    assert (await served.get("/console/merges")).status_code == 303


async def test_pages_run_nothing_and_embed_nothing(served, merge):
    await log_in(served)
    for path in ("/console/merges", f"/console/merges/{merge}"):
        page = await served.get(path)
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert not re.search(r"<script|<b>|\sstyle=|\son\w+=", page.text)


async def test_a_search_leaves_no_nik_in_any_address(served, merge):
    await log_in(served, Role.AUDITOR)
    page = await served.get("/console/merges")
    answer = await post(served, "/console/merges/search", csrf=token(page), nik=NIK)
    assert answer.status_code == 303
    assert NIK not in answer.headers["location"]
    found = await served.get(answer.headers["location"])
    assert f'href="/console/merges/{merge}"' in found.text
    assert NIK not in "".join(re.findall(r'(?:href|action)="([^"]*)"', found.text))


async def test_a_merge_shows_before_and_after(served, merge):
    await log_in(served, Role.AUDITOR)
    page = await served.get(f"/console/merges/{merge}")
    assert page.status_code == 200
    assert "before any evidence" in page.text
    assert '<td class="value before">true</td><td class="value after">false</td>' in page.text
    assert "Undo this merge" not in page.text


async def test_exports_hold_every_merge(served, merge):
    await log_in(served, Role.AUDITOR)
    listed = (await served.get("/console/merges/export/json")).json()
    assert [each["merge"] for each in listed] == [merge]
    text = (await served.get("/console/merges/export/csv")).text
    assert len(text.splitlines()) == 2


async def test_an_operator_undoes_a_merge(served, merge):
    await log_in(served)
    page = await served.get(f"/console/merges/{merge}")
    looked = await followed(served, await post(served, f"/console/merges/{merge}/preview-undo", csrf=token(page)))
    done = await post(served, looked.url.path, csrf=token(looked), reason="two people")
    end = await followed(served, done)
    assert f"Merge {merge} was taken apart" in end.text
    assert "two people" in end.text


async def test_an_undoing_waits_for_its_turn(served, merge):
    await log_in(served)
    environment = await served.app.state.serving.environment("north")
    page = await served.get(f"/console/merges/{merge}")
    looked = await followed(served, await post(served, f"/console/merges/{merge}/preview-undo", csrf=token(page)))
    async with environment.merges._turn:  # as a portion of a job has it
        begun = await post(served, looked.url.path, csrf=token(looked), reason="two people")
        waiting = await served.get(begun.headers["location"])
        assert "is being taken apart" in waiting.text
    assert f"Merge {merge} was taken apart" in (await followed(served, begun)).text


async def test_an_undoing_that_was_interrupted_is_carried_on(served, merge):
    await log_in(served)
    environment = await served.app.state.serving.environment("north")
    with environment.ledger.transaction():
        now = datetime.now(UTC)
        environment.ledger.merges.begin_undo(merge, user="u", at=now, reason="", via="console", decisions={})
    page = await served.get(f"/console/merges/{merge}")
    assert "Its undoing is not finished" in page.text
    assert "Go on undoing" in page.text
    looked = await followed(served, await post(served, f"/console/merges/{merge}/preview-undo", csrf=token(page)))
    end = await followed(served, await post(served, looked.url.path, csrf=token(looked), reason="two people"))
    assert f"Merge {merge} was taken apart" in end.text


async def test_an_auditor_undoes_nothing(served, merge):
    await log_in(served, Role.AUDITOR)
    page = await served.get(f"/console/merges/{merge}")
    assert (await post(served, f"/console/merges/{merge}/preview-undo", csrf=token(page))).status_code == 403


async def test_a_form_without_the_login_s_token_does_nothing(served, merge):
    await log_in(served)
    answer = await post(served, f"/console/merges/{merge}/preview-undo", csrf="x")
    assert answer.status_code == 403


async def test_logging_out_ends_it(served):
    await log_in(served)
    page = await served.get("/console/merges")
    await post(served, "/console/logout", csrf=token(page))
    assert (await served.get("/console/merges")).status_code == 303


def console_of(served):
    return next(route.app for route in served.app.routes if isinstance(route, Mount))


async def test_a_login_that_was_not_used_for_its_time_ends(served):
    await log_in(served)
    sessions = console_of(served).state.sessions
    now = sessions._clock()
    sessions._clock = lambda: now + 29 * 60
    assert (await served.get("/console/merges")).status_code == 200
    sessions._clock = lambda: now + 59 * 60 + 1
    answer = await served.get("/console/merges")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
    assert "max-age=0" in answer.headers["set-cookie"].lower()


async def test_the_console_stands_at_its_address_without_a_slash(served):
    answer = await served.get("/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


async def test_a_form_of_this_site_reaches_it_as_browsers_send_it(served):
    page = await served.get("/console/login")
    assert page.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["duplicates", "plans", "jobs", "duplicates/plan", "duplicates/part", "plans/x"])
async def test_an_auditor_reaches_nothing_of_an_operator_s(served, path):
    await log_in(served, Role.AUDITOR)
    csrf = token(await served.get("/console/merges"))
    assert (await post(served, f"/console/{path}", csrf=csrf, niks=NIK, patients="a b", reason="x")).status_code == 403


@pytest.mark.parametrize("path", ["duplicates", "plans", "jobs", "merges/verification", "merges/search"])
async def test_every_form_asks_for_the_login_s_token(served, path):
    await log_in(served)
    assert (await post(served, f"/console/{path}", csrf="x", niks=NIK)).status_code == 403
    assert (await served.client.post(f"/console/{path}")).status_code == 403


async def test_who_was_found_can_be_held_for_different_people(served):
    await log_in(served)
    ids = " ".join(sorted(await served.put_pair(NIK)))
    csrf = token(await served.get("/console/duplicates"))
    found = await followed(served, await post(served, "/console/duplicates", csrf=csrf))
    assert "Plan this merge" in found.text
    assert (await post(served, "/console/duplicates/part", csrf=csrf, patients="a b", reason="x")).status_code == 409
    refused = await post(served, "/console/duplicates/part", csrf=csrf, patients=ids, reason=" ")
    assert refused.status_code == 422
    shown = await followed(
        served, await post(served, "/console/duplicates/part", csrf=csrf, patients=ids, reason="namesakes")
    )
    assert "2 Patients are held for different people" in shown.text
    assert "Plan this merge" not in shown.text


async def test_an_operator_plans_and_merges_what_was_looked_at(served):
    await log_in(served)
    one, other = sorted(await served.put_pair(NIK))
    form = await served.get("/console/plans")
    plan = await followed(served, await post(served, "/console/plans", csrf=token(form), niks=NIK))
    assert NIK not in plan.text
    assert "Ratna Dewanti" in plan.text
    end = await followed(served, await post(served, plan.url.path, csrf=token(plan)))
    assert "Merge 1</a>" in end.text
    (record,) = (await served.app.state.serving.environment("north")).merges.records(
        MergeFilter(), before=None, limit=9
    )
    assert {record.merge.survivor, *record.merge.replaced} == {one, other}
    assert record.via == "job 1"


async def test_a_plan_that_was_handed_in_is_carried_out_by_the_next_server(served):
    await log_in(served)
    one, other = await served.put_pair(NIK)
    form = await served.get("/console/plans")
    plan = await followed(served, await post(served, "/console/plans", csrf=token(form), patients=f"{one} {other}"))
    environment = await served.app.state.serving.environment("north")
    environment.merge_jobs.work_off = lambda: None  # as if it were killed at this moment
    answer = await post(served, plan.url.path, csrf=token(plan))
    assert answer.headers["location"] == "/console/jobs/1"
    async with served_from(served.home) as after:
        await after.app.state.serving.go_on()
        await log_in(after)
        end = await followed(after, await after.get("/console/jobs/1"))
    assert "Merge 1</a>" in end.text
    assert environment.ledger.merge_jobs.plan_of(1) is None


async def test_a_plan_that_two_operators_hand_in_at_once_is_merged_once(served):
    await log_in(served)
    await served.put_pair(NIK)
    form = await served.get("/console/plans")
    plan = await followed(served, await post(served, "/console/plans", csrf=token(form), niks=NIK))
    both = [await post(served, plan.url.path, csrf=token(plan)) for _ in range(2)]
    for answer in both:
        end = await followed(served, answer)
        assert "Merge 1</a>" in end.text
    environment = await served.app.state.serving.environment("north")
    assert len(environment.merges.records(MergeFilter(), before=None, limit=9)) == 1


async def test_a_plan_that_the_server_has_overtaken_is_told_as_refused(served):
    await log_in(served)
    one, other = await served.put_pair(NIK)
    form = await served.get("/console/plans")
    plan = await followed(served, await post(served, "/console/plans", csrf=token(form), niks=NIK))
    environment = await served.app.state.serving.environment("north")
    for each in (one, other):
        await environment.client.send(Request("DELETE", f"Patient/{each}"))
    end = await followed(served, await post(served, plan.url.path, csrf=token(plan)))
    assert "refused" in end.text
    assert "plan it anew" in end.text


async def test_a_job_that_cannot_be_done_yet_does_not_hold_up_the_next_one(served, monkeypatch):
    await log_in(served)
    await served.put_pair(NIK)
    environment = await served.app.state.serving.environment("north")
    go_on = environment.merges.resume

    async def busy_at_first(request):
        if request.via == "job 1":
            raise LedgerError("a command merges here just now")
        await go_on(request)

    monkeypatch.setattr(environment.merges, "resume", busy_at_first)
    for _ in range(2):
        environment.merge_jobs.hand_in([NIK], user="u", dry_run=False)
    end = await followed(served, await served.get("/console/jobs/2"))
    assert "Merge 1</a>" in end.text


async def test_a_group_with_conflicts_is_merged_only_by_who_says_to_have_looked(served):
    await log_in(served)
    await served.put_pair(NIK)
    await served.put_pair(NIK, "Gilang Prakoso")
    form = await served.get("/console/plans")
    plan = await followed(served, await post(served, "/console/plans", csrf=token(form), niks=NIK))
    csrf = token(plan)
    assert (await post(served, plan.url.path, csrf=csrf)).status_code == 409
    assert (await post(served, plan.url.path, csrf=csrf, group="0")).status_code == 422
    assert (await post(served, plan.url.path, csrf=csrf, group="7", looked="yes")).status_code == 422
    end = await followed(served, await post(served, plan.url.path, csrf=csrf, group="0", looked="yes"))
    assert "Merge 1" in end.text


async def test_a_plan_is_seen_by_the_login_that_made_it_only(served):
    await log_in(served)
    await served.put_pair(NIK)
    form = await served.get("/console/plans")
    plan = await followed(served, await post(served, "/console/plans", csrf=token(form), niks=NIK))
    await post(served, "/console/logout", csrf=token(plan))
    await log_in(served)
    assert (await served.get(plan.url.path)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"niks": ""}, 422),
        ({"niks": NIK, "patients": "a b"}, 422),
        ({"niks": "\x00"}, 422),
        ({"niks": "<script>"}, 422),
        ({"niks": "9" * 16 + "\n" + "8" * 17}, 422),
        ({"patients": " ".join(f"p{number}" for number in range(51))}, 422),
        ({"niks": "1" * 19_000}, 422),
    ],
)
async def test_a_wish_that_cannot_be_planned_is_told_without_what_was_written(served, fields, status):
    await log_in(served)
    form = await served.get("/console/plans")
    answer = await post(served, "/console/plans", csrf=token(form), **fields)
    assert answer.status_code == status
    assert "<script>" not in answer.text
    assert NIK not in answer.text


async def test_a_patient_that_is_not_there_is_told(served):
    await log_in(served)
    form = await served.get("/console/plans")
    end = await followed(served, await post(served, "/console/plans", csrf=token(form), patients="Patient/a, b"))
    assert end.status_code == 409
    assert "there is no Patient" in end.text


@pytest.mark.parametrize("cookie", ["x", "a" * 5000, "\x7f", "é"])
async def test_a_cookie_of_nobody_s_opens_nothing(served, cookie):
    headers = {"Cookie": f"fhir_gateway={cookie}".encode("latin-1")}
    assert (await served.get("/console/merges", headers=headers)).status_code == 303


async def test_jobs_go_on_when_the_ledger_was_away(served, monkeypatch):
    await log_in(served)
    await served.put_pair(NIK)
    environment = await served.app.state.serving.environment("north")
    jobs, away = environment.ledger.merge_jobs, [LedgerError("the ledger is away")]
    unfinished = jobs.unfinished

    def away_at_first():
        if away:
            raise away.pop()
        return unfinished()

    monkeypatch.setattr(jobs, "unfinished", away_at_first)
    environment.merge_jobs._pause = 0
    environment.merge_jobs.hand_in([NIK], user="u", dry_run=False)
    end = await followed(served, await served.get("/console/jobs/1"))
    assert "Merge 1</a>" in end.text


async def test_a_short_job_does_not_wait_for_a_long_one(served, monkeypatch):
    await log_in(served)
    await served.put_pair(NIK)
    monkeypatch.setattr(merge_jobs, "PORTION", 1)
    environment = await served.app.state.serving.environment("north")
    others = [f"33030152032{number:05}" for number in range(1, 40)]
    long = environment.merge_jobs.hand_in(others, user="u", dry_run=True)
    short = environment.merge_jobs.hand_in([NIK], user="u", dry_run=False)
    await followed(served, await served.get(f"/console/jobs/{short.id}"))
    assert environment.merge_jobs.get(long.id).finished is None
    await followed(served, await served.get(f"/console/jobs/{long.id}"))


async def test_a_plan_that_nobody_can_read_any_more_is_refused_and_not_tried_for_ever(served):
    await log_in(served)
    environment = await served.app.state.serving.environment("north")
    with environment.ledger.transaction():
        plan = ReviewedPlan("{}", accept_conflicts=False)
        environment.ledger.merge_jobs.add([JobPart("", {"survivor": "p1"})], user="u", at=datetime.now(UTC), plan=plan)
    environment.merge_jobs.work_off()
    end = await followed(served, await served.get("/console/jobs/1"))
    assert "this is no merge plan" in end.text


async def test_an_auditor_finds_who_was_said_to_be_different_people(served):
    opened = await served.app.state.serving.environment("north")
    for ids in (["a1", "a2"], ["b1", "b2"]):
        opened.merges.part(ids, user="sari", via="api", reason=f"namesakes of {ids[0]}")
    await log_in(served, Role.AUDITOR)
    page = await served.get("/console/merges/parted")
    assert "a1 a2" in page.text
    assert "b1 b2" in page.text
    form = await served.get("/console/merges")
    found = await followed(served, await post(served, "/console/merges/search", csrf=token(form), patient="b2"))
    address = re.search(r'href="(/console/merges/parted[^"]*)"', found.text)[1]
    page = await served.get(address)
    assert "namesakes of b1" in page.text
    assert "a1 a2" not in page.text
