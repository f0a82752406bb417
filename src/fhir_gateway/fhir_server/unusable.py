"""A server that is there, but gives answers that are of no use: how long one kind of request bears that."""

from dataclasses import dataclass

from fhir_gateway.fhir_server.failures import BusyError, ServerGoneError, UnreadableError
from fhir_gateway.fhir_server.timing import Timing
from fhir_gateway.fhir_server.verdicts import LONGEST_PAUSE

PATIENCE = 30.0
"""Seconds with rubbish in the place of FHIR, and with a server that has not given one right answer yet."""


@dataclass(frozen=True, slots=True)
class _Spell:
    since: float
    last: float
    patience: float  # 0: for ever


class UnusableAnswers:
    """Counts, for each kind of request, the time since its last right answer; any right answer ends that.

    Attempts are counted for a single request: thousands of rows, each given up for itself, would take days.
    `patience` is that with a server that is busy all the time, `timeout` the time that one request may take.
    """

    def __init__(self, *, patience: float, timeout: float, timing: Timing) -> None:
        self._patience = patience
        self._shortest = PATIENCE
        self._longest_gap = LONGEST_PAUSE + timeout
        self._timing = timing
        self._spells: dict[str, _Spell] = {}

    def limit_patience(self, seconds: float) -> None:
        """Bear it no longer than this."""
        self._patience = min(self._patience or seconds, seconds)
        self._shortest = min(self._shortest, seconds)

    def note(self, name: str, error: BusyError, *, first: bool) -> None:
        """Note an answer of no use to the request `name`; raises ServerGoneError where there were none but such.

        `first`: the server has not given a right answer to any request yet. Who asks to be asked less is only busy.
        """
        now = self._timing.monotonic()
        spell = self._spells.get(name)
        since = spell.since if spell and now - spell.last <= self._longest_gap else now
        short = error.done and (first or isinstance(error, UnreadableError))
        patience = min(self._patience or self._shortest, self._shortest) if short else self._patience
        self._spells[name] = _Spell(since, now, patience)
        if patience and now - since >= patience:
            raise ServerGoneError(f"No answer of the FHIR server was of use for {patience:g} s: {error}")

    def end(self, name: str) -> None:
        """Note a right answer."""
        self._spells.pop(name, None)

    def left(self, name: str) -> float | None:
        """Return the seconds that are left, None for ever."""
        spell = self._spells.get(name)
        if spell is None or not spell.patience:
            return None
        return max(0.0, spell.since + spell.patience - self._timing.monotonic())
