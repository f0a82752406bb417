"""Prints requests and seconds of merging duplicates, beside the two algorithms that a published field report describes.

    python benchmarks/merge.py [--niks 68] [--delay 0.2] [--in-flight 5] [--seed 7]

68 NIKs with 2 to 10 Patients each; every Patient has about 20 Observations and 1 or 2 of each of 26 other types. The
embedded server is inside the process, and every request waits a while before it gets there. The gateway's way is
measured on everything, planning included. The published ways run on three NIKs (2, 6 and 10 Patients) of the same
making and are projected by the number of duplicates: the parallel one with the delay, the sequential one without, as
its requests follow each other and each adds one delay. Each way has a server of its own, and is checked afterwards: no
resource may refer to a duplicate any more.
"""

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson
from duplicates import (
    BUNDLE,
    TYPES,
    Person,
    Resource,
    bundle_of,
    check,
    check_entries,
    duplicates_of,
    fill,
    make_people,
)

from fhir_gateway.bootstrap.gateway import SystemClock
from fhir_gateway.bootstrap.merging import road_of
from fhir_gateway.domain import systems
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.flows.merge import ApplyRequest
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import EMBEDDED, load_environment

_FHIR_JSON = {"Content-Type": "application/fhir+json"}
_THREADS = 5
_SAMPLE = (2, 6, 10)
_GOLDEN = "golden-record"
_MOST_SECONDS = 60
_FEWER = 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What an algorithm took, measured or projected."""

    name: str
    requests: float
    seconds: float
    how: str


class DelayedTransport(httpx.AsyncBaseTransport):
    """Lets every request wait before it reaches the server, and counts them."""

    def __init__(self, server: EmbeddedServer, delay: float) -> None:
        self._transport = EmbeddedTransport(server)
        self._delay = delay
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, then let the server answer."""
        self.requests += 1
        await asyncio.sleep(self._delay)
        return await self._transport.handle_async_request(request)


class Silent:
    """A progress display that shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Take no notice."""

    def advance(self, done: int, *_: object) -> None:
        """Take no notice."""


