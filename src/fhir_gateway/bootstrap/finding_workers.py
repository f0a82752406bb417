"""Processes that look at pages of people beside each other, for servers with so many that it is worth starting them."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Self, TypeVar

from fhir_gateway.bootstrap.collecting import collect_seldom
from fhir_gateway.domain.errors import LedgerError

Result = TypeVar("Result")

ALONE = 30
"""So many pieces of work (pages of 500 people) are done here: to start a process takes about as long as five of them."""

_MOST = 8
"""More processes than these wait for the one that reads the server; each needs about 80 MB."""


class Workers:
    """As many processes as there are processors (ports.FindingWorkers), none before they are worth it.

    What they answer does not depend on how many they are. They end with this process, however it ends.
    """

    def __init__(self, *, processes: int | None = None, alone: int = ALONE) -> None:
        """Use so many processes, one for each processor if not given, after so many pieces of work."""
        self._processes = processes or min(_MOST, os.cpu_count() or 1)
        self._alone = alone
        self._pool: ProcessPoolExecutor | None = None
        self._begun = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    @property
    def together(self) -> int:
        """How many pieces of work are worth having under way."""
        return 1 if self._processes == 1 or self._begun < self._alone else self._processes + 2

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Return what a pure function of a module returns. Raises LedgerError where a process was ended from outside."""
        self._begun += 1
        if self._processes == 1 or self._begun <= self._alone:
            return await asyncio.to_thread(work, *arguments)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._processes, mp_context=get_context("spawn"), initializer=_begin)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        except BrokenProcessPool as error:
            raise LedgerError(
                "a process that compared people was ended from outside, perhaps for lack of memory; nothing was written:"
                " run it again"
            ) from error


def _begin() -> None:
    """Leave Ctrl-C to the process that began this one, and end with it."""
    collect_seldom()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
