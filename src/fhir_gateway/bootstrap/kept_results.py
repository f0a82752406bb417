"""The last result of long work, kept in a file beside the ledger, so that it survives the server."""

import logging
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.reports.targets import whole_file

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_FOUND = "last-finding.json"
_VERIFIED = "last-verification.json"


class KeptResult(Generic[T]):
    """One kind of result, as JSON; the file may hold patients' data and is its owner's alone."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        """Keep results of a type in a file."""
        self._path = path
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def keep(self, result: T) -> bool:
        """Keep a result in the place of the one before; return False where there is no room for it, which is logged."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with whole_file(self._path) as path:
                path.write_bytes(self._adapter.dump_json(result))
        except (OSError, GatewayError) as error:
            _LOG.warning("a result was not kept: %s", type(error).__name__)
            return False
        return True

    def read(self) -> T | None:
        """Return what was kept, None where there is nothing that this version reads."""
        try:
            return self._adapter.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _LOG.warning("a kept result cannot be read: %s", type(error).__name__)
            return None

    def exists(self) -> bool:
        """Say whether a result is kept; where there was one, it was erased."""
        return self._path.exists()


def kept_finding(folder: Path) -> Path:
    """Return where the duplicates that were found last are kept; personal data."""
    return folder / _FOUND


def kept_verification(folder: Path) -> Path:
    """Return where it is kept what verifying the history found last; no personal data."""
    return folder / _VERIFIED
