"""How far a merge road has come as a whole, although its stages each count from one."""

from fhir_gateway.ports import Progress


class WholeProgress:
    """Adds up what the stages of a phase have done (ports.Progress): a count that falls back begins another stage."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._before = self._stage = 0

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase."""
        self._before = self._stage = 0
        self._shown.phase(name, total)

    def advance(self, done: int, share: float | None = None) -> None:
        """Say how much of the stage is done so far; 0 begins another one."""
        if done < self._stage:
            self._before += self._stage
        self._stage = done
        self._shown.advance(self._before + done, share)
