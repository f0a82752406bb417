"""The console as a browser without scripts sees it: forms, cookies, redirects."""

import asyncio
import json
import re

import pytest

from fhir_gateway.domain.access import Role
from fhir_gateway.fhir_server.client import Request

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
    for _ in range(300):
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
