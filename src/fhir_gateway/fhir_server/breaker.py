"""A circuit breaker for asyncio around pybreaker: who comes while the server is down is parked, one asks for all.

pybreaker alone has no asyncio support: its decorator never trips on a coroutine, a cancellation counts as a failure,
and half-open lets everyone in. So the outcome is told to `calling()` when it is known, and the gate admits one probe.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pybreaker

from fhir_gateway.domain.errors import ServerError
from fhir_gateway.fhir_server.failures import OutageError, ServerGoneError
from fhir_gateway.fhir_server.timing import Timing
from fhir_gateway.fhir_server.verdicts import pause
from fhir_gateway.fhir_server.waiting import OnWait, ServerWait

FAILURES_TO_OPEN = 3


class BreakerGate:
    """Lets requests pass while the server answers; parks them while it does not."""

    def __init__(self, *, patience: float, timing: Timing, on_wait: OnWait | None = None) -> None:
        # The gate's own injected clock decides when to ask again, hence no timeout here.
        self._breaker = pybreaker.CircuitBreaker(fail_max=FAILURES_TO_OPEN, reset_timeout=0)
        self._patience = patience
        self._timing = timing
        self._on_wait = on_wait or (lambda _: None)
        self._probe_ended: asyncio.Event | None = None
        self._ask_again_at = 0.0
        self._down_since: float | None = None
        self._outages = 0
        self._reason = ""
        self.successes = 0

    def limit_patience(self, seconds: float) -> None:
        """Wait no longer than this."""
        self._patience = min(self._patience or seconds, seconds)

    @property
    def closed(self) -> bool:
        """Whether requests may pass freely."""
        return bool(self._breaker.current_state == pybreaker.STATE_CLOSED)

    @contextlib.asynccontextmanager
    async def passage(self, *, probing: bool) -> AsyncIterator[None]:
        """Watch what becomes of the request inside; `probing` is what `admit` returned.

        A cancelled request tells nothing of the server. Raises ServerGoneError where a failure uses the patience up.
        """
        try:
            yield
        except OutageError as error:
            self._failed(error)
            self._check_patience()
            raise
        except ServerError:
            self._succeeded()  # it answered, whatever it said
            raise
        else:
            self._succeeded()
        finally:
            if probing:
                self._end_probe()

    async def admit(self) -> bool:
        """Return once a request may pass: False when the server is back, True for the one that has to probe it.

        Raises ServerGoneError when the patience is used up.
        """
        while not self.closed:
            wait = self._ask_again_at - self._timing.monotonic()
            if self._probe_ended is None and wait <= 0:
                self._probe_ended = asyncio.Event()
                return True
            left = self._check_patience()
            if self._probe_ended is not None:
                await self._probe_ended.wait()
            else:
                await self._timing.sleep(wait if left is None else min(wait, left))
        return False

    def _check_patience(self) -> float | None:
        """Return the patience left; raises ServerGoneError where there is none."""
        left = self._patience_left()
        if left is not None and left <= 0:
            raise ServerGoneError(
                f"The FHIR server has been down for longer than {self._patience:g} s (wait_for_server): {self._reason}"
            )
        return left

    def _patience_left(self) -> float | None:
        if not self._patience or self._down_since is None:
            return None
        return self._patience - (self._timing.monotonic() - self._down_since)

    def _failed(self, error: OutageError) -> None:
        now = self._timing.monotonic()
        if self._down_since is None:
            self._down_since = now
        was_closed = self.closed
        self._outages += 1
        self._reason = str(error)
        with contextlib.suppress(OutageError, pybreaker.CircuitBreakerError), self._breaker.calling():
            raise error
        if self.closed:
            return
        wait = pause(self._outages, asked=error.retry_after, chance=self._timing.chance())
        self._ask_again_at = max(self._ask_again_at, now + wait)
        if was_closed:
            self._on_wait(ServerWait(down=True, reason=self._reason, patience_left=self._patience_left()))

    def _succeeded(self) -> None:
        was_closed = self.closed
        with self._breaker.calling():
            pass
        self.successes += 1
        self._down_since = None
        self._outages = 0
        self._ask_again_at = 0.0
        if not was_closed:
            self._on_wait(ServerWait(down=False))

    def _end_probe(self) -> None:
        ended, self._probe_ended = self._probe_ended, None
        if ended is not None:
            ended.set()
