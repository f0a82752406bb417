"""Exports under faults: killed at every checkpoint, a server that goes away, restarts, what changes behind their back."""

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.fakes.disturbed_server import BASE, DisturbedServer
from tests.flows.registry.conftest import Region
from tests.flows.registry.exporting import KUTASARI, dose, person

from fhir_gateway.domain.exports import Checkpoint, ExportState, FileKind
from fhir_gateway.domain.registry import PullKind, Request
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.client import Request as ServerRequest
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter
from fhir_gateway.flows.registry.exporting import ExportTools, export, walking
from fhir_gateway.flows.registry.exporting.past import transaction_time
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.registry.exports import ExportOrder, Level, TypeFilter
from fhir_gateway.registry.parameters import SEARCHES, parse_search
from fhir_gateway.serving.environments import Serving
from fhir_gateway.serving.exporting.files import NdjsonFiles, held
from fhir_gateway.serving.exporting.jobs import ExportTerms, ServedExports
from fhir_gateway.serving.exporting.sources import EmbeddedStock, LedgerGroups
from fhir_gateway.settings import load_environment

KILLED = str(Path(__file__).with_name("killed_export.py"))
TYPES = ("Organization", "Patient", "Immunization")
EVERYTHING = ExportOrder(Level.SYSTEM, TYPES)
GROUP = ExportOrder(Level.GROUP, TYPES, group="clinic-pkm-1")
SINCE = replace(GROUP, since=datetime(2024, 1, 1, tzinfo=UTC))
FILTERED = replace(
    EVERYTHING,
    filters=(
        TypeFilter(
            "Immunization", parse_search("Immunization", [("lot-number", "LOT")], served=SEARCHES["Immunization"])
        ),
    ),
)
NARROWED = replace(EVERYTHING, elements=("status", "birthDate"))
NAMED = replace(EVERYTHING, level=Level.PATIENT)


class Clock:
    """Real time, and a minute more at each look."""

    def __init__(self):
        self.looks = 0

    def now(self):
        self.looks += 1
        return datetime.now(UTC) + timedelta(minutes=self.looks)


class Place:
    """An environment's server behind a wire that tests disturb, its ledger, and folders for exports."""

    def __init__(self, folder, wire, client, ledger):
        self.folder, self.wire, self.client, self.ledger = folder, wire, client, ledger
        self.reader = ServerReader(client)
        self.history = ServerHistory(client, self.reader)
        self.server = RegistryTools(self.reader, ServerPuller(client), Clock())
        self.region = Region(self.server, ServerWriter(client, self.reader))
        self.saved = []

    def tools(self, name, *, save=None, stock=False, history=None):
        files = NdjsonFiles(self.folder / name, most_lines=3)
        kept = EmbeddedStock(self.wire.server) if stock else None
        groups = LedgerGroups(self.ledger)
        save = save or self.saved.append
        return ExportTools(self.server, history or self.history, groups, files, save, page=2, stock=kept)

    def content(self, name, done):
        """Return the exported resources by id; none stands twice."""
        texts = [(self.folder / name / one.name).read_text() for one in done.files if one.kind is FileKind.OUTPUT]
        read = [json.loads(line) for text in texts for line in text.splitlines()]
        assert sum(one.count for one in done.files if one.kind is FileKind.OUTPUT) == len(read)
        found = {one["id"]: one for one in read}
        assert len(found) == len(read)
        return found

    async def delete(self, resource_type, resource_id):
        assert (await self.client.send(ServerRequest("DELETE", f"{resource_type}/{resource_id}"))).status == 204

    def exports(self, **terms):
        settings = load_environment("embedded", self.folder)
        settings = replace(settings, embedded_data=None)
        terms = ExportTerms(
            9, timedelta(days=900), **({"patience": 0, "pause": 60, "sleep": self.wire.time.sleep} | terms)
        )
        return ServedExports(settings, self.ledger, self.client, self.reader, clock=Clock(), terms=terms)


