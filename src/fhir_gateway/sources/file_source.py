"""What every input file has in common: its identity, its header, and that it must not change while it is read."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import SourceRecord, UnreadableRow
from fhir_gateway.sources.columns import Header, misread_doses, unread_columns
from fhir_gateway.sources.doubts import Doubts


class FileSource(ABC):
    """An opened input file (fhir_gateway.ports.Source); the kinds say how its rows are read."""

    delimiter = ""
    encoding = ""
    byte_order_mark = True

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.layout = header.layout
        self.header = header.names
        self.keys = header.keys
        self.unread = unread_columns(header)
        if problem := misread_doses(header):
            raise SourceError(f"{path}: {problem}")
        doses = header.layout.doses
        self.without_doses = bool(doses) and doses.isdisjoint(header.keys)
        self._state = _state(path)
        self._doubts: Doubts | None = Doubts(self.layout, self.keys)
        """None when it is read again, for its report: what was done with it is done."""

    @property
    def modified(self) -> datetime:
        """When the file was last written, in UTC."""
        return datetime.fromtimestamp(self._state[1] / 1e9, tz=UTC)

    def records(self) -> Iterator[SourceRecord | UnreadableRow]:
        """Yield every data row (see fhir_gateway.ports.Source); raises SourceError behind the last where all may be misread."""
        self._check_unchanged()
        doubts, self._doubts = self._doubts, None
        with _told(self.path):
            yield from self._rows() if doubts is None else doubts.noted(self._rows())
        self._check_unchanged()
        if doubts is not None and (doubt := doubts.told()):
            raise SourceError(f"{self.path}: {doubt}")

    @abstractmethod
    def _rows(self) -> Iterator[SourceRecord | UnreadableRow]:
        """Yield every data row; the file is as it was when it was opened."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes, in hex."""
        with _told(self.path), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @abstractmethod
    def position(self) -> int:
        """Return how many of `extent` the newest reading has passed."""

    def extent(self) -> int:
        """Return what `position` counts up to: the file's bytes, where the kind does not know better."""
        return self._state[0]

    def progress(self) -> float:
        """Return how much has been read, from 0 to 1."""
        return min(1.0, self.position() / max(1, self.extent()))

    def _check_unchanged(self) -> None:
        if _state(self.path) != self._state:
            raise SourceError(f"{self.path}: the file has changed since it was opened: run the command again")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a SourceError."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path}: cannot be read on: {error.strerror or error}") from error


def _state(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    return stat.st_size, stat.st_mtime_ns
