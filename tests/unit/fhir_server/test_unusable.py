import httpx
import pytest
from tests.fakes.scripted_server import ScriptedServer, answer, in_turn

from fhir_gateway.domain.errors import TransientServerError
from fhir_gateway.fhir_server.client import Request
from fhir_gateway.fhir_server.failures import ServerGoneError
from fhir_gateway.fhir_server.unusable import PATIENCE

GET = Request("GET", "Patient/1")
PATIENT = {"resourceType": "Patient", "id": "1"}


async def test_a_server_that_never_answers_rightly_is_told_at_once_and_given_up_soon():
    server = ScriptedServer(in_turn(answer(500)))
    async with server.client() as client:
        with pytest.raises(ServerGoneError, match=r"of use for 30 s: .* 500 to GET Patient"):
            await client.send(GET)
        sent = len(server.requests)
        with pytest.raises(ServerGoneError):
            await client.send(GET)
    assert server.told_at[0] == 0
    assert server.time.seconds - 1000 == PATIENCE
    assert len(server.requests) == sent + 1


async def test_rubbish_that_stays_is_given_up_soon_and_a_right_answer_ends_that():
    rubbish = httpx.Response(200, content=b'{"resourceType": "Pat')
    server = ScriptedServer(in_turn(answer(body=PATIENT), *[rubbish] * 20))
    async with server.client() as client:
        await client.send(GET)
        for _ in range(3):
            with pytest.raises(ServerGoneError, match="cut or broken"):
                await client.send(GET)
        assert server.time.seconds - 1000 == PATIENCE
        server.handler = in_turn(answer(body=PATIENT), rubbish, answer(body=PATIENT))
        await client.send(GET)
        assert (await client.send(GET)).body == PATIENT


@pytest.mark.parametrize("status", [500, 429])
async def test_a_server_that_is_busy_all_the_time_is_given_up_with_the_patience(status):
    server = ScriptedServer(in_turn(answer(body=PATIENT), answer(status)))
    busy = f"^The FHIR server answered {status}"
    async with server.client(wait_for_server=100) as client:
        await client.send(GET)
        for words in (busy, busy, "of use for 100 s", "of use"):
            with pytest.raises(TransientServerError, match=words):
                await client.send(GET)
    assert server.time.seconds - 1000 == 100


async def test_bad_answers_long_apart_are_not_counted_together():
    server = ScriptedServer(in_turn(answer(body=PATIENT), answer(500)))
    async with server.client(wait_for_server=100) as client:
        await client.send(GET)
        for _ in range(5):
            with pytest.raises(TransientServerError, match=r"^The FHIR server answered 500"):
                await client.send(GET)
            await server.time.sleep(100)
