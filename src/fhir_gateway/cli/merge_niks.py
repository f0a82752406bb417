"""NIKs as an operator gives them: words on the command line, or a file with one in each line."""

from collections.abc import Sequence
from pathlib import Path

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.people.nik import NikStatus, read_nik


def is_nik(word: str) -> bool:
    """Tell whether a word is a NIK; a Patient's id hardly ever has sixteen digits and nothing else."""
    return len(word) == 16 and word.isascii() and word.isdigit()


def read_niks(path: Path) -> list[str]:
    """Return the NIKs of a file, each once: the first column of every line, comments (#) and a heading left out.

    Raises UsageError where the file cannot be read or a line has no valid NIK; the message names the line, not the
    value.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not written in UTF-8"
        raise UsageError(f"{path.name} cannot be read: {words}") from None
    found: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        word = line.replace(";", ",").replace("\t", ",").partition(",")[0].strip().strip("\"'")
        if not word or word.startswith("#") or (number == 1 and not any(letter.isdigit() for letter in word)):
            continue
        nik = read_nik(word)
        if nik.status is not NikStatus.VALID:
            raise UsageError(f"{path.name}:{number}: there is no valid NIK: {nik.reason or 'none at all'}")
        found[nik.digits] = None
    return list(found)


def masked_niks(niks: Sequence[str]) -> str:
    """Return NIKs for a message: enough of each to know it again, not enough to learn it."""
    return ", ".join(f"{nik[:2]}…{nik[-2:]}" for nik in niks)
