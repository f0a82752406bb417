"""Prints how long a load takes beside a blind replay of the very same bundles.

    python benchmarks/load.py [--rows 10000] [--seed 7] [--in-flight 4] [--servers embedded hapi]

Each load and each replay has a fresh server, a process of its own on loopback. The bundles are recorded in a first
load. The replay posts them with bare httpx as fast as the server takes them, the same number in flight: it reads no
file, asks for nobody, keeps no ledger and looks at no answer but for the ids that the server gave. These ids it puts
into the bundles that follow, so a bundle waits for those that made what it refers to, as it did in the load.
"""

import argparse
import asyncio
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import orjson
from tests.real_server.servers import HAPI_PLAIN, RunningServer, Software

from fhir_gateway import bootstrap
from fhir_gateway.flows.load import LoadRequest
from fhir_gateway.synth.generate import generate
from fhir_gateway.synth.population import Region
from fhir_gateway.synth.rates import Rates

_REFERENCE = re.compile(r"\b(?:Patient|Immunization)/[A-Za-z0-9\-.]{1,64}")
_ROWS_A_PERSON = 4
_COMMAND = (str(Path(sys.executable).with_name("fhir-gateway")),)
_EMBEDDED = Software("embedded", Path(), (*_COMMAND, "fhir-server"), ())
_ACCEPT = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json", "Prefer": "return=minimal"}


@dataclass(slots=True)
class Phases:
    """A progress display that notes how long each phase took."""

    seconds: dict[str, float] = field(default_factory=dict)
    _name: str = ""
    _begun: float = 0.0

    def phase(self, name: str, total: int | None = None) -> None:
        """Close the phase before this one."""
        self.close()
        self._name, self._begun = name.partition(" ")[0] if total is None else name, time.perf_counter()

    def advance(self, done: int, *_: object) -> None:
        """Take no notice."""

    def say(self, text: str) -> None:
        """Show what an operator should see."""
        print(f"  {text}", file=sys.stderr)

    def rest(self) -> None:
        """Close the phase: a command ended."""
        self.close()

    def close(self) -> None:
        """Note the last phase."""
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + time.perf_counter() - self._begun
        self._name = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A recorded bundle, and the references of what the server made of its entries ("" where it made nothing)."""

    bundle: str
    made: tuple[str, ...]


def main() -> None:
    """Record once, then load and replay on each server, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--servers", nargs="+", default=["embedded", "hapi"], choices=("embedded", "hapi"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        persons = max(50, arguments.rows // _ROWS_A_PERSON)
        generate(work, Region(arguments.seed, persons, "A", Rates()))
        runner = Runner(work, work / "puskesmas.csv", arguments.rows, arguments.in_flight)
        with recording() as exchanges:
            runner.load(_EMBEDDED)
        entries = sum(len(exchange.made) for exchange in exchanges)
        print(
            f"{arguments.rows:,} rows: {len(exchanges)} bundles with {entries:,} entries, {arguments.in_flight} in flight"
        )
        for name in arguments.servers:
            software = _EMBEDDED if name == "embedded" else HAPI_PLAIN
            if name != "embedded" and software.missing():
                print(f"{name}: left out, {software.missing()}")
            else:
                compare(runner, software, exchanges)


