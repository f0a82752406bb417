"""Merging on servers that do not keep to what others keep to: nothing is lost, and what cannot be known is told."""

import asyncio

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import BASE, is_bundle
from tests.fakes.duplicated_people import family, put_all
from tests.fakes.merging_place import everything, fill, read_all, referring_to
from tests.fakes.scripted_server import answer, outcome
from tests.flows.test_merge_apply import applied, in_region, planned

from fhir_gateway.domain.posting import Locking
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.locking import PROBE, find_locking
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import load_environment


def without_if_match(request):
    """Take If-Match out of a bundle, as a server does that ignores it there."""
    if is_bundle(request):
        bundle = orjson.loads(request.content)
        for entry in bundle["entry"]:
            entry["request"].pop("ifMatch", None)
        request._content = orjson.dumps(bundle)


def test_a_server_that_ignores_if_match_in_batches_gets_single_requests(place, region):
    server, plan = in_region(place, region, before=without_if_match)
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])
    single = [request for request in server.requests if request.method == "PUT" and "Observation" in request.url.path]
    assert len(single) == 3
    assert all(request.headers["if-match"] for request in single)
    assert not [name for name in read_all(server.server) if name.startswith("Basic/")]  # the probe is gone


async def test_what_a_batch_that_ignores_if_match_has_written_is_not_held_against_single_requests(place, region):
    server = region(before=without_if_match)
    async with FhirClient(FhirServerPolicy(BASE), transport=server, timing=server.time.timing()) as client:
        assert await find_locking(client, ServerReader(client), owner="one-ledger") is Locking.SINGLE


def test_a_probe_that_a_killed_command_left_behind_is_cleared_away(place):
    fill(place.home, family())
    plan, _ = planned(place)
    assert applied(place, plan)[0] == 0
    with Ledger(load_environment("embedded", place.home).ledger_url) as ledger:
        own = ledger.merges.history.ledger_id()
    probes = {"left": own, "anothers": "0123456789abcdef"}
    fill(place.home, [probe(name, owner) for name, owner in probes.items()])
    assert place.run("merge", "undo", "1")[0] == 0
    assert [name for name in everything(place.home) if name.startswith("Basic/")] == ["Basic/anothers"]


def probe(name, owner):
    identifier = [{"system": PROBE, "value": owner}]
    return {"resourceType": "Basic", "id": name, "identifier": identifier, "code": {"text": "probe"}}


class Waiting(httpx.AsyncBaseTransport):
    """Sends no bundle before the other gateway is through."""

    def __init__(self, server):
        self.server = server
        self.holds_the_probe = asyncio.Event()
        self.other_is_through = asyncio.Event()

    async def handle_async_request(self, request):
        if is_bundle(request):
            self.holds_the_probe.set()
            await self.other_is_through.wait()
        return await self.server.handle_async_request(request)


async def test_a_gateway_leaves_the_probe_of_another_one_that_looks_at_the_same_moment(place, region):
    server = region()
    waiting = Waiting(server)

    async def looked(owner, transport):
        policy = FhirServerPolicy(BASE)
        async with FhirClient(policy, transport=transport, timing=server.time.timing()) as client:
            return await find_locking(client, ServerReader(client), owner=owner)

    first = asyncio.create_task(looked("one-ledger", waiting))
    await waiting.holds_the_probe.wait()
    assert await looked("another-ledger", server) is Locking.BATCH
    assert len([name for name in read_all(server.server) if name.startswith("Basic/")]) == 1
    waiting.other_is_through.set()
    assert await first is Locking.BATCH
    assert not [name for name in read_all(server.server) if name.startswith("Basic/")]


def test_a_server_that_ignores_if_match_altogether_is_compared_with_before_each_write(place, region):
    def ignore(request):
        without_if_match(request)
        request.headers.pop("if-match", None)

    server, plan = in_region(place, region, before=ignore)
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])
    assert referring_to(read_all(server.server), ["p2", "p3"]) == []


@pytest.mark.parametrize(("settings", "declared", "times"), [("true", True, 1), ("true", False, 0), ("false", True, 0)])
def test_the_servers_own_merge_is_asked_for_only_where_it_is_wanted_and_declared(
    place, region, settings, declared, times
):
    def merges(request, response):
        if request.url.path.endswith("/metadata") and declared:
            statement = orjson.loads(response.content)
            of_patients = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Patient")
            of_patients["operation"] = [{"name": "merge", "definition": "http://example.org/merge"}]
            return answer(200, statement)
        return None

    server = region(after=merges, settings=f"[merging]\nuse_server_merge = {settings}\n")
    put_all(server.server, family(), base=BASE)
    plan, _ = planned(place, environment="region")
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])  # the embedded server refuses, so the gateway merges itself
    assert len([one for one in server.requests if one.url.path.endswith("/Patient/$merge")]) == times
    assert referring_to(read_all(server.server), ["p2", "p3"]) == []


def test_a_server_without_batches_of_searches_is_asked_one_by_one(place, region):
    def refuse(request):
        if is_bundle(request) and orjson.loads(request.content)["entry"][0]["request"]["method"] == "GET":
            return answer(400, outcome(text="no reading in batches"))
        return None

    server, plan = in_region(place, region, before=refuse)
    code, (merge,), _ = applied(place, plan, environment="region")
    assert (code, merge["failed"]) == (0, [])
    assert referring_to(read_all(server.server), ["p2", "p3"]) == []


@pytest.mark.parametrize("broken", [("subject=",), ("subject=", "patient=")])
def test_a_search_that_another_one_shows_to_have_missed_something_is_not_believed(place, region, broken):
    def miss(request, response):
        """Find no Observation by these, as Medplum does by parameters that it cannot resolve."""
        said = orjson.loads(response.content)
        if request.url.path.endswith("/Observation/_search") and "patient=" in broken:
            return answer(200, said | {"entry": [], "total": 0})
        if not is_bundle(request):
            return None
        for asked, one in zip(orjson.loads(request.content)["entry"], said["entry"], strict=True):
            url = asked["request"]["url"]
            if url.startswith("Observation?") and any(parameter in url for parameter in broken):
                one["resource"] |= {"entry": [], "total": 0}
        return answer(200, said)

    server = region(after=miss)
    put_all(server.server, family(), base=BASE)
    _, said = planned(place, environment="region")
    (group,) = said["groups"]
    another_works = len(broken) == 1
    assert ("Observation.subject" in group["unsearched"]) is not another_works
    assert group["changes"]["Observation"] == (3 if another_works else 2)