@pytest.fixture
async def place(tmp_path, monkeypatch):
    monkeypatch.setattr(walking, "_PAGES_BETWEEN_CHECKPOINTS", 1)
    wire = DisturbedServer(tmp_path / "server")
    client = FhirClient(FhirServerPolicy(BASE, wait_for_server=60), transport=wire, timing=wire.time.timing())
    ledger = Ledger(load_environment("embedded", tmp_path).ledger_url)
    async with client:
        yield Place(tmp_path, wire, client, ledger)
    ledger.close()
    wire.server.close()


@pytest.fixture
async def people(place):
    """Five people with a dose each; of the second clinic every other."""
    ids = [await place.region.create(person(n)) for n in range(1, 5)]
    ids.append(await place.region.create(person(5, KUTASARI)))
    for n, one in enumerate(ids):
        await place.region.create(dose(one, n, ("pkm-1", "rs-a")[n % 2]))
    return ids


async def doses_of(place):
    found = [one async for one in place.reader.search("Immunization", {"status": ["completed"]})]
    return sorted(found, key=lambda one: one["meta"]["lastUpdated"])


@pytest.mark.parametrize("order", [EVERYTHING, GROUP, SINCE, FILTERED, NARROWED])
async def test_the_servers_own_bytes_are_what_searches_find(place, people, order):
    asked = place.content("asked", await export(order, place.tools("asked"), Checkpoint()))
    passed = place.content("passed", await export(order, place.tools("passed", stock=True), Checkpoint()))
    assert passed == asked
    assert len(asked) == (6 if order.level is Level.GROUP else 10)


@pytest.mark.parametrize(("order", "stock"), [(EVERYTHING, True), (SINCE, False), (NAMED, False)])
async def test_killed_at_any_checkpoint_it_ends_as_undisturbed(place, people, order, stock):
    if order is NAMED:
        order = replace(order, patients=tuple(people[:3]))
    undisturbed = place.content(
        "undisturbed", await export(order, place.tools("undisturbed", stock=stock), Checkpoint())
    )
    saves = len(place.saved)
    for fatal in range(1, saves + 1, 1 if stock else 2):
        kept = [Checkpoint()]

        def save(done, fatal=fatal, kept=kept):
            kept.append(done)
            if len(kept) == fatal + 1:
                raise KeyboardInterrupt

        name = f"killed-{fatal}"
        with pytest.raises(KeyboardInterrupt):
            await export(order, place.tools(name, save=save, stock=stock), Checkpoint())
        (place.folder / name).joinpath("half.ndjson").write_bytes(b'{"resourceType":')  # what was never settled
        done = await export(order, place.tools(name, save=kept.append, stock=stock), kept[-1])
        assert place.content(name, done) == undisturbed
        assert {one.name for one in (place.folder / name).glob("*")} == {one.name for one in done.files}
    assert saves > 6


async def test_files_that_are_gone_let_it_begin_anew(place, people):
    whole = await export(EVERYTHING, place.tools("one"), Checkpoint())
    for path in (place.folder / "one").glob("*.ndjson"):
        path.unlink()
    done = await export(EVERYTHING, place.tools("one"), replace(whole, step=3))
    assert len(place.content("one", done)) == 10


async def begun(place):
    """Return a checkpoint behind the first step: what follows happens behind the export's back."""
    moment = await transaction_time(TYPES, place.tools("any"))
    return Checkpoint(step=1, transaction_time=moment)


@pytest.mark.parametrize("stock", [False, True])
async def test_everything_is_as_it_was_at_the_transaction_time(place, people, stock):
    first, second, *_ = before = await doses_of(place)
    start = await begun(place)
    await place.region.put(first | {"status": "entered-in-error"})
    await place.delete("Immunization", second["id"])
    late = await place.region.create(dose(people[0], 99))
    found = place.content("then", await export(EVERYTHING, place.tools("then", stock=stock), start))
    assert set(found) == {*people, *(one["id"] for one in before)}
    assert found[first["id"]]["status"] == "completed"
    assert late not in found


