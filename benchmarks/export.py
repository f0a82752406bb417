"""Prints Immunizations a second from the embedded server to NDJSON, peak memory, and how fast searches are answered.

    python benchmarks/export.py [--doses 200000] [--searches 3000] [--clients 50] [--pause 1]
        [--home FOLDER]

A working folder is filled with invented people and doses (one person to five doses, in the shape of the sample bundles).
`serve` runs on it as a process of its own; a registered client kicks off `$export?_type=Immunization`, polls, and the
time is that between kick-off and the end of the job as the ledger has it. The peak is the process's own high-water mark
(VmHWM) after the export and after one file was fetched. Beside it stands the blind read: the same rows read from the
embedded server's database in the same order and written to a file, nothing else. Then clients search for the doses of
one person at a time, each over a connection of its own: first each at once after the other's answer (closed loop), then
with a pause between, half to one and a half times as long as asked for.
"""

import argparse
import asyncio
import json
import os
import random
import sqlite3
import ssl
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import load_environment

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("fhir-gateway")
DOSES_OF_ONE = 5
TOGETHER = 1000
SETTINGS = """\
[fhir_server]
base_url = "embedded"
[registry]
requests_per_minute = 1000000
"""
ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}


def fill(home: Path, doses: int) -> None:
    """Put people and doses on the embedded server of the environment `bench`."""
    bundle = orjson.loads((ROOT / "sample_bundles" / "puskesmas.json").read_bytes())
    made: dict[str, list[dict[str, Any]]] = {}
    for entry in bundle["entry"]:
        made.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    people = max(doses // DOSES_OF_ONE, 1)
    folder = load_environment("bench", home).embedded_data
    if folder is None:
        raise SystemExit("the environment of the benchmark must be on the embedded server")
    server = EmbeddedServer(folder)
    patients = (made["Patient"][n % len(made["Patient"])] | {"id": f"p{n}"} for n in range(people))
    send(server, patients)
    send(server, (_dose(made["Immunization"], n, people) for n in range(doses)))
    server.close()


def _dose(templates: list[dict[str, Any]], number: int, people: int) -> dict[str, Any]:
    identifier = [{"system": "urn:fhir-gateway:dose", "value": f"{number:032x}"}]
    patient = {"reference": f"Patient/p{number * 7919 % people}"}
    own = {"id": f"d{number}", "identifier": identifier, "patient": patient}
    return templates[number % len(templates)] | own


def send(server: EmbeddedServer, resources: Iterator[dict[str, Any]]) -> None:
    """Write resources in batches; raises SystemExit where one is refused."""
    entries: list[dict[str, Any]] = []
    for resource in resources:
        url = f"{resource['resourceType']}/{resource['id']}"
        entries.append({"resource": resource, "request": {"method": "PUT", "url": url}})
        if len(entries) == TOGETHER:
            _post(server, entries)
            entries = []
    if entries:
        _post(server, entries)


def _post(server: EmbeddedServer, entries: list[dict[str, Any]]) -> None:
    body = orjson.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})
    answer = server.handle("POST", "", headers={"Content-Type": "application/fhir+json"}, body=body)
    said = orjson.loads(answer.body)["entry"] if answer.status == 200 else []
    if len(said) != len(entries) or not all(one["response"]["status"].startswith("20") for one in said):
        raise SystemExit("the embedded server refused what the benchmark fills it with")


def blind(home: Path, target: Path) -> tuple[int, float]:
    """Return how many rows the database gave in order, written to a file, and the seconds that took."""
    folder = load_environment("bench", home).embedded_data
    sql = "SELECT body FROM resource WHERE type = 'Immunization' AND body IS NOT NULL ORDER BY updated"
    began, rows = time.perf_counter(), 0
    connection = sqlite3.connect(f"{folder}/fhir.db")
    with target.open("wb") as file:
        for (body,) in connection.execute(sql):
            file.write(body + b"\n")
            rows += 1
        os.fsync(file.fileno())
    connection.close()
    return rows, time.perf_counter() - began


@contextmanager
def served(home: Path) -> Iterator[tuple[str, int]]:
    """Serve the folder; gives the URL and the process's id."""
    environment = os.environ | {"FHIR_GATEWAY_HOME": str(home)}
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield line.split()[-1], process.pid
    finally:
        process.terminate()
        process.wait(60)


