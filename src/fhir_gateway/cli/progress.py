"""How far a run has come: a bar on a terminal, plain lines elsewhere; always on stderr."""

import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TaskProgressColumn, TextColumn

_SECONDS_BETWEEN_LINES = 5.0
_WIDTH_OF_A_BAR = 80


def columns(width: int) -> list[ProgressColumn]:
    """Return what a phase's line shows: on a narrow terminal without bar and count, or the figures would be cut off."""
    share, rate, left = TaskProgressColumn(show_speed=False), "{task.fields[rate]:>8}", "{task.fields[left]}"
    if width < _WIDTH_OF_A_BAR:
        return [TextColumn("{task.description:<12.12}"), share, TextColumn(rate), TextColumn(left)]
    done = TextColumn("{task.fields[done]:>9,}")
    bar = BarColumn(bar_width=12)
    return [TextColumn("{task.description:<28.28}"), bar, share, done, TextColumn(rate), TextColumn(left)]


class ProgressDisplay:
    """Shows phases with their rate; on a terminal as bars with the time that is left (ports.Progress)."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._name = ""
        self._total: int | None = None
        self._begun = self._told = time.monotonic()
        self._done = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = Progress(*columns(self._console.width), console=self._console, transient=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase."""
        self._close_phase()
        self._name, self._total, self._done = name, total, 0
        self._begun = self._told = time.monotonic()
        if self._bars:
            self._bars.start()
            self._task = self._bars.add_task(name, total=1.0 if total else None, done=0, rate="", left="")

    def advance(self, done: int, share: float | None = None) -> None:
        """Say how much of the phase is done so far."""
        self._done = done
        if share is None and self._total:
            share = min(1.0, done / self._total)
        rate, left = f"{self._rate():,.0f}/s", self._left(share)
        if self._bars and self._task is not None:
            # Without a total the bar only shows that something goes on.
            self._bars.update(
                self._task,
                total=None if share is None else 1.0,
                completed=share or 0.0,
                done=done,
                rate=rate,
                left=left,
            )
        elif time.monotonic() - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            part = "" if share is None else f" ({share:.0%})"
            self.say(f"{self._name}: " + ", ".join(filter(None, (f"{done:,}{part}", rate, left))))

    def rest(self) -> None:
        """End the phase: what is printed now stands on a screen without bars."""
        self._close_phase()
        if self._bars:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line beside the progress."""
        if self._bars:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def _rate(self) -> float:
        return self._done / max(1e-3, time.monotonic() - self._begun)

    def _left(self, share: float | None) -> str:
        """Return the time that is left, if the rest goes as fast as what is done."""
        if not share:
            return ""
        seconds = round((time.monotonic() - self._begun) * (1 - share) / share)
        return f"{timedelta(seconds=seconds)} left"

    def _close_phase(self) -> None:
        if not self._name:
            return
        if self._bars and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        elif self._done:
            self.say(f"{self._name}: {self._done:,} done in {time.monotonic() - self._begun:.1f} s")
        self._name = ""
