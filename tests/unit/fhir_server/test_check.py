import httpx
import pytest
from tests.fakes.scripted_server import ScriptedServer, answer, html, outcome, searchset, statement

from fhir_gateway.fhir_server.check import PATIENCE, check_server, what_hinders_a_load
from fhir_gateway.fhir_server.reader import ServerReader


async def check(server, **policy):
    async with server.client(**policy) as client:
        return await check_server(client)


async def test_a_usable_server_has_no_problem():
    found = await check(ScriptedServer(lambda _: answer(body=searchset())))
    assert (found.reached, found.authorised, found.problem, found.software) == (True, True, "", "Scripted 1")
    assert [proof.parameter for proof in found.searches[:3]] == ["identifier", "identifier", "patient"]


async def test_a_server_that_is_down_is_told_soon_even_with_endless_patience():
    def down(_):
        raise httpx.ConnectError("refused")

    server = ScriptedServer(down, metadata=False)
    found = await check(server, wait_for_server=0)
    assert (found.reached, found.authorised) == (False, False)
    assert "cannot be reached" in found.problem
    assert server.time.seconds - 1000 < PATIENCE * 4


async def test_refused_credentials_are_told_apart_from_no_server():
    found = await check(ScriptedServer(lambda _: answer(401, outcome()), metadata=False))
    assert (found.reached, found.authorised) == (True, False)
    assert "credentials" in found.problem


async def test_open_metadata_does_not_hide_refused_credentials():
    found = await check(ScriptedServer(lambda _: answer(403, outcome())))
    assert (found.reached, found.authorised) == (True, False)
    assert "403" in found.problem


async def test_a_search_that_is_needed_and_ignored_is_a_problem():
    somebody = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:x", "value": "1"}]}
    server = ScriptedServer(lambda r: answer(body=searchset(*([somebody] if "/Patient" in r.url.path else []))))
    found = await check(server)
    assert "Patient?identifier" in found.problem
    assert "ignored" in found.problem


@pytest.mark.parametrize(("conditional", "problem"), [(True, ""), (False, "Immunization?identifier")])
async def test_doses_need_not_be_found_by_identifier_where_they_are_created_conditionally(conditional, problem):
    dose = {"resourceType": "Immunization", "id": "i1", "identifier": [{"system": "urn:x", "value": "1"}]}

    def ignoring(request):
        ignored = "Immunization" in request.url.path and b"identifier" in request.url.query + request.content
        return answer(body=searchset(*([dose] if ignored else [])))

    server = ScriptedServer(ignoring, metadata=statement(conditional_create=conditional))
    found = await check(server)
    assert [proof.works for proof in found.searches[:3]] == [True, False, True]
    assert problem in found.problem
    assert bool(problem) == bool(found.problem)
    async with server.client() as client:
        assert bool(problem) == bool(await what_hinders_a_load(ServerReader(client)))


async def test_another_version_and_no_fhir_at_all_are_told():
    assert "FHIR 5.0.0" in (await check(ScriptedServer(answer, metadata=statement(fhirVersion="5.0.0")))).problem
    assert "HTML" in (await check(ScriptedServer(lambda _: html(), metadata=False))).problem
