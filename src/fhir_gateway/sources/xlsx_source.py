"""XLSX."""

from collections.abc import Sequence
from pathlib import Path

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout
from fhir_gateway.sources.file_source import FileSource


def open_xlsx(path: Path, layouts: Sequence[Layout], *, sheet: str, others: Sequence[Layout]) -> FileSource:
    """Open."""
    raise SourceError(f"{path}: XLSX cannot be read yet ({len(layouts)}, {sheet}, {len(others)})")
