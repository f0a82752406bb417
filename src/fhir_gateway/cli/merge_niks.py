"""NIKs as an operator gives them: words on the command line, or a file with one in each line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.merging.grouping import brings_together
from fhir_gateway.people.nik import read_nik

_DELIMITERS = ",;\t"
_COLUMN = "nik"
_PROBLEMS_TOLD = 10


def is_nik(word: str) -> bool:
    """Tell whether a word is a NIK; a Patient's id hardly ever has sixteen digits and nothing else."""
    return len(word) == 16 and word.isascii() and word.isdigit()


def read_niks(path: Path) -> list[str]:
    """Return the NIKs of a file, each once; one that ends in 0 is taken as it stands.

    One stands in each line, or in the column `NIK` of a CSV with a heading (the first column where none is called so).
    Blank lines and cells, and lines that begin with #, are passed over. Raises UsageError where the file cannot be read
    or has something else than a NIK; the message names the lines, not the values.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not written in UTF-8"
        raise UsageError(f"{path.name} cannot be read: {words}") from None
    found: dict[str, None] = {}
    problems: list[str] = []
    for number, word in _words(lines):
        nik = read_nik(word)
        if brings_together(nik):
            found[nik.digits] = None
        else:
            problems.append(f"{path.name}:{number}: there is no valid NIK: {nik.reason or 'none at all'}")
    if problems:
        more = len(problems) - _PROBLEMS_TOLD
        raise UsageError("\n".join([*problems[:_PROBLEMS_TOLD], *([f"… and {more} more"] if more > 0 else [])]))
    return list(found)


def _words(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each line's number and what stands where a NIK should."""
    column: int | None = None
    delimiter = ""
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        delimiter = delimiter or max(_DELIMITERS, key=line.count)
        cells = [cell.strip().strip("'") for cell in next(csv.reader([line], delimiter=delimiter), [])]
        if column is None:
            names = [cell.casefold() for cell in cells]
            column = names.index(_COLUMN) if _COLUMN in names else 0
            if not any(letter.isdigit() for letter in cells[column]):
                continue
        if column < len(cells) and cells[column]:
            yield number, cells[column]


def masked_niks(niks: Sequence[str]) -> str:
    """Return NIKs for a message: enough of each to know it again, not enough to learn it."""
    return ", ".join(f"{nik[:2]}…{nik[-2:]}" for nik in niks)
