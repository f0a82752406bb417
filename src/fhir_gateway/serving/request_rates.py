"""How often somebody does something in a minute, or another window of time, counted in memory.

Not the storage of the package `limits`: that starts a thread at nearly every count, to forget what is over, and this cost
more than anything else of a search.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

WINDOW = 60.0
"""Seconds."""


@dataclass(slots=True)
class _Window:
    ends: float
    count: int


class RequestRates:
    """Counts in the event loop that it belongs to. What is over is forgotten.

    `window` are the seconds that are counted together, from the first time on; `monotonic` gives seconds.
    """

    def __init__(self, *, window: float = WINDOW, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._monotonic = monotonic
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._sweep_at = 0.0

    @property
    def counted(self) -> int:
        """How many names are kept."""
        return len(self._windows)

    def hit(self, most: int, *names: str) -> int:
        """Count once; return 0, or in how many seconds there is room again where it was done `most` times already."""
        if wait := self.wait(most, *names):
            return wait
        window, now = self._windows.get(names), self._monotonic()
        if window is None or window.ends <= now:
            window = self._windows[names] = _Window(now + self._window, 0)
        window.count += 1
        return 0

    def wait(self, most: int, *names: str) -> int:
        """Return in how many seconds there is room again, 0 where there is room."""
        now = self._monotonic()
        self._forget(now)
        window = self._windows.get(names)
        if window is None or window.ends <= now or window.count < most:
            return 0
        return max(1, ceil(window.ends - now))

    def _forget(self, now: float) -> None:
        """Drop what is over, once in a while: looking through many names at every count would cost too much."""
        if now >= self._sweep_at:
            self._windows = {names: one for names, one in self._windows.items() if one.ends > now}
            self._sweep_at = now + self._window
