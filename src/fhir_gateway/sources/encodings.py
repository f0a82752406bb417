"""Which encoding a text file has: its byte order mark, else what all its bytes beyond ASCII together can be."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fhir_gateway.domain.errors import SourceError

_BLOCK = 1 << 18
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # which begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KNOWN = {
    "ascii": "ascii",
    "cp1250": "cp1250",
    "cp1252": "cp1252",
    "iso8859-1": "iso8859-1",
    "iso8859-15": "iso8859-15",
    "mac-roman": "mac-roman",
    "utf-8": "utf-8-sig",
    "utf-8-sig": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32": "utf-32",
}
UTF8 = "utf-8-sig"
_OF_ONE_BYTE = frozenset({"cp1250", "cp1252", "iso8859-1", "iso8859-15", "mac-roman"})
_ASCII = bytes(range(0x80))


@dataclass(frozen=True, slots=True)
class Encoding:
    """The codec to read a text file with; `mixed` where characters of UTF-8 stand in a file that as a whole is none."""

    codec: str
    mixed: bool = False


def has_utf8_mark(path: Path) -> bool:
    """Tell whether the file begins with UTF-8's byte order mark."""
    with path.open("rb") as file:
        return file.read(3) == codecs.BOM_UTF8


def detect_encoding(path: Path, *, given: str = "", expected: str = "") -> Encoding:
    """Return how to read a file of text that may be in any encoding, as CSV may.

    `given` is the user's word and always holds; `expected` is the mapping's and gives way to a byte order mark and to
    text that is plainly UTF-8. Raises SourceError for an encoding that is not known.
    """
    if given:
        return Encoding(_codec(given))
    if wide := _wide_or_marked(path):
        return Encoding(wide)
    return _narrow_encoding(path, _codec(expected) if expected else "cp1252")


def json_encoding(path: Path, *, given: str = "") -> Encoding:
    """Return how to read a file of JSON: UTF-8 (https://www.rfc-editor.org/rfc/rfc8259#section-8.1), whatever its bytes.

    Only `given`, the user's word, a byte order mark and the zero bytes of UTF-16 say otherwise. Raises SourceError for
    an encoding that is not known.
    """
    return Encoding(_codec(given) if given else _wide_or_marked(path) or UTF8)


def _codec(name: str) -> str:
    try:
        codec = _KNOWN.get(codecs.lookup(name).name)
    except LookupError:
        codec = None
    if codec is None:
        raise SourceError(f"unknown encoding '{name}': use one of {', '.join(sorted(_KNOWN))}")
    return codec


def _wide_or_marked(path: Path) -> str:
    """Return the codec that a byte order mark or the zero bytes of UTF-16 tell, "" where there is neither."""
    with path.open("rb") as file:
        start = file.read(4096)
    return next((codec for mark, codec in _MARKS if start.startswith(mark)), "") or _utf16_without_mark(start)


def _utf16_without_mark(start: bytes) -> str:
    """Tell UTF-16 by its zero bytes: in text of Latin letters nearly every second byte is one."""
    start = start[: len(start) // 2 * 2]
    half = len(start) // 2
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if half and odd > half * 0.6 and even < half * 0.1:
        return "utf-16-le"
    if half and even > half * 0.6 and odd < half * 0.1:
        return "utf-16-be"
    return ""


def _narrow_encoding(path: Path, otherwise: str) -> Encoding:
    """Decide between UTF-8 and another encoding by all bytes beyond ASCII, wherever they stand in the file.

    Other encodings hardly ever look like UTF-8: few whole characters of it outweigh some damaged bytes.
    """
    whole = stray = 0
    for block in _blocks(path):
        if not block.isascii():
            beyond = len(block.translate(None, _ASCII))
            as_utf8 = block.decode(errors="ignore")
            whole += len(as_utf8) - (len(block) - beyond)
            stray += len(block) - len(as_utf8.encode())
    if whole * 4 > stray or not stray:
        return Encoding(UTF8)
    return Encoding(otherwise, mixed=whole > 0 and otherwise in _OF_ONE_BYTE)


def foreign_characters(encoding: Encoding) -> re.Pattern[str] | None:
    """Return what finds the characters of UTF-8 in decoded lines of a mixed file, None for any other file."""
    if not encoding.mixed:
        return None
    decode = codecs.getdecoder(encoding.codec)

    def one_of(first: int, last: int) -> str:
        return "[" + re.escape(decode(bytes(range(first, last + 1)), "ignore")[0]) + "]"

    going_on = one_of(0x80, 0xBF)
    starts = ((one_of(0xC2, 0xDF), 1), (one_of(0xE0, 0xEF), 2), (one_of(0xF0, 0xF4), 3))
    return re.compile("|".join(f"{start}{going_on}{{{length}}}" for start, length in starts))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            # A line at a time at the end, so that no character is cut in two.
            yield block + file.readline(_BLOCK)
