"""Finding duplicates as a server offers it: looked for beside its other work, and what was found remembered."""

from collections.abc import Callable, Sequence
from datetime import datetime

from fhir_gateway.bootstrap.finding import FindRequest, find
from fhir_gateway.bootstrap.kept_results import KeptResult, kept_finding
from fhir_gateway.domain.finding import Finding
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.long_work import LongWork, Remembered
from fhir_gateway.settings import Environment


class ServedFinding:
    """Finding in one environment; `progress` says how far it has come."""

    def __init__(
        self, settings: Environment, ledger: Ledger, client: FhirClient, *, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._client = client
        kept: KeptResult[Remembered[Finding]] = KeptResult(kept_finding(settings.folder), Remembered[Finding])
        self.work: LongWork[Finding] = LongWork(now=now, kept=kept)
        self.progress = ToldProgress()

    def look(self, niks: Sequence[str] | None = None) -> bool:
        """Begin to look for who shares one of these NIKs, or at everybody; return False where that is done already."""
        return self.work.begin(lambda: self._find(FindRequest(niks)))

    async def close(self) -> None:
        """Give it up."""
        await self.work.close()

    async def _find(self, request: FindRequest) -> Finding:
        return await find(request, self._client, self._ledger, self._settings, progress=self.progress)


class ToldProgress:
    """Progress in words for whoever asks (ports.Progress)."""

    def __init__(self) -> None:
        self._phase = ""
        self._done = ""

    @property
    def words(self) -> str:
        """What is being done and how far that is, "" before anything is."""
        return " ".join(filter(None, (self._phase, self._done)))

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase."""
        self._phase, self._done = (f"{name}, {total:,} in all" if total else name), ""

    def advance(self, done: int, share: float | None = None) -> None:
        """Say how much is done."""
        self._done = f"({share:.0%})" if share is not None else f"({done:,} done)"
