"""Bulk exports as a server offers them: jobs beside everything else, which survive it, and the files they leave."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from fhir_gateway.bootstrap.registry_recalls import look_for_withdrawn
from fhir_gateway.domain.errors import GatewayError, LedgerError, ServerError
from fhir_gateway.domain.exports import Checkpoint, ExportFile, ExportJob, ExportState
from fhir_gateway.domain.registry import Request
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Clock
from fhir_gateway.registry.exports import ExportOrder, to_json
from fhir_gateway.serving.exporting.files import remove
from fhir_gateway.serving.exporting.giving import Given
from fhir_gateway.serving.exporting.groups import ServedGroups
from fhir_gateway.serving.exporting.sources import EmbeddedStock
from fhir_gateway.serving.exporting.terms import ExportTerms
from fhir_gateway.serving.exporting.working import ExportWork
from fhir_gateway.serving.request_rates import RequestRates
from fhir_gateway.settings import Environment

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

SWEEP_EVERY = 600.0
"""Seconds between looks for exports that have expired, and for copies that were taken back on the server itself."""
MOST_KEPT = 20
"""Exports of one client that are kept at the same time, finished ones included."""
_MOST_POLLS = 10
"""In a second."""


class TooManyExportsError(GatewayError):
    """The client has as many exports as it may; `retry_after` is in whole seconds."""

    def __init__(self, text: str, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(text)


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
        tools = RegistryTools(reader, ServerPuller(client), clock, settling=settings.settling)
        history = ServerHistory(client, reader)
        self._stock = stock = EmbeddedStock(embedded) if embedded else None
        clinics = {one: entry.name for one, entry in settings.clinics.items()}
        within = self._terms.groups_within
        self.groups = ServedGroups(ledger, tools, history, stock=stock, clinics=clinics, within=within)
        self._work = ExportWork(
            ledger,
            tools,
            history,
            groups=self.groups.members,
            stock=stock,
            terms=self._terms,
            folder=self._folder,
        )
        self._kicking = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._polls = RequestRates(window=1.0)

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

    async def wait(self) -> None:
        """Wait until no export is under way in this process."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop what is under way; it goes on from its checkpoint."""
        tasks = [*self._tasks.values(), *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self.groups.close(), return_exceptions=True)
        if self._stock is not None:
            await asyncio.to_thread(self._stock.close)

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
            self._tasks[job.id] = asyncio.create_task(self._work.work_on(job))
            self._tasks[job.id].add_done_callback(partial(self._ended, job.id))

    def _ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(job_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("an export stopped with %s; it goes on at the next start", type(error).__name__)


def _drop(ledger: Ledger, job: ExportJob) -> None:
    with ledger.transaction():
        ledger.exports.drop(job.id)
