"""Which kind of file the input is, told by its content; a file of no readable kind gets advice."""

import re
import zipfile
from enum import StrEnum
from pathlib import Path

from fhir_gateway.domain.errors import SourceError

_SAMPLE = 1 << 16
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_SEARCHED = 1 << 22
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_SAVE_AS = "open it in a spreadsheet program and save it as XLSX or CSV"
_FOREIGN = (
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"SQLite format 3\x00", "a SQLite database: export its table as CSV"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x1e", "a JSON text sequence (RFC 7464): take its record separators away, as `tr -d '\\036'` does"),
)
_OLD_WORKBOOKS = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"ID;PWXL", b"MIME-Version:")
"""How workbooks begin that are older than OLE files, SYLK files and web archives."""
_MARKUP = re.compile(rb"\s*<(?:[!?]|[a-z]+[\s>])", re.IGNORECASE)
_OBJECT_BELOW = re.compile(rb"(?!\[)[^\r\n]*[\r\n]+\s*\{\s*\"[^\r\n]*\}\s*(?:[\r\n]|\Z)")
"""A first line, whatever it is, and an object in the second: NDJSON whose first row is broken."""
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x19\x1b-\x1f\x7f]")


class Kind(StrEnum):
    """The kinds of input that can be read."""

    CSV = "csv"
    XLSX = "xlsx"
    NDJSON = "ndjson"


def detect_kind(path: Path) -> Kind:
    """Return the kind of the file; raises SourceError for what cannot be read, with what to do instead."""
    if path.is_dir():
        raise SourceError(f"{path}: is a folder: name a file")
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    if not path.is_file():
        raise SourceError(f"{path}: is no regular file; it is read more than once, so save it to one first")
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    if not sample:
        raise SourceError(f"{path}: the file is empty")
    if sample.startswith(b"PK"):
        return _zip_kind(path)
    _refuse_foreign(path, sample)
    return _text_kind(path, sample)


def _zip_kind(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise SourceError(f"{path}: a damaged or cut off XLSX or zip file: copy or export it again") from error
    if "xl/workbook.bin" in names:
        raise SourceError(f"{path}: a binary workbook (.xlsb): {_SAVE_AS}")
    if any(name.startswith("xl/") for name in names):
        return Kind.XLSX
    if "content.xml" in names:
        raise SourceError(f"{path}: an OpenDocument file: {_SAVE_AS}")
    raise SourceError(f"{path}: a zip archive, but no XLSX workbook: unpack it and name the file inside")


def _refuse_foreign(path: Path, sample: bytes) -> None:
    if sample.startswith(_OLE):
        raise SourceError(f"{path}: {_ole_advice(path)}")
    if sample.startswith(_OLD_WORKBOOKS):
        raise SourceError(f"{path}: an old workbook or a web archive, whatever its name says: {_SAVE_AS}")
    for start, what in _FOREIGN:
        if sample.startswith(start):
            raise SourceError(f"{path}: {what}; the gateway reads CSV, XLSX and NDJSON")
    if _MARKUP.match(sample.removeprefix(b"\xef\xbb\xbf")):
        raise SourceError(f"{path}: an HTML or XML page, whatever its name says: {_SAVE_AS}")


def _ole_advice(path: Path) -> str:
    with path.open("rb") as file:
        if _ENCRYPTED in file.read(_OLE_SEARCHED):
            return "a password protected workbook: open it with its password and save it without one, as XLSX"
    return f"an old Excel workbook (.xls): {_SAVE_AS}"


def _text_kind(path: Path, sample: bytes) -> Kind:
    if len(_CONTROLS.findall(sample)) > 20 + len(sample) * 0.02:
        raise SourceError(f"{path}: a binary file; the gateway reads CSV, XLSX and NDJSON")
    # Zero bytes go, so that UTF-16 is told like the rest; byte order marks too.
    text = sample.removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe").replace(b"\0", b"").lstrip()
    if not text:
        raise SourceError(f"{path}: the file holds nothing but blanks")
    if text.startswith(b"{") or _OBJECT_BELOW.match(text):
        return Kind.NDJSON
    if text.startswith(b"[") and text[1:].lstrip()[:1] in {b"{", b"]", b'"', b"["}:
        raise SourceError(f"{path}: a JSON array: write one object a line (NDJSON), as `jq -c '.[]'` does")
    return Kind.CSV
