"""Lines of a text file, decoded in blocks of bounded size; what cannot be decoded marks only its own line."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from fhir_gateway.domain.records import Problem
from fhir_gateway.sources.encodings import Encoding, foreign_characters

LONGEST_ROW = 131_072
"""Characters of a row, its embedded line breaks included; the same limit as Python's csv has for one cell."""

TOO_LONG = Problem("row-too-long", f"the row is longer than {LONGEST_ROW} characters", "correct the row in the export")

UNDECODABLE = "\udc80"
"""Stands in a line for bytes that are no text in the file's encoding; no codec yields it for real text."""

_BLOCK = 1 << 18
_ERRORS = "fhir-gateway-mark"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error(_ERRORS, _mark)


class TextLines:
    """Iterates over the lines of a file without their terminator.

    What is UTF-8 in a mixed file counts as undecodable: read as the file's encoding it would be other letters. A line longer than LONGEST_ROW is cut to one character more, so that the reader sees that it is too long.
    `position` is the number of bytes read so far.
    """

    def __init__(self, path: Path, encoding: Encoding, *, terminator: str = "\n") -> None:
        self._path = path
        self._codec = encoding.codec
        self._foreign = foreign_characters(encoding)
        self._terminator = terminator
        self.position = 0

    def __iter__(self) -> Iterator[str]:
        if self._codec.startswith(("utf-16", "utf-32")):
            yield from self._wide_lines()
            return
        rest = ""
        self.position = 0
        for block in self._blocks():
            lines = (rest + block).split(self._terminator)
            rest = lines.pop()[: LONGEST_ROW + 1]
            yield from map(self._marked, lines) if self._foreign else lines
        if rest:
            yield self._marked(rest)

    def _wide_lines(self) -> Iterator[str]:
        """Yield lines of two or four bytes a character, each decoded by itself: a lost byte shifts no other line."""
        with self._path.open("rb") as file:
            codec, mark = _byte_order(self._codec, file.read(4))
            file.seek(mark)
            self.position = mark
            end, rest = self._terminator.encode(codec), b""
            while block := file.read(_BLOCK):
                self.position += len(block)
                lines = (rest + block).split(end)
                rest = lines.pop()[: 4 * (LONGEST_ROW + 1)]
                yield from (line.decode(codec, _ERRORS) for line in lines)
        if rest:
            yield rest.decode(codec, _ERRORS)

    def _marked(self, line: str) -> str:
        return line if self._foreign is None or line.isascii() else self._foreign.sub(UNDECODABLE, line)

    def _blocks(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self._codec)(_ERRORS)
        with self._path.open("rb") as file:
            while block := file.read(_BLOCK):
                self.position += len(block)
                yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def _byte_order(codec: str, start: bytes) -> tuple[str, int]:
    """Return the codec with its byte order, which a mark tells, and the mark's bytes."""
    marks = {"utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)}
    little, big = marks[codec[:6]]
    if codec in marks:
        codec += "-be" if start.startswith(big) else "-le"
    return codec, len(little) if start.startswith((little, big)) else 0


def terminator_of(path: Path, encoding: Encoding) -> str:
    """Return what ends the file's lines: a carriage return alone only where no line feed is near."""
    first = next(iter(TextLines(path, encoding)), "")
    return "\r" if "\r" in first.removesuffix("\r") else "\n"


def readable(line: str) -> str:
    """Return a line as text that can be written again: what was no text, and NUL, became U+FFFD."""
    return line.replace(UNDECODABLE, "\N{REPLACEMENT CHARACTER}").replace("\0", "\N{REPLACEMENT CHARACTER}").strip("\r")
