"""Refuse workbooks that would eat the memory: sizes are judged before anything is unpacked, and again while reading.

Python's zipfile never unpacks more of a part than the size that the archive declares for it, so that judging the
declared sizes is enough; what is left to watch is one row that never ends.
"""

import zipfile
from pathlib import Path
from typing import IO

from fhir_gateway.domain.errors import SourceError

MIB = 1 << 20
_LARGEST_SHEET = 4096 * MIB
_LARGEST_STRINGS = 512 * MIB
_LARGEST_OTHER = 64 * MIB
_LARGEST_ROW = 32 * MIB
_MOST_PARTS = 10_000
# DEFLATE reaches 1,032:1 on nothing but repetition; sheets of real rows reach 10 to 60, formatted empty ones 200.
_HIGHEST_RATIO = 300
_RATIO_FROM = 32 * MIB


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise SourceError where a part of the workbook is larger than any real workbook's, encrypted or repeated."""
    parts = archive.infolist()
    if len(parts) > _MOST_PARTS or len({part.filename for part in parts}) < len(parts):
        raise SourceError(f"{path}: not a workbook that a spreadsheet program wrote: too many or repeated parts")
    for part in parts:
        if part.flag_bits & 1:
            raise SourceError(f"{path}: password protected: open it with its password and save it without one")
        too_dense = part.file_size > _RATIO_FROM and part.file_size > _HIGHEST_RATIO * max(1, part.compress_size)
        if part.filename.endswith((".xml", ".rels")) and (part.file_size > _largest(part.filename) or too_dense):
            size = part.file_size // MIB
            raise SourceError(
                f"{path}: its part {part.filename} would unpack to {size} MiB, more than a real workbook's:"
                " save the sheet as CSV"
            )


def _largest(name: str) -> int:
    if name.startswith("xl/worksheets/"):
        return _LARGEST_SHEET
    return _LARGEST_STRINGS if name == "xl/sharedStrings.xml" else _LARGEST_OTHER


class SheetStream:
    """A sheet's bytes on their way to the parser; counts them, and refuses a row that never ends."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path = path
        self._stream = stream
        self._row_began = 0
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """Read on; raises SourceError where one row has grown too long."""
        block = self._stream.read(min(size, MIB) if size > 0 else MIB)
        self.position += len(block)
        if self.position - self._row_began > _LARGEST_ROW:
            raise SourceError(f"{self._path}: a row of more than {_LARGEST_ROW // MIB} MiB: not a table")
        return block

    def row_ended(self) -> None:
        """Note that a row was read."""
        self._row_began = self.position
