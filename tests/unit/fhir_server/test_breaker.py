import asyncio

import pytest
from tests.fakes.fake_time import FakeTime

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.fhir_server.breaker import FAILURES_TO_OPEN, BreakerGate
from fhir_gateway.fhir_server.failures import OutageError, ServerGoneError


async def fail(gate, *, probing=False, error=None):
    with pytest.raises(OutageError):
        async with gate.passage(probing=probing):
            raise error or OutageError("gone")


async def opened_gate(time, *, patience=600, news=None):
    gate = BreakerGate(patience=patience, timing=time.timing(), on_wait=None if news is None else news.append)
    for _ in range(FAILURES_TO_OPEN):
        assert gate.closed
        await fail(gate)
    assert not gate.closed
    return gate


async def test_the_gate_opens_after_failures_and_says_so_once():
    news = []
    gate = await opened_gate(FakeTime(), news=news)
    await fail(gate)
    assert [wait.down for wait in news] == [True]


async def test_one_probe_asks_for_all_and_its_success_lets_them_pass():
    news = []
    gate = await opened_gate(FakeTime(), news=news)
    admitted = []

    async def come():
        probing = await gate.admit()
        admitted.append(probing)
        if probing:
            async with gate.passage(probing=True):
                await asyncio.sleep(0)
                assert admitted == [True]

    await asyncio.gather(*(come() for _ in range(10)))
    assert admitted == [True] + [False] * 9
    assert gate.closed
    assert [wait.down for wait in news] == [True, False]


async def test_a_failed_probe_lets_the_next_one_probe_later():
    time = FakeTime()
    gate = await opened_gate(time)
    assert await gate.admit()
    before = time.seconds
    await fail(gate, probing=True)
    assert await gate.admit()
    assert time.seconds > before


async def test_a_cancelled_probe_tells_nothing_and_frees_the_place():
    gate = await opened_gate(FakeTime())
    assert await gate.admit()
    with pytest.raises(asyncio.CancelledError):
        async with gate.passage(probing=True):
            raise asyncio.CancelledError
    assert not gate.closed
    assert await gate.admit()


async def test_cancellations_do_not_open_the_gate():
    gate = BreakerGate(patience=600, timing=FakeTime().timing())
    for _ in range(FAILURES_TO_OPEN * 2):
        with pytest.raises(asyncio.CancelledError):
            async with gate.passage(probing=False):
                raise asyncio.CancelledError
    assert gate.closed


async def test_a_refusal_shows_that_the_server_lives():
    gate = await opened_gate(FakeTime())
    assert await gate.admit()
    with pytest.raises(PermanentServerError):
        async with gate.passage(probing=True):
            raise PermanentServerError("no", status=403)
    assert gate.closed


async def test_the_server_chooses_when_to_be_asked_again():
    time = FakeTime()
    gate = BreakerGate(patience=600, timing=time.timing())
    for _ in range(FAILURES_TO_OPEN):
        await fail(gate, error=OutageError("gone", retry_after=120))
    before = time.seconds
    assert await gate.admit()
    assert time.seconds - before >= 120


async def test_patience_ends_with_the_reason():
    time = FakeTime()
    gate = await opened_gate(time, patience=60)

    async def insist():
        while True:
            await gate.admit()
            await fail(gate, probing=True)

    with pytest.raises(ServerGoneError, match=r"60 s.*gone"):
        await insist()
    assert 60 <= time.seconds - 1000 < 120


async def test_a_late_success_of_another_request_closes_the_gate():
    gate = await opened_gate(FakeTime())
    async with gate.passage(probing=False):
        pass
    assert gate.closed
    assert gate.successes == 1
