"""A file of an export as it is handed out: what was given to whom is noted as it leaves."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.domain.exports import ExportJob
from fhir_gateway.domain.registry import PulledVersion
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Clock

_CHUNK = 1 << 20


class Given:
    """A file as it is handed out: read piece by piece, each piece noted as given before it is. Close it."""

    def __init__(self, path: Path, ledger_url: str, job: ExportJob, clock: Clock) -> None:
        self._file = path.open("rb")
        self._job = job
        self._clock = clock
        self._ledger: Ledger | None = None
        try:
            self._ledger = Ledger(ledger_url)
        except LedgerError:
            self._file.close()
            raise

    def pieces(self) -> Iterator[bytes]:
        """Yield the file in pieces of whole lines, about a MiB each; to be read in a thread."""
        assert self._ledger is not None  # noqa: S101 - opened above
        while lines := self._file.readlines(_CHUNK):
            versions = [one for line in lines if (one := _version_in(line)) is not None]
            with self._ledger.transaction():
                self._ledger.pulls.give(self._job.client, versions, at=self._clock.now())
            yield b"".join(lines)

    def close(self) -> None:
        """Close the file and the ledger."""
        self._file.close()
        if self._ledger is not None:
            self._ledger.close()


def _version_in(line: bytes) -> PulledVersion | None:
    resource = orjson.loads(line)
    if "id" not in resource:
        return None
    version = resource.get("meta", {}).get("versionId")
    return PulledVersion(f"{resource['resourceType']}/{resource['id']}", version if isinstance(version, str) else "")
