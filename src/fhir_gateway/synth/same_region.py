"""Whether a report is of a region's export, or a file is that export: its own columns say what the export's rows say."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import dropwhile, islice
from pathlib import Path

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.synth import cohort
from fhir_gateway.synth.generate import FILES
from fhir_gateway.synth.reports import read_cells, sheet_rows

_COMPARED = 200
"""Rows of a report that are compared: the first ones, since people stand anywhere in them."""
_ALIKE = 0.75
"""The least share of a row's words that its report has; clinics, places and vaccines are the same in any region."""
_WORD = re.compile(r"[A-Za-z0-9]{3,}")
"""ASCII alone, so that it is the same in every encoding."""
_REPORTED = ("gateway_", "patient_id", "immunization_ids", "match_grade")


def check_same_region(folder: Path, source: str, report: Path) -> bool:
    """Hold a report's first rows against the export of this source in the folder, if both are there to be compared.

    Returns whether they were; raises SourceError where most of them are not those of the export.
    """
    export = folder / FILES[source]
    if not export.exists():
        return False
    reported = {
        int(cells["gateway_row"]): words
        for cells in islice(read_cells(report), _COMPARED)
        if cells.get("gateway_row", "").isdecimal() and (words := _words(_own(cells)))
    }
    if told := _what_differs(export, reported):
        raise SourceError(
            f"{report}: this is no report of {export}: {told}; give the report of loading that file, or with --truth the"
            " folder of the file that was loaded"
        )
    return bool(reported)


def check_same_export(folder: Path, source: str, file: Path) -> bool:
    """Hold a file's first rows against the export of this source in the folder, as check_same_region does a report's."""
    export = folder / FILES.get(source, "")
    if not export.is_file() or file.suffix.lower() != export.suffix:
        return False
    rows = {row: words for row, words in enumerate(islice(_rows(file), _COMPARED), start=1) if words}
    if told := _what_differs(export, rows):
        raise SourceError(
            f"{file}: the truth in {folder} is about other rows: beside {export} {told}; give with --truth the folder of the"
            " file itself"
        )
    return bool(rows)


def _what_differs(export: Path, rows: Mapping[int, frozenset[str]]) -> str:
    """Tell where most of these rows (by their numbers) are not those of the export, "" where they are."""
    others = [
        row
        for row, words in enumerate(islice(_rows(export), max(rows, default=0)), start=1)
        if row in rows and len(words & rows[row]) < _ALIKE * len(words)
    ]
    if 2 * len(others) <= len(rows):
        return ""
    return f"row {others[0]} of it says other things, and so do {len(others)} of the first {len(rows)} rows"


def _own(cells: dict[str, str]) -> Iterator[str]:
    return (text for name, text in cells.items() if not name.startswith(_REPORTED))


def _rows(export: Path) -> Iterator[frozenset[str]]:
    if export.suffix == ".xlsx":
        from_header = dropwhile(lambda cells: cohort.COLUMNS[0] not in cells, sheet_rows(export))
        yield from map(_words, islice(from_header, 1, None))
        return
    with export.open(encoding="latin-1", newline="") as file:
        yield from (_words([line]) for line in islice(file, 1, None) if line.strip())


def _words(cells: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in cells for word in _WORD.findall(text))
