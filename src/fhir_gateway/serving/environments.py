"""The environments of a working folder as a server holds them: opened when first asked for, closed at the end."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import httpx

from fhir_gateway.bootstrap.gateway import SystemClock
from fhir_gateway.bootstrap.merging import road_of
from fhir_gateway.domain.errors import ConfigurationError, GatewayError, LedgerError, ServerError
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import EmbeddedTransport
from fhir_gateway.fhir_server.client import FhirClient, Request
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.access import Doorkeeper
from fhir_gateway.serving.exporting.jobs import ServedExports
from fhir_gateway.serving.finding import ServedFinding
from fhir_gateway.serving.history import ServedHistory
from fhir_gateway.serving.merge_jobs import ServedMergeJobs
from fhir_gateway.serving.merges import ServedMerges
from fhir_gateway.serving.registry.pull_book import PullBook
from fhir_gateway.settings import Environment, environment_names, load_environment

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds that somebody who waits for an answer waits for a FHIR server that is down."""
_REACHED_WITHIN = 1.0
_REACH_IS_KNOWN_FOR = 10.0


class _Quiet:
    """Progress that nobody watches (ports.Progress)."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, done: int, share: float | None = None) -> None:
        """Say nothing."""


class NoSuchEnvironmentError(GatewayError):
    """There is no environment of this name in the working folder."""


@dataclass(slots=True)
class ServedEnvironment:
    """One environment in the server's event loop: its own ledger, its own connections, shared with no other.

    `ledger` is for short statements in the event loop; what takes longer goes through `in_thread`.
    """

    settings: Environment
    ledger: Ledger
    client: FhirClient
    reader: ServerReader
    writer: ServerWriter
    transport: httpx.AsyncBaseTransport | None
    doorkeeper: Doorkeeper
    merges: ServedMerges
    merge_jobs: ServedMergeJobs
    history: ServedHistory
    finding: ServedFinding
    exports: ServedExports
    pull_book: PullBook
    _reach: tuple[float, bool] = field(default=(float("-inf"), False))

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.settings.name

    async def in_thread(self, work: Callable[[Ledger], T]) -> T:
        """Do something that takes long in a thread, with a ledger connection of its own."""

        def act() -> T:
            with Ledger(self.settings.ledger_url) as ledger:
                return work(ledger)

        return await asyncio.to_thread(act)

    async def is_reachable(self) -> bool:
        """Tell whether the FHIR server answers within a second; what was found out is believed for ten."""
        known_since, reached = self._reach
        now = time.monotonic()
        if now - known_since < _REACH_IS_KNOWN_FOR:
            return reached
        try:
            async with asyncio.timeout(_REACHED_WITHIN):
                answer = await self.client.send(Request("GET", "metadata", attempts=1))
                reached = answer.status < 500
        except (TimeoutError, ServerError):
            reached = False
        self._reach = (time.monotonic(), reached)
        return reached

    def has_ledger(self) -> bool:
        """Tell whether the ledger answers."""
        try:
            self.ledger.access.get("")
        except LedgerError:
            return False
        return True


class Serving:
    """All environments of a working folder; use as `async with` in the event loop that serves them.

    An environment whose file is written while this runs is found, too; one that was opened keeps its settings.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._opened: dict[str, ServedEnvironment] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._stack = AsyncExitStack()

    @property
    def names(self) -> list[str]:
        """The environments that there are."""
        return environment_names(self.home)

    @property
    def opened(self) -> Mapping[str, ServedEnvironment]:
        """The environments that somebody has asked for."""
        return self._opened

    async def environment(self, name: str) -> ServedEnvironment:
        """Return an environment, opened.

        Raises NoSuchEnvironmentError, ConfigurationError for a faulty file, LedgerError for a ledger out of reach.
        """
        if found := self._opened.get(name):
            return found
        if name not in self.names:
            raise NoSuchEnvironmentError("there is no such environment")
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._opened:
                self._opened[name] = await self._open(load_environment(name, self.home))
            return self._opened[name]

    async def go_on(self) -> None:
        """Let the jobs go on that an earlier server has left; an environment that cannot be opened is passed over."""
        for name in self.names:
            try:
                environment = await self.environment(name)
                if environment.ledger.merge_jobs.unfinished():
                    environment.merge_jobs.work_off()
                environment.exports.go_on()
            except GatewayError as error:
                _LOG.warning("environment %s: %s", name, error)

    def policies(self) -> tuple[list[Environment], list[ConfigurationError]]:
        """Return every environment's settings, and the faults of files that cannot be used."""
        settings: list[Environment] = []
        faults: list[ConfigurationError] = []
        for name in self.names:
            try:
                settings.append(load_environment(name, self.home))
            except ConfigurationError as error:
                faults.append(error)
        return settings, faults

    async def _open(self, settings: Environment) -> ServedEnvironment:
        async with AsyncExitStack() as stack:
            ledger = stack.enter_context(await asyncio.to_thread(Ledger, settings.ledger_url))
            transport = server = None
            if settings.embedded_data is not None:
                server = await asyncio.to_thread(EmbeddedServer, settings.embedded_data)
                transport = EmbeddedTransport(stack.enter_context(closing(server)))
            client = await stack.enter_async_context(FhirClient(settings.fhir_server, transport=transport))
            client.limit_patience(PATIENCE)
            # The road has a connection of its own: what it has begun to write is committed by nobody else.
            own = stack.enter_context(await asyncio.to_thread(Ledger, settings.ledger_url))
            clock = SystemClock()
            merges = ServedMerges(ledger, road_of(client, own, settings, progress=_Quiet(), clock=clock))
            stack.push_async_callback(merges.close)
            jobs = ServedMergeJobs(ledger, merges, now=clock.now)
            stack.push_async_callback(jobs.close)
            history = ServedHistory(settings, now=clock.now)
            stack.push_async_callback(history.close)
            finding = ServedFinding(settings, ledger, client, now=clock.now)
            stack.push_async_callback(finding.close)
            reader = ServerReader(client)
            exports = ServedExports(settings, ledger, client, reader, clock=clock, embedded=server)
            stack.push_async_callback(exports.close)
            book = PullBook(partial(Ledger, settings.ledger_url))
            stack.push_async_callback(book.close)
            self._stack.push_async_exit(stack.pop_all())
        return ServedEnvironment(
            settings=settings,
            ledger=ledger,
            client=client,
            reader=reader,
            writer=ServerWriter(client, reader),
            transport=transport,
            doorkeeper=Doorkeeper(settings.name, ledger.access),
            merges=merges,
            merge_jobs=jobs,
            history=history,
            finding=finding,
            exports=exports,
            pull_book=book,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opened.clear()
        await self._stack.aclose()
