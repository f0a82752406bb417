"""The history of merges as a server offers it: verified beside its other work, signed and proved."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from fhir_gateway.audit.verify_history import Checkpoint
from fhir_gateway.bootstrap.history import MergeHistory, Verification
from fhir_gateway.bootstrap.kept_results import KeptResult, kept_verification
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.long_work import LongWork, Remembered, in_daemon_thread
from fhir_gateway.settings import Environment

T = TypeVar("T")


class ServedHistory:
    """The history of one environment; everything is done in threads with a ledger connection of their own."""

    def __init__(self, settings: Environment, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        kept: KeptResult[Remembered[Verification]] = KeptResult(
            kept_verification(settings.folder), Remembered[Verification]
        )
        self.verification: LongWork[Verification] = LongWork(now=now, kept=kept)

    def verify(self, checkpoints: Mapping[str, str]) -> bool:
        """Begin to recompute everything, held against checkpoints that were kept elsewhere: name → note.

        Returns False where that is done already. Raises UsageError for a note that is no checkpoint.
        """
        for name, note in checkpoints.items():
            try:
                Checkpoint.parse(note)
            except ValueError as error:
                raise UsageError(f"{name}: {error}") from None
        return self.verification.begin(lambda: self._ask(lambda history: history.verify(checkpoints)))

    async def checkpoint(self) -> str:
        """Return a signed checkpoint over all entries (https://c2sp.org/tlog-checkpoint).

        Raises ConfigurationError where the signing key cannot be used.
        """
        return await self._ask(lambda history: history.checkpoint())

    async def public_key(self) -> str:
        """Return the public key of the checkpoints, as https://c2sp.org/signed-note writes it."""
        return await self._ask(lambda history: history.public_key())

    async def prove(self, merge: int, *, earlier: str = "") -> dict[str, Any]:
        """Return the proof that these are all of a merge's entries, and that `earlier`, a checkpoint, is of the history.

        Raises UsageError where there is no such merge or `earlier` is no checkpoint, LedgerError where that does not fit.
        """
        return await self._ask(lambda history: history.prove(merge, earlier=earlier))

    async def close(self) -> None:
        """Give a verification up."""
        await self.verification.close()

    async def _ask(self, ask: Callable[[MergeHistory], T]) -> T:
        def act() -> T:
            with Ledger(self._settings.ledger_url) as ledger:
                return ask(MergeHistory(self._settings, ledger, now=self._now))

        return await in_daemon_thread(act)
