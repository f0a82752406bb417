"""Bulk exports as a server offers them: jobs beside everything else, which survive it, and the files they leave."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from fhir_gateway.bootstrap.registry_recalls import look_for_withdrawn
from fhir_gateway.domain.errors import (
    GatewayError,
    LedgerError,
    PageExpiredError,
    PermanentServerError,
    ServerError,
    TransientServerError,
)
from fhir_gateway.domain.exports import Checkpoint, ExportFile, ExportJob, ExportState, FileKind
from fhir_gateway.domain.registry import Request
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.flows.registry.exporting import ExportTools, export, give_up
from fhir_gateway.flows.registry.grouping import refresh_groups
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Clock
from fhir_gateway.registry.exports import ExportOrder, from_json, to_json
from fhir_gateway.serving.exporting.files import NdjsonFiles, held, remove
from fhir_gateway.serving.exporting.giving import Given
from fhir_gateway.serving.exporting.sources import EmbeddedStock, LedgerGroups
from fhir_gateway.serving.request_rates import RequestRates
from fhir_gateway.settings import Environment

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds until an export that could not go on is tried again."""
SWEEP_EVERY = 600.0
"""Seconds between looks for exports that have expired, and for copies that were taken back on the server itself."""
MOST_KEPT = 20
"""Exports of one client that are kept at the same time, finished ones included."""
_AT_ONCE = 2
_MOST_POLLS = 10
"""In a second."""


