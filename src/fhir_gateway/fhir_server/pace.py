"""The pace of requests: so many a second, and none while the server asked for a rest."""

from fhir_gateway.fhir_server.timing import Timing


class Pacer:
    """Gives out turns in order; `requests_per_second` 0 means no limit."""

    def __init__(self, requests_per_second: float, timing: Timing) -> None:
        self._interval = 1 / requests_per_second if requests_per_second > 0 else 0.0
        self._timing = timing
        self._next = 0.0

    async def turn(self) -> None:
        """Return when the next request may leave."""
        now = self._timing.monotonic()
        start = max(now, self._next)
        self._next = start + self._interval
        if start > now:
            await self._timing.sleep(start - now)

    def rest(self, seconds: float) -> None:
        """Let no further request leave for so long."""
        self._next = max(self._next, self._timing.monotonic() + seconds)