async def test_what_changes_when_it_was_exported_already_is_not_exported_twice(place, people):
    before = await doses_of(place)
    start = await begun(place)
    done = None

    def save(checkpoint):
        nonlocal done
        done = checkpoint

    await export(EVERYTHING, place.tools("then", save=save), start)
    last = replace(done, step=done.step - 1)  # the step that looks for what was overtaken, once more
    await place.region.put(before[0] | {"status": "entered-in-error"})
    found = place.content("then", await export(EVERYTHING, place.tools("then"), last))
    assert found[before[0]["id"]]["status"] == "completed"


class NoHistory:
    """A server that remembers nothing."""

    async def is_kept(self, resource_type):
        return False


async def test_without_a_history_nothing_later_is_exported_and_no_deletion_told(place, people):
    first, second, *_ = before = await doses_of(place)
    start = await begun(place)
    await place.region.put(first | {"status": "entered-in-error"})
    await place.delete("Immunization", second["id"])
    order = replace(EVERYTHING, since=datetime(2024, 1, 1, tzinfo=UTC))
    done = await export(order, place.tools("then", history=NoHistory()), start)
    assert set(place.content("then", done)) == {*people, *(one["id"] for one in before[2:])}
    assert not any(one.kind is FileKind.DELETED for one in done.files)


async def test_elsewhere_the_moment_is_as_long_ago_as_the_server_may_need(place):
    tools = place.tools("any")
    tools = replace(tools, server=replace(tools.server, settling=timedelta(seconds=2)))
    now = datetime.now(UTC)
    assert await transaction_time(TYPES, tools) >= now + timedelta(seconds=50)  # by the clock of the gateway


def asked(client="c-1"):
    return Request(client, "t-1", PullKind.EXPORT, "x", b"", "127.0.0.1", datetime.now(UTC))


async def test_a_server_that_comes_back_is_waited_for(place, people):
    down = 3

    def before(_):
        nonlocal down
        if place.wire.time.seconds < 5000 and down:
            place.wire.time.seconds += 100  # longer than its client waits
            down -= 1
            raise httpx.ConnectError("down")

    place.wire.before = before
    exports = place.exports()
    job = await exports.kick_off(EVERYTHING, asked(), url="u")
    await exports.wait()
    done = place.ledger.exports.get(job.id)
    assert done.state is ExportState.FINISHED
    assert not [one for one in done.checkpoint.files if one.kind is FileKind.ERROR]
    assert sum(one.count for one in done.checkpoint.files) == 10


async def test_a_type_that_cannot_be_read_is_told_and_the_others_are_exported(place, people):
    def before(request):
        return httpx.Response(400) if "Immunization" in request.url.path else None

    place.wire.before = before
    exports = place.exports()
    job = await exports.kick_off(EVERYTHING, asked(), url="u")
    await exports.wait()
    done = place.ledger.exports.get(job.id)
    found = [(one.kind, one.resource_type, one.count) for one in done.checkpoint.files]
    assert found == [(FileKind.OUTPUT, "Patient", 5), (FileKind.ERROR, "OperationOutcome", 1)]


async def test_a_server_lost_in_the_middle_for_too_long_is_told_in_an_error_file(place, people):
    def before(request):
        if "Immunization" in request.url.path:
            place.wire.time.seconds += 100
            raise httpx.ConnectError("down")

    place.wire.before = before
    exports = place.exports(patience=150)
    job = await exports.kick_off(replace(EVERYTHING, types=("Patient", "Immunization")), asked(), url="u")
    await exports.wait()
    done = place.ledger.exports.get(job.id)
    assert done.state is ExportState.FINISHED
    (error,) = [one for one in done.checkpoint.files if one.kind is FileKind.ERROR]
    folder = load_environment("embedded", place.folder).folder / "exports" / job.id
    (line,) = (folder / error.name).read_text().splitlines()
    assert json.loads(line)["issue"][0]["diagnostics"].startswith("Immunization is not in this export: The FHIR server")
    assert {one.resource_type for one in done.checkpoint.files if one.kind is FileKind.OUTPUT} == {"Patient"}


