"""Whether a report is of a region's export: its own columns say what the export's rows say."""

import re
from collections.abc import Iterable, Iterator
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
        if cells.get("gateway_row", "").isdigit() and (words := _words(_own(cells)))
    }
    others = [
        row
        for row, words in enumerate(islice(_rows(export), max(reported, default=0)), start=1)
        if row in reported and len(words & reported[row]) < _ALIKE * len(words)
    ]
    if 2 * len(others) > len(reported):
        raise SourceError(
            f"{report}: this is no report of {export}: row {others[0]} of it says other things, and so do"
            f" {len(others)} of the first {len(reported)} rows; give the report of loading that file, or with --truth the"
            " folder of the file that was loaded"
        )
    return bool(reported)


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
