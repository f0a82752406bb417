"""Exports worked off beside everything else: two at once, each from its checkpoint, however often it has to wait."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from fhir_gateway.domain.errors import (
    GatewayError,
    LedgerError,
    PageExpiredError,
    PermanentServerError,
    TransientServerError,
)
from fhir_gateway.domain.exports import Checkpoint, ExportJob, ExportState, FileKind
from fhir_gateway.flows.registry.exporting import ExportTools, export, give_up
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports.exports import FhirHistory, Stock
from fhir_gateway.registry.exports import ExportOrder, from_json
from fhir_gateway.serving.exporting.files import NdjsonFiles, held, remove
from fhir_gateway.serving.exporting.sources import LedgerGroups
from fhir_gateway.serving.exporting.terms import ExportTerms

_LOG = logging.getLogger(__name__)
_AT_ONCE = 2


class _CancelledError(Exception):
    """The export was cancelled, here or by another process."""


class ExportWork:
    """Works the exports of one environment off; `folder` is the one that each has a folder in."""

    def __init__(  # noqa: PLR0913 - what an export is made with
        self,
        ledger: Ledger,
        tools: RegistryTools,
        history: FhirHistory,
        *,
        groups: LedgerGroups,
        stock: Stock | None,
        terms: ExportTerms,
        folder: Path,
    ) -> None:
        self._ledger = ledger
        self._tools = tools
        self._history = history
        self._groups = groups
        self._stock = stock
        self._terms = terms
        self._folder = folder
        self._clock = tools.clock
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def work_on(self, job: ExportJob) -> None:
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


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, GatewayError) else type(error).__name__
