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
_GONE = "deleted"
"""What stands for the version of a resource whose deletion a client was told."""


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
            versions = [one for line in lines for one in _versions_in(line)]
            with self._ledger.transaction():
                self._ledger.pulls.give(self._job.client, versions, at=self._clock.now())
            yield b"".join(lines)

    def close(self) -> None:
        """Close the file and the ledger."""
        self._file.close()
        if self._ledger is not None:
            self._ledger.close()


def _versions_in(line: bytes) -> Iterator[PulledVersion]:
    """Yield the version that a line tells of, or, for a Bundle of deletions, that these resources are gone."""
    resource = orjson.loads(line)
    if resource["resourceType"] == "Bundle":
        for entry in resource["entry"]:
            yield PulledVersion(entry["request"]["url"], _GONE)
    elif "id" in resource:
        version = resource.get("meta", {}).get("versionId")
        yield PulledVersion(f"{resource['resourceType']}/{resource['id']}", version if isinstance(version, str) else "")
