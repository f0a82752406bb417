"""Clients' keys at an address of theirs: fetched from there only, and kept as long as they say."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc.jwk import ECKey

from fhir_gateway.key_sets.fetching import KeySets, keys_url_problem
from fhir_gateway.registry.client_keys import UnusableKeysError

URL = "https://registry.test/jwks.json"
KEY = ECKey.generate_key("P-384", {"kid": "k-1"})
SET = {"keys": [KEY.as_dict(private=False)]}


class HeldClock:
    """A clock that goes on only when it is told to."""

    def __init__(self):
        self.moment = datetime(2024, 5, 1, tzinfo=UTC)

    def now(self):
        return self.moment


class Address:
    """A client's JWKS address, and how often it was asked."""

    def __init__(self, *, status=200, content=None, headers=None, error=None):
        self.asked = []
        self.clock = HeldClock()
        self._answer = (status, json.dumps(SET if content is None else content), headers or {})
        self._error = error
        self.sets = KeySets(self.clock, transport=httpx.MockTransport(self._respond))

    def _respond(self, request):
        self.asked.append(str(request.url))
        if self._error:
            raise self._error
        status, text, headers = self._answer
        return httpx.Response(status, text=text, headers=headers)

    async def ask(self, key_id="k-1", after=0):
        self.clock.moment += timedelta(seconds=after)
        return [one.id for one in await self.sets.keys(URL, key_id=key_id)]


@pytest.mark.parametrize(
    ("control", "kept", "again"),
    [
        ("max-age=60", 59, 61),
        ("public, max-age=1800", 1799, 1801),
        ("max-age=86400", 3599, 3601),
        ("", 299, 301),
    ],
)
async def test_a_set_is_kept_no_longer_than_cache_control_says(control, kept, again):
    address = Address(headers={"Cache-Control": control} if control else {})
    await address.ask()
    assert await address.ask(after=kept) == ["k-1"]
    assert len(address.asked) == 1
    await address.ask(after=again - kept)
    assert len(address.asked) == 2


@pytest.mark.parametrize("control", ["no-store", "no-cache", "No-Store, max-age=300"])
async def test_a_set_that_may_not_be_kept_is_fetched_each_time(control):
    address = Address(headers={"Cache-Control": control})
    await address.ask()
    await address.ask()
    assert len(address.asked) == 2


async def test_a_key_that_is_not_known_yet_lets_the_set_be_fetched_once_a_minute():
    address = Address()
    await address.ask()
    for _ in range(5):
        await address.ask("k-2", after=10)
    assert len(address.asked) == 1
    await address.ask("k-2", after=20)
    assert len(address.asked) == 2


@pytest.mark.parametrize(
    "address",
    [
        Address(status=404),
        Address(status=302, headers={"Location": "https://elsewhere.test/"}),
        Address(content={"keys": []}),
        Address(content={"keys": [KEY.as_dict(private=True)]}),
        Address(content={"padding": "x" * 70_000}),
        Address(error=httpx.ConnectError("gone")),
        Address(error=httpx.ReadTimeout("slow")),
    ],
    ids=["missing", "elsewhere", "empty", "a private key", "too much", "gone", "slow"],
)
async def test_an_address_that_gives_no_keys_lets_nobody_in(address):
    with pytest.raises(UnusableKeysError):
        await address.ask()
    assert address.asked == [URL]


@pytest.mark.parametrize(
    "url",
    [
        "http://registry.test/jwks.json",
        "https://name:word@registry.test/jwks.json",
        "https://registry.test/jwks.json#part",
        "file:///etc/passwd",
        "ftp://registry.test/jwks.json",
        "https:///jwks.json",
        "https://registry.test:port/jwks.json",
        "",
    ],
)
async def test_an_address_that_is_none_is_never_asked(url):
    assert keys_url_problem(url)
    address = Address()
    with pytest.raises(UnusableKeysError):
        await address.sets.keys(url, key_id="k-1")
    assert address.asked == []


def test_loopback_may_speak_plain_http():
    assert keys_url_problem("http://127.0.0.1:8080/jwks.json") == ""
    assert keys_url_problem(URL) == ""


class Drip(httpx.AsyncByteStream):
    """A body that never ends, byte by byte."""

    async def __aiter__(self):
        while True:
            await asyncio.sleep(0.001)
            yield b""


async def test_an_answer_that_drips_is_given_up():
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Drip()))
    sets = KeySets(HeldClock(), transport=transport, seconds=0.02)
    with pytest.raises(UnusableKeysError, match="does not answer"):
        await sets.keys(URL, key_id="k-1")
