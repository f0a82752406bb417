"""Lot numbers as they are written: with words around them, with their expiry, or a word where none is known."""

import re

from fhir_gateway.domain.recent import remembered

_INVENTED = re.compile(r"BATCH-?\d{14}")
"""mlite writes BATCH- and a time stamp where no lot was entered."""
_DAMAGED = re.compile(r"\d[.,]?\d*E[+-]?\d+")
"""A number that a spreadsheet has rounded: 1.23E+05."""
_BEFORE = re.compile(r"^(?:(?:LOT|BATCH|BETS|BETCH|NO|NOMOR|NUMBER)\b[\s.:#/-]*)+")
_EXPIRY = re.compile(r"[\s,;/(]*\b(?:EXP|EXPIRED|EXPIRY|ED|KADALUARSA|KEDALUWARSA|KDL)\b.*$")
_MONTH_OF_EXPIRY = re.compile(r"(?<=\w)(?:\s*/\s*|\s+)(?:0?[1-9]|1[0-2])[-/](?:20)?\d\d\)?$")
_DECIMALS = re.compile(r"(?<=\d)[.,]0+$")
_NONE = frozenset(
    {"NA", "NONE", "NULL", "UNKNOWN", "TIDAKADA", "TDKADA", "TAKADA", "TIDAKDIKETAHUI", "TDKDIKETAHUI", "TIDAKTAHU"}
    | {"TIDAKTERCATAT", "TDKTERCATAT", "TIDAKTERBACA", "TIDAKJELAS", "BELUMADA", "BELUM", "LUPA", "KOSONG", "NIHIL"}
)


@remembered(4096)
def plain_lot(text: str) -> str:
    """Return a lot in capitals without punctuation and what was written around it, "" where the text names none.

    For comparing: a lot of digits alone has no leading zeros, which spreadsheets take away.
    """
    shown = text.strip().upper()
    if _INVENTED.fullmatch(shown) or _DAMAGED.fullmatch(shown):
        return ""
    bare = _MONTH_OF_EXPIRY.sub("", _EXPIRY.sub("", _BEFORE.sub("", shown)))
    plain = "".join(filter(str.isalnum, _DECIMALS.sub("", bare)))
    if plain in _NONE or not plain.strip("X"):
        return ""
    return plain.lstrip("0") if plain.isdecimal() else plain
