"""NIKs as somebody types or pastes them into a form."""

import re

from fhir_gateway.console.guarding import PageRefusedError
from fhir_gateway.people.nik import read_nik

_DIGITS = 16
_BETWEEN_NIKS = re.compile(r"[\n\r,;]+")


def one_nik(text: str) -> str:
    """Return a NIK's digits, "" for nothing; raises PageRefusedError where it is none."""
    digits = read_nik(text).digits if text.strip() else ""
    if text.strip() and len(digits) != _DIGITS:
        raise PageRefusedError(422, "That is no NIK: it has 16 digits.")
    return digits


def many_niks(text: str) -> list[str]:
    """Return the NIKs of a text, one a line or parted by blanks, commas or semicolons, each once.

    Raises PageRefusedError that names the place of what is none, and does not show it.
    """
    found: list[str] = []
    for part in _BETWEEN_NIKS.split(text):
        words = [part] if len(read_nik(part).digits) == _DIGITS else part.split()
        found += [read_nik(word).digits for word in words]
    for place, digits in enumerate(found, start=1):
        if len(digits) != _DIGITS:
            raise PageRefusedError(422, f"What stands at place {place} is no NIK: it has 16 digits.")
    return list(dict.fromkeys(found))


def masked(nik: str) -> str:
    """Return a NIK with its middle covered."""
    return f"{nik[:2]}{'•' * (len(nik) - 4)}{nik[-2:]}" if nik else ""
