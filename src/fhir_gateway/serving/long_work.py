"""What takes longer than an answer: begun by a request, one at a time, and its last result remembered."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

from fhir_gateway.bootstrap.kept_results import KeptResult
from fhir_gateway.domain.errors import GatewayError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remembered(Generic[T]):
    """A result, and when it was worked out."""

    value: T
    began: datetime
    finished: datetime


class LongWork(Generic[T]):
    """One kind of work in one environment.

    `began` is None while nothing is worked on; `problem` says why the last attempt came to none, "" where it did.
    """

    def __init__(self, *, now: Callable[[], datetime], kept: KeptResult[Remembered[T]] | None = None) -> None:
        """Remember results in memory, and where they are `kept`, across restarts until that file is erased."""
        self.began: datetime | None = None
        self.problem = ""
        self._now = now
        self._kept = kept
        self._result = kept.read() if kept else None
        self._is_kept = self._result is not None
        self._task: asyncio.Task[None] | None = None

    @property
    def result(self) -> Remembered[T] | None:
        """The last result, None before the first, and where it was erased."""
        if self._is_kept and self._kept and not self._kept.exists():
            self._result = None
        return self._result

    def begin(self, work: Callable[[], Awaitable[T]]) -> bool:
        """Begin to work; return False where that is done already."""
        if self.began is not None:
            return False
        self.began = self._now()
        self._task = asyncio.create_task(self._act(work, self.began))
        return True

    async def close(self) -> None:
        """Give up what is worked on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _act(self, work: Callable[[], Awaitable[T]], began: datetime) -> None:
        try:
            value = await work()
        except Exception as error:  # noqa: BLE001 - the edge: whoever asks next is told
            _LOG.warning("work failed with %s", type(error).__name__)
            self.problem = str(error) if isinstance(error, GatewayError) else "a fault of the program"
        else:
            self.problem = ""
            result = Remembered(value, began, self._now())
            self._is_kept = self._kept is not None and await asyncio.to_thread(self._kept.keep, result)
            self._result = result
        finally:
            self.began = None


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """Do something long that only reads, in a thread that never keeps the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def act() -> None:
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            settle(partial(future.set_exception, error))
        else:
            settle(partial(future.set_result, value))

    def settle(say: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if future.done() else say())

    threading.Thread(target=act, daemon=True).start()
    return await future