class TooManyExportsError(GatewayError):
    """The client has as many exports as it may; `retry_after` is in whole seconds."""

    def __init__(self, text: str, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(text)


class _CancelledError(Exception):
    """The export was cancelled, here or by another process."""


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """How exports are kept and worked off; times are in seconds, a patience of 0 is for ever.

    `groups_within` is how long somebody waits for groups that are being read.
    """

    at_once: int
    kept_for: timedelta
    patience: float
    pause: float = PAUSE
    groups_within: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class ServedExports:
    """The exports and groups of one environment."""

    def __init__(  # noqa: PLR0913 - an environment's parts
        self,
        settings: Environment,
        ledger: Ledger,
        client: FhirClient,
        reader: ServerReader,
        *,
        clock: Clock,
        embedded: EmbeddedServer | None = None,
        terms: ExportTerms | None = None,
    ) -> None:
        policy = settings.registry
        self._settings = settings
        self._client = client
        self._folder = settings.folder / "exports"
        self._ledger_url = settings.ledger_url
        self._ledger = ledger
        self._clock = clock
        self._terms = terms or ExportTerms(
            policy.exports_at_once, timedelta(hours=policy.export_hours), settings.fhir_server.wait_for_server
        )
        settling = timedelta(0) if settings.embedded_data else timedelta(seconds=policy.settling_seconds)
        self._tools = RegistryTools(reader, ServerPuller(client), clock, settling=settling)
        self._history = ServerHistory(client, reader)
        self._stock = EmbeddedStock(embedded) if embedded else None
        self._groups = LedgerGroups(ledger)
        self._grouping = asyncio.Lock()
        self._kicking = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._polls = RequestRates(window=1.0)
        self.clinics: Mapping[str, str] = {one: entry.name for one, entry in settings.clinics.items()}

    @property
    def kept_for(self) -> timedelta:
        """How long a finished export's files are kept."""
        return self._terms.kept_for

    async def kick_off(self, order: ExportOrder, request: Request, *, url: str) -> ExportJob:
        """Write an export down, as one pull, and begin it; raises TooManyExportsError."""
        async with self._kicking:  # counting and adding belong together
            job = await self._in_thread(lambda ledger: self._written_down(ledger, order, request, url))
        self._begin(job)
        return job

    def _written_down(self, ledger: Ledger, order: ExportOrder, request: Request, url: str) -> ExportJob:
        self._sweep(ledger)
        own = ledger.exports.all(client=request.client)
        running = sum(one.state is ExportState.RUNNING for one in own)
        if running >= self._terms.at_once:
            words = f"{running} exports are under way: wait for one to end, or DELETE its status address"
            raise TooManyExportsError(words, retry_after=30)
        if len(own) >= MOST_KEPT:
            words = f"{len(own)} exports are kept: DELETE the status addresses of those that are fetched"
            raise TooManyExportsError(words, retry_after=600)
        with ledger.transaction():
            pull = ledger.pulls.record(request, count=0)
            job = ExportJob(
                id=secrets.token_hex(24),
                client=request.client,
                pull=pull,
                request=url,
                order=to_json(order),
                state=ExportState.RUNNING,
                created=self._clock.now(),
                checkpoint=Checkpoint(),
            )
            ledger.exports.add(job)
        return job

    async def _in_thread(self, work: Callable[[Ledger], T]) -> T:
        """Write something down in a thread: a commit, or the removal of files, may take as long as the disk likes."""

        def act() -> T:
            with Ledger(self._ledger_url) as ledger:
                return work(ledger)

        return await asyncio.to_thread(act)

    def get(self, job_id: str, *, client: str) -> ExportJob | None:
        """Return a client's export, None for others' and for one that has expired."""
        job = self._ledger.exports.get(job_id)
        return None if job is None or job.client != client or self._is_expired(job) else job

    def poll(self, job: ExportJob) -> int:
        """Count a question for an export's status; return 0, or in how many seconds the next one is welcome."""
        return self._polls.hit(_MOST_POLLS, job.id)

    async def cancel(self, job: ExportJob) -> None:
        """Forget an export and remove its files, under way or done."""
        await self._in_thread(lambda ledger: _drop(ledger, job))
        if task := self._tasks.get(job.id):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(remove, self._folder / job.id)

    def expires(self, job: ExportJob) -> datetime:
        """Return when a finished export's files go."""
        return (job.finished or self._clock.now()) + self._terms.kept_for

    async def given(self, job: ExportJob, file: ExportFile) -> Given:
        """Return a file to be handed out; what is read from it is noted as given to the client."""
        return await asyncio.to_thread(Given, self._folder / job.id / file.name, self._ledger_url, job, self._clock)

    def go_on(self) -> None:
        """Let the exports go on that an earlier server has left, and remove what has expired."""
        self._sweep(self._ledger)
        known = {one.id for one in self._ledger.exports.all()}
        for path in self._folder.glob("*"):
            if path.is_dir() and path.name not in known:
                remove(path)
        for job in self._ledger.exports.all(state=ExportState.RUNNING):
            self._begin(job)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_on())

    def _sweep(self, ledger: Ledger) -> None:
        """Forget the exports that have expired, and remove their files."""
        for job in ledger.exports.all(state=ExportState.FINISHED):
            if self._is_expired(job):
                _drop(ledger, job)
                remove(self._folder / job.id)

    async def groups(self) -> dict[str, int]:
        """Return every group with its number of members, as the server has them now.

        Raises ServerError, TransientServerError also where looking takes longer than somebody waits (the first time all is
        read): it goes on meanwhile.
        """
        await self._refresh_groups()
        return self._ledger.groups.all()

    async def has_group(self, group: str) -> bool:
        """Say whether there is such a group; the server is only asked where it is not known yet."""
        return bool(self._ledger.groups.size(group)) or group in await self.groups()

    async def wait(self) -> None:
        """Wait until no export is under way in this process."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop what is under way; it goes on from its checkpoint."""
        tasks = [*self._tasks.values(), *(one for one in (self._sweeper, self._looking) if one)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._stock is not None:
            await asyncio.to_thread(self._stock.close)

    async def _refresh_groups(self) -> None:
        try:
            async with asyncio.timeout(self._terms.groups_within):
                if self._looking is not None and not self._looking.done():
                    await asyncio.shield(self._looking)  # it may have passed by what was written since
                await asyncio.shield(self._look())
        except TimeoutError:
            words = (
                "everybody's groups are being read, which takes longer the first time: ask again, it goes on meanwhile"
            )
            raise TransientServerError(words, retry_after=30) from None

    def _look(self) -> asyncio.Task[None]:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_at_groups())
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())  # who waits is told
        return self._looking

    async def _look_at_groups(self) -> None:
        until = self._tools.settled_until() if self._tools.settling else None
        async with self._grouping:
            await refresh_groups(self._tools, self._groups, self._history, until=until, stock=self._stock)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            with suppress(LedgerError):
                await self._in_thread(self._sweep)
                await self._note_withdrawn()

    async def _note_withdrawn(self) -> None:
        """Note which copies were taken back on the server itself; a server that is down is asked the next time."""
        with suppress(ServerError):
            await look_for_withdrawn(self._settings, self._ledger, self._client)

    def _is_expired(self, job: ExportJob) -> bool:
        return job.finished is not None and self.expires(job) <= self._clock.now()

    def _begin(self, job: ExportJob) -> None:
        if job.id not in self._tasks:
            self._tasks[job.id] = asyncio.create_task(self._work_on(job))
            self._tasks[job.id].add_done_callback(partial(self._ended, job.id))

    def _ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(job_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("an export stopped with %s; it goes on at the next start", type(error).__name__)

    async def _work_on(self, job: ExportJob) -> None:
        """Work an export off, whoever else works on it and whatever the disk does meanwhile."""
        folder = self._folder / job.id
        wanted: ExportJob | None = job
        while wanted is not None and wanted.state is ExportState.RUNNING:
            try:
                async with self._places:
                    with held(folder) as alone:
                        if alone:
                            if not await self._finish(wanted, NdjsonFiles(folder)):
                                remove(folder)
                            return
                wanted = self._ledger.exports.get(job.id)
            except (LedgerError, OSError) as error:
                _LOG.warning("an export waits: %s", type(error).__name__)
            await self._terms.sleep(self._terms.pause)

    async def _finish(self, job: ExportJob, files: NdjsonFiles) -> bool:
        """Work an export off, waiting for the server as a load does; say whether it was wanted to the end."""
        attempt = _Attempt(self._ledger, job, patience=self._terms.patience, now=self._clock.now)
        order = from_json(job.order)
        tools = ExportTools(self._tools, self._history, self._groups, files, attempt.save, stock=self._stock)
        try:
            while True:
                try:
                    done = await self._export(order, tools, attempt.done)
                    break
                except (GatewayError, OSError) as error:
                    _LOG.warning("an export waits or goes on without a type: %s", type(error).__name__)
                    if attempt.may_repeat(error):
                        attempt.tell(error)
                        await self._terms.sleep(self._terms.pause)
                    else:
                        code = "processing" if isinstance(error, PermanentServerError) else "transient"
                        give_up(order, tools, attempt.done, reason=_words(error), code=code)
            with self._ledger.transaction():
                output = sum(one.count for one in done.files if one.kind is FileKind.OUTPUT)
                self._ledger.pulls.recount(job.pull, output)
                return self._ledger.exports.finish(job.id, done, at=self._clock.now())
        except _CancelledError:
            return False

    async def _export(self, order: ExportOrder, tools: ExportTools, done: Checkpoint) -> Checkpoint:
        try:
            return await export(order, tools, done)
        except (GatewayError, OSError, _CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - an export must not end without a word
            # The message could quote a resource.
            _LOG.exception("an export failed with %s", type(error).__name__, exc_info=False)
            raise GatewayError("a fault of the program, the gateway's log names it") from None


class _Attempt:
    """Where an export stands, and how long it has stood there."""

    def __init__(self, ledger: Ledger, job: ExportJob, *, patience: float, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._job = job.id
        self._patience = patience
        self._now = now
        self._stuck: datetime | None = None
        self.done = job.checkpoint

    def save(self, done: Checkpoint) -> None:
        """Write a checkpoint down; raises _CancelledError where nobody wants the export any more."""
        if (done.step, done.cursor) != (self.done.step, self.done.cursor):
            self._stuck = None
        self.done = done
        with self._ledger.transaction():
            if not self._ledger.exports.reach(self._job, done):
                raise _CancelledError

    def may_repeat(self, error: Exception) -> bool:
        """Say whether waiting may help: the server may come back, the disk may be given room."""
        if isinstance(error, LedgerError | OSError):
            return True
        if not isinstance(error, TransientServerError | PageExpiredError):
            return False
        self._stuck = self._stuck or self._now()
        return not self._patience or (self._now() - self._stuck).total_seconds() < self._patience

    def tell(self, error: Exception) -> None:
        """Say in the progress that the export waits."""
        what = "the gateway's disk" if isinstance(error, LedgerError | OSError) else "the FHIR server"
        with suppress(LedgerError):
            self.save(replace(self.done, said=f"waits for {what}"))


def _drop(ledger: Ledger, job: ExportJob) -> None:
    with ledger.transaction():
        ledger.exports.drop(job.id)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, GatewayError) else type(error).__name__
