"""Which encoding a text file has: its byte order mark, else what its first bytes beyond ASCII can be."""

import codecs
import re
from collections.abc import Iterator
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
# A lead byte of UTF-8 with all its continuation bytes.
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def has_utf8_mark(path: Path) -> bool:
    """Tell whether the file begins with UTF-8's byte order mark."""
    with path.open("rb") as file:
        return file.read(3) == codecs.BOM_UTF8


def detect_encoding(path: Path, *, given: str = "", expected: str = "") -> str:
    """Return the name of the codec to read the file with.

    `given` is the user's word and always holds; `expected` is the mapping's and gives way to a byte order mark and to
    text that is plainly UTF-8. Raises SourceError for an encoding that is not known.
    """
    if given:
        return _codec(given)
    with path.open("rb") as file:
        start = file.read(4096)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if wide := _utf16_without_mark(start):
        return wide
    return _narrow_encoding(path, _codec(expected) if expected else "")


def _codec(name: str) -> str:
    try:
        codec = _KNOWN.get(codecs.lookup(name).name)
    except LookupError:
        codec = None
    if codec is None:
        raise SourceError(f"unknown encoding '{name}': use one of {', '.join(sorted(_KNOWN))}")
    return codec


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


def _narrow_encoding(path: Path, expected: str) -> str:
    """Decide on the first block that is not plain ASCII, however far into the file it stands."""
    for block in _blocks(path):
        if block.isascii():
            continue
        multibyte = _MULTIBYTE.findall(block)
        stray = len(_BEYOND_ASCII.findall(block)) - sum(map(len, multibyte))
        # Other encodings hardly ever look like UTF-8: few whole characters of it outweigh some damaged bytes.
        if len(multibyte) * 4 > stray:
            return "utf-8-sig"
        return expected if expected not in {"", "utf-8-sig"} else "cp1252"
    return "utf-8-sig"


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            # A line at a time at the end, so that no character is cut in two.
            yield block + file.readline(_BLOCK)
