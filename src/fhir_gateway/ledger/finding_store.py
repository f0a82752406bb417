"""Room on disk for finding duplicates: files without a name in the ledger's folder, gone with the process that made them."""

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate, islice
from pathlib import Path
from typing import BinaryIO, cast

from fhir_gateway.domain.errors import LedgerError

_BUFFERED_BYTES = 1 << 20
_BUFFERED_NUMBERS = 8192
_NUMBER_BYTES = 8


class FileStore:
    """Makes the files of one finding (ports.FindingStore). No file has a name, so none outlives a crash."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._folder = folder
        self._files = files

    def records(self) -> "RecordFile":
        """Return an empty file of records."""
        return RecordFile(self._opened())

    def numbers(self) -> "NumberFile":
        """Return an empty file of numbers."""
        return NumberFile(self._opened())

    def _opened(self) -> BinaryIO:
        with _plain_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Readable by the owner only; on Linux it never has a name, elsewhere it loses it at once.
            return cast("BinaryIO", self._files.enter_context(tempfile.TemporaryFile(dir=self._folder, buffering=0)))


@contextmanager
def finding_store(folder: Path) -> Iterator[FileStore]:
    """Open a store in an environment's folder; what it holds is gone afterwards."""
    with ExitStack() as files:
        yield FileStore(folder, files)


class RecordFile:
    """Records one after another (ports.FindingRecords); eight bytes a record are kept in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ends = array("Q", [0])
        self._buffer = bytearray()
        self._written = 0

    def __len__(self) -> int:
        return len(self._ends) - 1

    def extend(self, records: Sequence[bytes]) -> None:
        """Write records, numbered on. Raises LedgerError where the disk is full."""
        self._buffer += b"".join(records)
        self._ends.extend(islice(accumulate(map(len, records), initial=self._ends[-1]), 1, None))
        if len(self._buffer) >= _BUFFERED_BYTES:
            self._flush()

    def get(self, number: int) -> bytes:
        """Return a record; raises IndexError where there is none of this number."""
        if self._buffer:
            self._flush()
        start, end = self._ends[number], self._ends[number + 1]
        return os.pread(self._file.fileno(), end - start, start)

    def _flush(self) -> None:
        _write(self._file, self._buffer)
        self._buffer.clear()


class NumberFile:
    """Numbers in parts (ports.FindingNumbers): what is buffered of a part is appended, and its place is noted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 0
        self._buffers: dict[int, array[int]] = {}
        self._places: dict[int, list[tuple[int, int]]] = {}

    def extend(self, part: int, values: "array[int]") -> None:
        """Write numbers into a part. Raises LedgerError where the disk is full."""
        buffer = self._buffers.get(part)
        if buffer is None:
            buffer = self._buffers[part] = array("Q")
        buffer.extend(values)
        if len(buffer) >= _BUFFERED_NUMBERS:
            self._spill(part, buffer)

    def parts(self) -> list[int]:
        """Return the parts that have numbers, in order."""
        return sorted(self._buffers)

    def of(self, part: int) -> "array[int]":
        """Return the numbers of a part, in no order that means anything."""
        found = array("Q")
        for start, size in self._places.get(part, ()):
            found.frombytes(os.pread(self._file.fileno(), size, start))
        found.extend(self._buffers.get(part, ()))
        return found

    def _spill(self, part: int, buffer: "array[int]") -> None:
        _write(self._file, buffer.tobytes())
        size = len(buffer) * _NUMBER_BYTES
        self._places.setdefault(part, []).append((self._end, size))
        self._end += size
        del buffer[:]


def _write(file: BinaryIO, content: bytes | bytearray) -> None:
    with _plain_errors(None):
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]


@contextmanager
def _plain_errors(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" in {folder}" if folder else ""
        raise LedgerError(
            f"there is no room for the people of the server beside the ledger{where}: {error.strerror};"
            " about 500 bytes a Patient are needed while duplicates are looked for"
        ) from error