class Client:
    """A registered client of the environment."""

    def __init__(self, home: Path, url: str) -> None:
        self.base = f"{url}/bench/fhir"
        self._key = ECKey.generate_key("P-384", {"kid": "k-1", "alg": "ES384"})
        keys = home / "client.jwks"
        keys.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        environment = os.environ | {"FHIR_GATEWAY_HOME": str(home)}
        added = [COMMAND, "registry", "client", "add", "Bench", "--jwks", str(keys), "--env", "bench"]
        self.id = subprocess.run(added, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    async def headers(self, http: httpx.AsyncClient) -> dict[str, str]:
        """Return the headers with a new token."""
        claims = {"iss": self.id, "sub": self.id, "aud": f"{self.base}/auth/token", "exp": int(time.time()) + 200}
        claims |= {"jti": uuid.uuid4().hex}
        form = {
            "grant_type": "client_credentials",
            "scope": "system/Immunization.rs system/Patient.rs",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode({"alg": "ES384", "kid": "k-1"}, claims, self._key, algorithms=["ES384"]),
        }
        answer = await http.post(f"{self.base}/auth/token", data=form)
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


async def export(client: Client, home: Path, process: int) -> tuple[int, float, float, float]:
    """Export all doses; return their number, the seconds of the job, its CPU seconds, and those of fetching one file."""
    async with httpx.AsyncClient(timeout=120, trust_env=False) as http:
        headers = await client.headers(http)
        used = cpu(process)
        kicked = await http.get(f"{client.base}/$export?_type=Immunization", headers=headers | ASYNC)
        location = kicked.raise_for_status().headers["Content-Location"]
        status = await http.get(location, headers=headers)
        for _ in range(3600):
            if status.status_code != 202:
                break
            await asyncio.sleep(1)
            status = await http.get(location, headers=headers)
        used = cpu(process) - used
        manifest = status.raise_for_status().json()
        with Ledger(load_environment("bench", home).ledger_url) as ledger:
            *_, job = ledger.exports.all()
        seconds = (job.finished - job.created).total_seconds() if job.finished else float("nan")
        began = time.perf_counter()
        async with http.stream("GET", manifest["output"][0]["url"], headers=headers) as file:
            async for _ in file.aiter_raw():
                pass
        return sum(one["count"] for one in manifest["output"]), seconds, used, time.perf_counter() - began


def peak(process: int) -> float:
    """Return a process's high-water mark in MiB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


async def search(client: Client, *, searches: int, clients: int, pause: float, people: int) -> list[float]:
    """Return the seconds of each search for one person's doses; every client has a connection of its own."""
    chance = random.Random(7)
    asked = iter([chance.randrange(people) for _ in range(searches)])
    seconds: list[float] = []
    tls = ssl.create_default_context()  # once: nothing here is encrypted, and each would take a while to make
    # Shorter than the server keeps a connection that is not used, or one could be closed while it is taken.
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=4)

    async def visit(offset: float, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(timeout=120, trust_env=False, limits=limits, verify=tls, headers=headers) as http:
            await asyncio.sleep(offset)
            for one in asked:
                began = time.perf_counter()
                answer = await http.get(f"{client.base}/Immunization?patient=Patient/p{one}")
                seconds.append(time.perf_counter() - began)
                answer.raise_for_status()
                if pause:
                    await asyncio.sleep(pause * (0.5 + chance.random()))

    async with httpx.AsyncClient(timeout=120, trust_env=False, verify=tls) as http:
        headers = await client.headers(http)
    await asyncio.gather(*(visit(pause * n / clients, headers) for n in range(clients)))
    return seconds


def cpu(process: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(name: str, seconds: list[float], took: float) -> str:
    """Return the percentiles of searches in words."""
    cuts = statistics.quantiles(seconds, n=100)
    return f"{name}: p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms ({len(seconds) / took:.0f} searches/s)"


async def measure(arguments: argparse.Namespace, home: Path) -> None:
    """Measure and print."""
    rows, took = blind(home, home / "blind.ndjson")
    print(f"blind read of the same rows: {rows / took:,.0f}/s")
    with served(home) as (url, process):
        client = Client(home, url)
        before = peak(process)
        count, seconds, used, fetched = await export(client, home, process)
        print(
            f"export: {count:,} Immunizations in {seconds:.1f} s, {count / seconds:,.0f}/s, {used:.1f} s of CPU, peak {peak(process):.0f} MiB"
            f" ({before:.0f} MiB before it); a file fetched in {fetched:.1f} s"
        )
        for name, pause in (
            ("searches, closed loop", 0.0),
            (f"searches, {arguments.pause} s between", arguments.pause),
        ):
            began, used = time.perf_counter(), cpu(process)
            found = await search(
                client,
                searches=arguments.searches,
                clients=arguments.clients,
                pause=pause,
                people=max(arguments.doses // DOSES_OF_ONE, 1),
            )
            took, used = time.perf_counter() - began, cpu(process) - used
            print(f"{told(name, found, took)}, {used / len(found) * 1000:.1f} ms of the server's CPU each")


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doses", type=int, default=200_000)
    parser.add_argument("--searches", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between a client's searches, on average")
    parser.add_argument(
        "--home", type=Path, help="a folder that is filled and kept; filled already, it is used as it is"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = arguments.home or Path(folder)
        if not (home / "environments").exists():
            (home / "environments").mkdir(parents=True)
            (home / "environments" / "bench.toml").write_text(SETTINGS)
            began = time.perf_counter()
            fill(home, arguments.doses)
            print(f"filled in {time.perf_counter() - began:.0f} s")
        asyncio.run(measure(arguments, home))


if __name__ == "__main__":
    main()
