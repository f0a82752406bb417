"""Open an input file: find its kind by its content, then the layout and the header that fit it."""

from collections.abc import Sequence
from pathlib import Path

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout
from fhir_gateway.ports import Source
from fhir_gateway.sources.csv_source import open_csv
from fhir_gateway.sources.kinds import Kind, detect_kind
from fhir_gateway.sources.ndjson_source import open_ndjson


def open_source(  # noqa: PLR0913 -- what a user may say about a file, all of it optional
    path: Path,
    layouts: Sequence[Layout],
    *,
    sheet: str = "",
    delimiter: str = "",
    encoding: str = "",
    others: Sequence[Layout] = (),
) -> Source:
    """Open a CSV, XLSX or NDJSON file with the layout that fits it best.

    `sheet`, `delimiter` and `encoding` override what the layout says and what would be detected. `others` are layouts
    that are not asked for, but are named in the error where they would fit. Raises SourceError where the file as a
    whole cannot be read: the message says why and what to do.
    """
    try:
        kind = detect_kind(path)
        if kind is Kind.XLSX:
            from fhir_gateway.sources.xlsx_source import open_xlsx  # noqa: PLC0415 - openpyxl takes 5 MiB

            return open_xlsx(path, layouts, sheet=sheet, others=others)
        if kind is Kind.NDJSON:
            return open_ndjson(path, layouts, encoding=encoding, others=others)
        return open_csv(path, layouts, delimiter=delimiter, encoding=encoding, others=others)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