class Runner:
    """Runs loads and replays, each on a fresh server with a ledger of its own."""

    def __init__(self, work: Path, file: Path, rows: int, in_flight: int) -> None:
        self._work = work
        self._file = file
        self._rows = rows
        self._in_flight = in_flight
        self._homes = itertools.count()

    @contextmanager
    def server(self, software: Software) -> Iterator[str]:
        """Start a fresh server in a fresh working folder and yield its base URL."""
        home = self._work / f"home-{next(self._homes)}"
        (home / "environments").mkdir(parents=True)
        os.environ["FHIR_GATEWAY_HOME"] = str(home)
        running = RunningServer(software, home / "server.log")
        running.start()
        try:
            yield running.base_url
        finally:
            running.stop()

    def load(self, software: Software) -> tuple[float, dict[str, float]]:
        """Return the seconds of a load, with those of its phases."""
        with self.server(software) as base_url:
            settings = f'[fhir_server]\nbase_url = "{base_url}"\nmax_in_flight = {self._in_flight}\n'
            Path(os.environ["FHIR_GATEWAY_HOME"], "environments", "bench.toml").write_text(settings, encoding="utf-8")
            started = time.perf_counter()
            phases = Phases()
            with bootstrap.opened("bench", phases) as gateway:
                inputs = gateway.inputs([self._file], mapping="", clinic="")
                run = gateway.load(LoadRequest(inputs, user="bench", limit=self._rows))
                seconds = time.perf_counter() - started
                phases.close()
                failed = {o.value: n for o, n in gateway.summary(run).outcomes.items() if o.value == "failed" and n}
        if failed:
            raise SystemExit(f"the load went wrong: {failed}")
        return seconds, phases.seconds

    def replay(self, software: Software, exchanges: list[Exchange]) -> float:
        """Return the seconds of a blind replay."""
        with self.server(software) as base_url:
            httpx.get(f"{base_url}/metadata", timeout=60).raise_for_status()
            started = time.perf_counter()
            asyncio.run(_replay(base_url, exchanges, self._in_flight))
            return time.perf_counter() - started


def compare(runner: Runner, software: Software, exchanges: list[Exchange]) -> None:
    """Print one server's load and replay, and where the load's time goes."""
    blind = runner.replay(software, exchanges)
    seconds, phases = runner.load(software)
    begun = time.perf_counter()
    subprocess.run([*_COMMAND, "load", "--help"], check=True, capture_output=True)
    start_up = time.perf_counter() - begun
    seconds += start_up
    phases = {"start-up": start_up, **phases}
    parts = ", ".join(f"{name} {each:.1f}" for name, each in phases.items())
    print(
        f"{software.name:10} load {seconds:6.1f} s, blind replay {blind:6.1f} s, ratio {seconds / blind:.2f}   ({parts})",
        flush=True,
    )


@contextmanager
def recording() -> Iterator[list[Exchange]]:
    """Record every bundle that is posted over HTTP meanwhile, in the order of the answers."""
    exchanges: list[Exchange] = []
    send = httpx.AsyncHTTPTransport.handle_async_request

    async def record(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        response = await send(transport, request)
        await response.aread()
        body = request.content
        if request.method == "POST" and body[:1] == b"{":
            exchanges.append(Exchange(body.decode(), _made(response.json())))
        headers = {
            name: text for name, text in response.headers.items() if name in {"content-type", "etag", "location"}
        }
        return httpx.Response(response.status_code, headers=headers, content=response.content)

    with patch.object(httpx.AsyncHTTPTransport, "handle_async_request", record):
        yield exchanges


def _made(answer: dict[str, Any]) -> tuple[str, ...]:
    locations = [entry.get("response", {}).get("location", "") for entry in answer.get("entry", [])]
    return tuple(found[0] if (found := _REFERENCE.search(location)) else "" for location in locations)


async def _replay(base_url: str, exchanges: list[Exchange], in_flight: int) -> None:
    maker = {
        made: number for number, exchange in reversed(list(enumerate(exchanges))) for made in exchange.made if made
    }
    finished = [asyncio.Event() for _ in exchanges]
    slots = asyncio.Semaphore(in_flight)
    names: dict[str, str] = {}

    async def post(number: int, exchange: Exchange) -> None:
        for needed in {maker.get(name, number) for name in _REFERENCE.findall(exchange.bundle)}:
            if needed < number:
                await finished[needed].wait()
        bundle = _REFERENCE.sub(lambda found: names.get(found[0], found[0]), exchange.bundle)
        async with slots:
            response = await client.post(base_url, content=bundle.encode(), headers=_ACCEPT)
        given = _made(orjson.loads(response.raise_for_status().content))
        names.update({name: new for name, new in zip(exchange.made, given, strict=True) if name and new})
        finished[number].set()

    async with httpx.AsyncClient(timeout=120) as client, asyncio.TaskGroup() as tasks:
        for number, exchange in enumerate(exchanges):
            tasks.create_task(post(number, exchange))


if __name__ == "__main__":
    main()
