"""Workbooks in ISO 29500's strict form are read like ordinary ones: only their namespaces have other names.

Excel writes it as "Strict Open XML Spreadsheet"; openpyxl knows the transitional names alone. What else differs, dates
as ISO 8601, openpyxl reads.
"""

import io
import zipfile
from typing import IO, Any, cast

# The names of ISO/IEC 29500-1 (strict) and of ISO/IEC 29500-4 (transitional).
_TRANSITIONAL = (
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (b"http://purl.oclc.org/ooxml/drawingml/main", b"http://schemas.openxmlformats.org/drawingml/2006/main"),
    (b"http://purl.oclc.org/ooxml/officeDocument/", b"http://schemas.openxmlformats.org/officeDocument/2006/"),
)
_DECLARED_WITHIN = 1 << 16
"""Bytes at a part's beginning that hold its root element, which declares the namespaces, and a workbook's relations."""


class WorkbookArchive(zipfile.ZipFile):
    """A workbook's archive whose parts all bear the transitional names."""

    def open(self, *args: Any, **options: Any) -> IO[bytes]:  # noqa: D102 - as zipfile's
        return cast("IO[bytes]", _Part(super().open(*args, **options)))


class _Part(io.RawIOBase):
    """A part of the archive: its beginning with other names, everything behind it as it is."""

    def __init__(self, part: IO[bytes]) -> None:
        self._part = part
        head = part.read(_DECLARED_WITHIN)
        for strict, transitional in _TRANSITIONAL:
            head = head.replace(strict, transitional)
        self._head = io.BytesIO(head)

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes or fewer, none at the end; everything that is left where none is given."""
        if size is None or size < 0:
            return self._head.read() + self._part.read()
        return self._head.read(size) or self._part.read(size)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def close(self) -> None:
        """Close the part."""
        self._part.close()
        super().close()
