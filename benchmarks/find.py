"""Prints how fast duplicates are found among a server's Patients, and how many of them.

    python benchmarks/find.py [--patients 100000] [--read 5000] [--seed 1] [--processes N]

The finding itself is measured on invented Patients that are handed over as pages, without a server: making evidence and
blocking keys of each, who shares a NIK, who is likely one person. Pages are made beforehand and kept in a file. Reading
is measured apart, on the embedded server over HTTP's own code but without a socket; other servers are slower. About 3 %
of the people stand there twice with a NIK in common and 2 % without, written otherwise; families, twins and namesakes
stand beside them. A million Patients take about 1.2 GB of disk in the folder for temporary files.
"""

import argparse
import asyncio
import resource
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO

import orjson
from duplicates import bundle_of
from registered import is_one_person, patients

from fhir_gateway.bootstrap.collecting import few_collections
from fhir_gateway.bootstrap.finding import find_tools
from fhir_gateway.bootstrap.finding_workers import Workers
from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.flows.merge.finding.likely import find_likely
from fhir_gateway.flows.merge.finding.registering import PAGE, look_through, register
from fhir_gateway.flows.merge.finding.shared import find_sharing
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.ledger.finding_store import finding_store
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import EMBEDDED, load_environment

BUNDLE = 500


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=5_000, help="so many are read from the embedded server; 0: none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, help="as many as there are processors if not given")
    arguments = parser.parse_args(words)
    with few_collections():  # as the command does
        asyncio.run(run(arguments.patients, arguments.read, arguments.seed, arguments.processes))


async def run(count: int, read: int, seed: int, processes: int | None) -> None:
    with TemporaryDirectory() as name, closing(EmbeddedServer(Path(name) / "server")) as server:
        environment = load_environment(EMBEDDED, Path(name))
        with Ledger(environment.ledger_url) as ledger, finding_store(Path(name)) as store:
            async with FhirClient(environment.fhir_server, transport=EmbeddedTransport(server)) as client:
                tools = find_tools(client, ledger, environment, store=store, progress=Quiet())
                if read:
                    await measure_reading(server, tools, read, seed)
                await measure_finding(tools, count, seed, processes)


class Quiet:
    """Shows nothing (ports.Progress)."""

    def phase(self, name: str, total: int | None = None) -> None: ...

    def advance(self, done: int, share: float | None = None) -> None: ...


class Watch:
    """Adds up what a stretch of work takes; CPU seconds beside those on the wall, as other programs may run."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._wall = self._cpu = 0.0

    def __enter__(self) -> None:
        self._wall -= time.perf_counter()
        self._cpu -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self._wall += time.perf_counter()
        self._cpu += time.process_time()

    def tell(self) -> None:
        rate = self._count / max(self._wall, 1e-6)
        print(f"{self._name:<42}{self._wall:8.1f} s {self._cpu:8.1f} s CPU {rate:12,.0f} Patients/s", flush=True)


async def measure_reading(server: EmbeddedServer, tools: FindTools, count: int, seed: int) -> None:
    people = patients(count, seed=seed)
    while together := list(islice(people, BUNDLE)):
        headers = {"content-type": "application/fhir+json"}
        server.handle("POST", "", query="", headers=headers, body=bundle_of(together), base=BASE_URL)
    watch = Watch(f"read {count:,} from the embedded server", count)
    with watch:
        await register(tools, likely=True)
    watch.tell()


async def measure_finding(tools: FindTools, count: int, seed: int, processes: int | None) -> None:
    with TemporaryFile() as made:
        twice = make_pages(made, count, seed)
        begun = resource.getrusage(resource.RUSAGE_CHILDREN)
        watch = Watch("NIKs alone (--shared-only)", count)
        with watch:
            only = await look_through(pages_in(made), tools, likely=False)
        watch.tell()
        watch = Watch("who shares a NIK (--shared-only)", count)
        with watch:
            await find_sharing(only, tools)
        watch.tell()
        async with Workers(processes=processes) as workers:
            found, notes = await measure_all(made, replace(tools, workers=workers), count)
    tell_found(found, twice)
    for note in notes:
        print(note)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"the other processes took {ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime:,.1f} s CPU")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB", end="")
    print(f", of each other process {ended.ru_maxrss / 1024:,.0f} MiB at most")


async def measure_all(made: BinaryIO, tools: FindTools, count: int) -> tuple[list[Found], Sequence[str]]:
    watch = Watch("evidence and blocking keys", count)
    with watch:
        registered = await look_through(pages_in(made), tools, likely=True)
    watch.tell()
    watch = Watch("who shares a NIK", count)
    with watch:
        shared, _ = await find_sharing(registered, tools)
    watch.tell()
    watch = Watch("likely duplicates", count)
    with watch:
        likely = await find_likely(registered, tools, shared)
    watch.tell()
    alone = [one for one in shared if one.group.patient_ids not in likely.joined]
    return [*alone, *likely.found], likely.notes


def make_pages(made: BinaryIO, count: int, seed: int) -> int:
    """Write the Patients page by page; return how many people stand there twice."""
    everybody = patients(count, seed=seed)
    twice, before = 0, ""
    while page := list(islice(everybody, PAGE)):
        for patient in page:
            twice += bool(before) and is_one_person(before, patient["id"])
            before = patient["id"]
        made.write(orjson.dumps(page) + b"\n")
    return twice


async def pages_in(made: BinaryIO) -> AsyncGenerator[list[Resource]]:
    made.seek(0)
    for page in made:
        yield orjson.loads(page)


def tell_found(found: Sequence[Found], twice: int) -> None:
    """Print the groups by kind, and how many of the pairs that are one person stand in one."""
    right: set[tuple[str, ...]] = set()
    for kind in FoundKind:
        groups = [one for one in found if one.kind is kind]
        pairs = [pair for one in groups for pair in combinations(one.group.patient_ids, 2)]
        true = [pair for pair in pairs if is_one_person(*pair)]
        certain = sum(one.group.grade is Grade.CERTAIN for one in groups)
        wrong = sum(not is_one_person(*one.group.patient_ids[:2]) for one in groups if one.group.grade is Grade.CERTAIN)
        right |= set(true)
        if groups:
            told = f"{len(groups):,} groups, {certain:,} of them certain, of which {wrong} are two people"
            print(f"{kind.value:<12}{told}; {len(true):,} of {len(pairs):,} pairs are one person")
    print(f"found {len(right):,} of the {twice:,} people who stand there twice")


if __name__ == "__main__":
    main()