async def test_what_is_under_way_when_the_gateway_stops_goes_on_when_it_starts_again(place, people, monkeypatch):
    stopped = asyncio.Event()

    async def stuck(*_):
        stopped.set()
        await asyncio.Event().wait()

    first = place.exports()
    with monkeypatch.context() as patched:
        patched.setattr("fhir_gateway.serving.exporting.working.export", stuck)
        job = await first.kick_off(EVERYTHING, asked(), url="u")
        await stopped.wait()
        await first.close()
    assert place.ledger.exports.get(job.id).state is ExportState.RUNNING
    second = place.exports()
    second.go_on()
    await second.wait()
    await second.close()
    assert place.ledger.exports.get(job.id).state is ExportState.FINISHED
    assert [one.count for one in place.ledger.pulls.all()] == [10]


async def test_two_servers_do_not_work_on_one_export(place, people, monkeypatch):
    first = place.exports()
    folder = load_environment("embedded", place.folder).folder / "exports"
    monkeypatch.setattr("secrets.token_hex", lambda size: "ab" * size)
    with held(folder / ("ab" * 24)) as alone:
        assert alone
        job = await first.kick_off(EVERYTHING, asked(), url="u")
        for _ in range(50):
            await asyncio.sleep(0)
        assert place.ledger.exports.get(job.id).checkpoint == Checkpoint()
        monkeypatch.undo()
    await first.wait()
    assert place.ledger.exports.get(job.id).state is ExportState.FINISHED


async def test_a_cancelled_export_leaves_nothing(place, people):
    exports = place.exports()
    job = await exports.kick_off(EVERYTHING, asked(), url="u")
    await asyncio.sleep(0)
    await exports.cancel(job)
    assert exports.get(job.id, client="c-1") is None
    assert not list((load_environment("embedded", place.folder).folder / "exports").glob("*"))


async def test_a_finished_export_expires_with_its_files(place, people):
    exports = place.exports()
    job = await exports.kick_off(EVERYTHING, asked(), url="u")
    await exports.wait()
    assert exports.get(job.id, client="c-1")
    later = place.exports()
    later._terms = replace(later._terms, kept_for=timedelta(days=-1))
    assert later.get(job.id, client="c-1") is None
    later.go_on()
    await later.close()
    assert place.ledger.exports.get(job.id) is None
    assert not list((load_environment("embedded", place.folder).folder / "exports").glob("*"))


async def test_a_fault_of_the_program_is_told_without_what_it_says(place, people, monkeypatch, caplog):
    async def broken(*_):
        raise RuntimeError("Contoh Rekaan")

    monkeypatch.setattr(ServerPuller, "page", broken)
    exports = place.exports()
    job = await exports.kick_off(EVERYTHING, asked(), url="u")
    await exports.wait()
    done = place.ledger.exports.get(job.id)
    assert (done.state, done.checkpoint.failed) == (ExportState.FINISHED, TYPES)
    folder = load_environment("embedded", place.folder).folder / "exports" / job.id
    told = "".join(path.read_text() for path in folder.glob("*.ndjson"))
    assert "a fault of the program" in told
    assert "Contoh" not in told + caplog.text


@pytest.mark.parametrize("fatal", [2, 5])
async def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path, fatal):
    async with Serving(tmp_path) as serving:
        environment = await serving.environment("embedded")
        region = Region(RegistryTools(environment.reader, None, Clock()), environment.writer)
        ids = [await region.create(person(n)) for n in range(1, 4)]
        ids += [await region.create(dose(one, n)) for n, one in enumerate(ids)]
    command = [sys.executable, KILLED, str(tmp_path), str(fatal)]
    killed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    job_id = killed.stdout.strip()
    async with Serving(tmp_path) as serving:
        await serving.go_on()
        environment = await serving.environment("embedded")
        await environment.exports.wait()
        job = environment.exports.get(job_id, client="c-1")
        folder = environment.settings.folder / "exports" / job_id
        text = "".join((folder / one.name).read_text() for one in job.checkpoint.files)
    assert job.state is ExportState.FINISHED
    assert sorted(json.loads(line)["id"] for line in text.splitlines()) == sorted(ids)
