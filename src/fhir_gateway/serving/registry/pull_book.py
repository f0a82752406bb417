"""Writes down what registries are told: in a thread, and what comes at the same time in one transaction.

A commit can take as long as the disk likes, and now and then SQLite brings its log into the database at one. In the event
loop that would keep everybody waiting, who waits for something else.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fhir_gateway.domain.registry import Answered
from fhir_gateway.ledger.store import Ledger

T = TypeVar("T")

_MOST_TOGETHER = 100


class PullBook:
    """The pulls of one environment, in the event loop that serves it; close it. It has a ledger connection of its own."""

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        self._open = open_ledger
        self._ledger: Ledger | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pulls")
        self._waiting: list[tuple[Answered, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, answered: Answered) -> None:
        """Write down an answer; it may leave once this returns. Raises LedgerError."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((answered, written))
        if self._task is None:
            self._task = asyncio.create_task(self._write_on())
        await written

    async def act(self, work: Callable[[Ledger], T]) -> T:
        """Do something else that has to be written down, in the same thread, as one transaction. Raises LedgerError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._acted, work)

    async def close(self) -> None:
        """Write down what is waiting, and close the ledger."""
        if self._task is not None:
            await self._task
        await asyncio.to_thread(self._thread.shutdown)
        if self._ledger is not None:
            self._ledger.close()

    async def _write_on(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            outcomes = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._written, [answered for answered, _ in taken]
            )
            for (_, written), error in zip(taken, outcomes, strict=True):
                if written.done():  # whoever asked has gone away
                    continue
                if error is None:
                    written.set_result(None)
                else:
                    written.set_exception(error)
        self._task = None

    def _written(self, answers: Sequence[Answered]) -> list[Exception | None]:
        """Write answers down together; where that fails, each by itself, so that none suffers for another."""
        try:
            self._record(answers)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            return [error] if len(answers) == 1 else [outcome for one in answers for outcome in self._written([one])]
        return [None] * len(answers)

    def _record(self, answers: Sequence[Answered]) -> None:
        self._acted(lambda ledger: ledger.pulls.record_all(answers))

    def _acted(self, work: Callable[[Ledger], T]) -> T:
        if self._ledger is None:
            self._ledger = self._open()
        with self._ledger.transaction():
            return work(self._ledger)
