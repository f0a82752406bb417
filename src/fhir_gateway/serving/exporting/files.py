"""The files of one export in a folder of its own: opaque names, readable by the gateway's user alone."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from fhir_gateway.domain.exports import ExportFile, FileKind

MOST_LINES = 100_000
"""Lines of a file, about: a client can fetch several at once, and begin one of them again."""


class NdjsonFiles:
    """Fulfils ports.exports.ExportFiles in a folder, which is made (0700, files 0600)."""

    def __init__(self, folder: Path, *, most_lines: int = MOST_LINES) -> None:
        self._folder = folder
        self._most_lines = most_lines
        self._files: dict[str, ExportFile] = {}
        self._touched: set[str] = set()
        make_private(folder)

    def write(self, kind: FileKind, resource_type: str, lines: Sequence[bytes]) -> None:
        """Append lines, each without its line end; a file that is full is followed by another."""
        if not lines:
            return
        file = self._open_one(kind, resource_type)
        content = b"\n".join([*lines, b""])
        descriptor = os.open(self._folder / file.name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        count = file.count + len(lines)
        full = count >= self._most_lines
        self._files[file.name] = replace(file, count=count, size=file.size + len(content), full=full)
        self._touched.add(file.name)

    def settle(self) -> tuple[ExportFile, ...]:
        """Bring everything to the disk and return what there is."""
        for name in self._touched:
            descriptor = os.open(self._folder / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._touched.clear()
        return tuple(self._files.values())

    def restore(self, files: Sequence[ExportFile]) -> bool:
        """Go back to what settle returned; False, and nothing is left, where that is not there any more."""
        whole = all(self._size(one) >= one.size for one in files)
        kept = {one.name: one for one in files} if whole else {}
        for path in self._folder.glob("*.ndjson"):
            if path.name not in kept:
                path.unlink()
        for one in kept.values():
            os.truncate(self._folder / one.name, one.size)
        self._files = kept
        self._touched.clear()
        return whole

    def drop(self, resource_type: str) -> None:
        """Remove a type's output."""
        for file in list(self._files.values()):
            if file.kind is FileKind.OUTPUT and file.resource_type == resource_type:
                (self._folder / file.name).unlink(missing_ok=True)
                del self._files[file.name]
                self._touched.discard(file.name)

    def written_of(self, resource_type: str, ids: frozenset[str]) -> frozenset[str]:
        """Return which of these resources stand in the output already."""
        found: set[str] = set()
        for file in self._files.values():
            if file.kind is FileKind.OUTPUT and file.resource_type == resource_type and ids - found:
                with (self._folder / file.name).open("rb") as lines:
                    found |= {one for line in lines if (one := str(orjson.loads(line)["id"])) in ids}
        return frozenset(found)

    def _open_one(self, kind: FileKind, resource_type: str) -> ExportFile:
        for file in self._files.values():
            if file.kind is kind and file.resource_type == resource_type and not file.full:
                return file
        file = ExportFile(f"{secrets.token_hex(16)}.ndjson", kind, resource_type)
        self._files[file.name] = file
        return file

    def _size(self, file: ExportFile) -> int:
        try:
            return (self._folder / file.name).stat().st_size
        except OSError:
            return -1


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Say whether this process is the only one that works on an export's folder, which is so until the end."""
    make_private(folder)
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def make_private(folder: Path) -> None:
    """Make an export's folder, and the one that all exports stand in, for the gateway's user alone (0700)."""
    for one in (folder.parent, folder):
        one.mkdir(parents=True, exist_ok=True, mode=0o700)
        one.chmod(0o700)


def remove(folder: Path) -> None:
    """Remove an export's folder with everything in it."""
    shutil.rmtree(folder, ignore_errors=True)
