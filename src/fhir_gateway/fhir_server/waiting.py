"""Nothing is waited for in silence: tells what is asked again, and what has not been answered for long."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fhir_gateway.fhir_server.timing import Timing

SILENCE = 2.0
"""Seconds that repeats of a request may take before they are told."""

SLOW = 10.0
"""Seconds after which an answer that is still missing is told."""

_AGAIN = 30.0
"""Seconds after which the same is told again."""


@dataclass(frozen=True, slots=True)
class ServerWait:
    """News about waiting: the server is `down`, with the reason; or `slow`, one request is waited for; or it is back.

    `patience_left` is in seconds, None for ever; it is told of a server that is down.
    """

    down: bool
    reason: str = ""
    patience_left: float | None = None
    slow: bool = False


OnWait = Callable[[ServerWait], None]


class WaitTeller:
    """Tells of requests that take long while the server as a whole is there; the same not more often than needed."""

    def __init__(self, on_wait: OnWait | None, timing: Timing) -> None:
        self._on_wait = on_wait or (lambda _: None)
        self._timing = timing
        self._told: dict[str, float] = {}

    def tell(self, reason: str) -> None:
        """Tell that something is waited for, unless that was told just now."""
        now = self._timing.monotonic()
        if now - self._told.get(reason, -_AGAIN) >= _AGAIN:
            self._told[reason] = now
            self._on_wait(ServerWait(down=False, slow=True, reason=reason))

    @contextlib.contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """Tell when what happens inside, the request `name`, takes longer than SLOW."""
        words = f"no answer to {name} for {SLOW:g} s"
        alarm = asyncio.get_running_loop().call_later(SLOW, self.tell, words)
        try:
            yield
        finally:
            alarm.cancel()