def main() -> None:
    """Measure the three ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--niks", type=int, default=68)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--in-flight", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    people = make_people([2 + number % 9 for number in range(arguments.niks)])
    sample = make_people(_SAMPLE)
    times = duplicates_of(people) / duplicates_of(sample)
    print(
        f"{len(people)} NIKs, {duplicates_of(people)} duplicates, {arguments.delay * 1000:.0f} ms before every request, "
        f"{arguments.in_flight} in flight; published ways projected from {duplicates_of(sample)} duplicates"
    )
    ours = measure_ours(people, arguments)
    parallel = measure_published(sample, arguments, times, parallel=True)
    sequential = measure_published(sample, arguments, times, parallel=False)
    print(f"{'algorithm':22}{'requests':>10}{'ratio':>8}{'seconds':>10}{'ratio':>8}  seconds are")
    for cost in (ours, parallel, sequential):
        print(
            f"{cost.name:22}{cost.requests:10,.0f}{cost.requests / ours.requests:8.1f}"
            f"{cost.seconds:10,.1f}{cost.seconds / ours.seconds:8.1f}  {cost.how}"
        )
    _judge(ours, parallel)


def _judge(ours: Cost, parallel: Cost) -> None:
    quick, few = ours.seconds <= _MOST_SECONDS, ours.requests * _FEWER <= parallel.requests
    print(f"at most {_MOST_SECONDS} s: {'reached' if quick else 'missed'}, {ours.seconds:.1f} s")
    print(
        f"at most 1/{_FEWER} of the requests of the parallel way: {'reached' if few else 'missed'}, "
        f"1/{parallel.requests / ours.requests:.1f}"
    )


def measure_ours(people: Sequence[Person], arguments: argparse.Namespace) -> Cost:
    """Select, plan and apply on everything."""
    with TemporaryDirectory() as folder, closing(EmbeddedServer(Path(folder) / "server")) as server:
        fill(server, people, random.Random(arguments.seed))
        transport = DelayedTransport(server, arguments.delay)
        parts = asyncio.run(_merge(people, transport, Path(folder), arguments.in_flight))
        check(server, people)
    told = ", ".join(f"{name} {seconds:.1f} s and {requests} requests" for name, requests, seconds in parts)
    seconds = sum(part[2] for part in parts)
    return Cost("fhir-gateway", transport.requests, seconds, f"measured ({told})")


async def _merge(
    people: Sequence[Person], transport: DelayedTransport, folder: Path, in_flight: int
) -> list[tuple[str, int, float]]:
    """Return the parts of a merge: name, requests, seconds."""
    environment = load_environment(EMBEDDED, folder)
    policy = replace(environment.fhir_server, max_in_flight=in_flight)
    parts: list[tuple[str, int, float]] = []
    before, started = 0, time.perf_counter()

    def note(name: str) -> None:
        nonlocal before, started
        parts.append((name, transport.requests - before, time.perf_counter() - started))
        before, started = transport.requests, time.perf_counter()

    with Ledger(environment.ledger_url) as ledger:
        async with FhirClient(policy, transport=transport) as client:
            road = road_of(client, ledger, environment, progress=Silent(), clock=SystemClock())
            groups = (await road.selected([person.nik for person in people])).groups
            note("selecting")
            plan = await road.plan(groups)
            note("planning")
            outcomes = await road.apply(plan, ApplyRequest("bench"))
            note("applying")
    if len(outcomes) != len(people) or not all(outcome.whole for outcome in outcomes):
        raise SystemExit(f"not everything was merged: {sum(one.whole for one in outcomes)} of {len(people)} groups")
    return parts


def measure_published(sample: Sequence[Person], arguments: argparse.Namespace, times: float, *, parallel: bool) -> Cost:
    """Run a published algorithm on the sample and project it."""
    with TemporaryDirectory() as folder, closing(EmbeddedServer(Path(folder))) as server:
        fill(server, sample, random.Random(arguments.seed))
        transport = DelayedTransport(server, arguments.delay if parallel else 0)
        started = time.perf_counter()
        asyncio.run(_published(sample, transport, parallel=parallel))
        seconds = time.perf_counter() - started
        check(server, sample)
    if parallel:
        return Cost("published, parallel", transport.requests * times, seconds * times, f"{seconds:.1f} s projected")
    whole = seconds + transport.requests * arguments.delay
    how = f"projected from {transport.requests:,} delays and {seconds:.1f} s"
    return Cost("published, sequential", transport.requests * times, whole * times, how)


async def _published(people: Sequence[Person], transport: DelayedTransport, *, parallel: bool) -> None:
    async with _connected(transport) as server:
        for person in people:  # one NIK after another: two of them might share resources
            master = await _master(server, person.nik)
            duplicates = [one for one in person.patient_ids if one != master]
            if parallel:
                await _repoint_in_bundles(server, duplicates, master)
            else:
                await _repoint_singly(server, duplicates, master)
            for duplicate in duplicates:
                patient = await server.get(f"Patient/{duplicate}")
                link = {"other": {"reference": f"Patient/{master}"}, "type": "replaced-by"}
                await server.put({**patient, "active": False, "link": [link]})


async def _master(server: "Server", nik: str) -> str:
    """Return the tagged, else the latest updated Patient of a NIK; each is read once more."""
    found = [one async for one in server.search(f"Patient?identifier={systems.NIK}|{nik}")]
    patients = [await server.get(f"Patient/{one['id']}") for one in found]
    tagged = [one for one in patients if any(tag["code"] == _GOLDEN for tag in one["meta"].get("tag", ()))]
    return str(max(tagged or patients, key=lambda one: one["meta"]["lastUpdated"])["id"])


async def _repoint_singly(server: "Server", duplicates: Sequence[str], master: str) -> None:
    for resource_type in TYPES:
        for duplicate in duplicates:
            for found in [one async for one in server.search(f"{resource_type}?patient=Patient/{duplicate}")]:
                resource = await server.get(f"{resource_type}/{found['id']}")
                await server.put(_repointed(resource, duplicate, master))


async def _repoint_in_bundles(server: "Server", duplicates: Sequence[str], master: str) -> None:
    threads = asyncio.Semaphore(_THREADS)

    async def fetch(resource_type: str) -> list[Resource]:
        async with threads:
            return [
                _repointed(found, duplicate, master)
                for duplicate in duplicates
                async for found in server.search(f"{resource_type}?patient=Patient/{duplicate}")
            ]

    fetched = await asyncio.gather(*(fetch(resource_type) for resource_type in TYPES))
    changed = [resource for resources in fetched for resource in resources]
    for start in range(0, len(changed), BUNDLE):
        await server.post(changed[start : start + BUNDLE])


def _repointed(element: Any, duplicate: str, master: str) -> Any:
    if isinstance(element, dict):
        return {name: _repointed(value, duplicate, master) for name, value in element.items()}
    if isinstance(element, list):
        return [_repointed(value, duplicate, master) for value in element]
    return f"Patient/{master}" if element == f"Patient/{duplicate}" else element


class Server:
    """The requests of the published algorithms, with bare httpx."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, target: str) -> Any:
        """Return what is there."""
        response = await self._client.get(target if target.startswith("http") else f"{BASE_URL}/{target}")
        return orjson.loads(response.raise_for_status().content)

    async def search(self, target: str) -> AsyncIterator[Resource]:
        """Yield the matches of every page, as many on each as the server likes."""
        following = target
        while following:
            bundle = await self.get(following)
            for entry in bundle.get("entry", ()):
                yield entry["resource"]
            following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")

    async def put(self, resource: Resource) -> None:
        """Write one resource, whatever its version."""
        target = f"{BASE_URL}/{resource['resourceType']}/{resource['id']}"
        (await self._client.put(target, content=orjson.dumps(resource), headers=_FHIR_JSON)).raise_for_status()

    async def post(self, resources: Sequence[Resource]) -> None:
        """Write resources in one batch bundle."""
        response = await self._client.post(BASE_URL, content=bundle_of(resources), headers=_FHIR_JSON)
        check_entries(orjson.loads(response.raise_for_status().content))


@asynccontextmanager
async def _connected(transport: DelayedTransport) -> AsyncIterator[Server]:
    async with httpx.AsyncClient(transport=transport, timeout=120) as client:
        yield Server(client)


if __name__ == "__main__":
    main()
