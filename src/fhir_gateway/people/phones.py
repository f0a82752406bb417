"""Phone numbers as clinics write them: several in a cell, with remarks, damaged by spreadsheets."""

import re
from typing import NamedTuple

import phonenumbers

from fhir_gateway.domain.recent import remembered

_SEPARATORS = re.compile(r"[/;|&\n,\\]|\s+(?:atau|dan|or)\s+|(?<=\d)\s{2,}(?=[0+])", re.IGNORECASE)
_NEXT_MOBILE = re.compile(r"\s+(?=(?:\+?62|0)8)")
_REMARK = re.compile(r"\([^)0-9]*[A-Za-z][^)0-9]*\)|\[[^\]]*\]")
_LABEL = re.compile(r"(?:^|(?<=\s))[A-Za-z.'\u2019]+\s*[:.]?(?=\s|$)|^[A-Za-z .]+[:.]\s*")
_DECIMALS = re.compile(r"(?<=\d)[.,]0+$")
_SCIENTIFIC = re.compile(r"\d[.,]?\d*\s*[eE]\s*\+?\d+")
_EMPTY = frozenset({"", "-", "--", "0", "null", "none", "n/a", "na", "?", "tidak ada", "tdk ada", "kosong"})
_PLACEHOLDER = re.compile(r"(?:62|0)?8?(\d)\1{6,}")
_PUNCTUATION = str.maketrans("", "", " -.")
_PLAIN = re.compile(r"\+?\d+(?:[ -]\d+)*", re.ASCII)
"""One number and nothing beside it."""


def _mobile_pattern() -> re.Pattern[str]:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("ID")
    pattern = metadata.mobile.national_number_pattern if metadata and metadata.mobile else None
    return re.compile(rf"(?:\+62|62|0)?(?=8)({pattern})", re.ASCII)


_MOBILE = _mobile_pattern()
"""phonenumbers' own pattern of Indonesian mobile numbers, as they are written: what fits it needs not its slower way through all regions."""

_LETTER_AMONG_DIGITS = re.compile(r"[^\W\d_]")


class ReadPhones(NamedTuple):
    """The numbers of a cell in E.164, each once; `as_written` is the cell where normalising lost something."""

    numbers: tuple[str, ...] = ()
    as_written: str = ""


@remembered(4096)
def read_phones(text: str) -> ReadPhones:
    """Read every phone number of a cell; Indonesian ones need no country code. Never raises.

    Letters are never dialled: `0812… (ibu)` is a number with a remark, `O812…` is no number. Numbers that only fill
    the cell (081111111111) are left out, those that a spreadsheet has rounded (8.12E+11) cannot be restored.
    """
    if text.isdigit() or _PLAIN.fullmatch(text):
        digits = text if text.isdigit() else text.translate(_PUNCTUATION)
        if number := _plain_mobile(digits[1:] if digits.startswith("+62") else digits):
            return ReadPhones((number,))
    stripped = " ".join(text.replace("\n", " / ").split()).strip("'\u2019`\"").strip()
    if stripped.lower() in _EMPTY:
        return ReadPhones()
    if not stripped.isdigit() and _SCIENTIFIC.fullmatch(stripped):
        return ReadPhones(as_written=stripped)
    numbers: list[str] = []
    lossy = False
    for piece in _pieces(stripped):
        bare = piece if piece.isdigit() else _LABEL.sub(" ", _REMARK.sub(" ", piece)).strip()
        lossy = lossy or bare != piece
        if bare.lower() in _EMPTY or _is_placeholder(bare):
            continue
        found = _normalised(bare)
        lossy = lossy or not found
        numbers += [number for number in found if number not in numbers]
    return ReadPhones(tuple(numbers), stripped if lossy else "")


def _plain_mobile(text: str) -> str:
    """Return an Indonesian mobile number in E.164, "" for other numbers and for those that only fill the cell."""
    mobile = _MOBILE.fullmatch(text)
    if not mobile or (text.endswith(7 * text[-1]) and _PLACEHOLDER.fullmatch(text)):
        return ""
    return f"+62{mobile[1]}"


def _pieces(text: str) -> list[str]:
    """Split a cell where several numbers stand; a comma that ends in zeros is a spreadsheet's decimal."""
    if text.isdigit():
        return [text]
    return [piece.strip() for piece in _SEPARATORS.split(_DECIMALS.sub("", text)) if piece.strip()]


def _is_placeholder(text: str) -> bool:
    digits = text if text.isdigit() else "".join(character for character in text if character.isdigit())
    return not digits.strip("0") or bool(_PLACEHOLDER.fullmatch(digits))


def _normalised(text: str) -> list[str]:
    """Return a number in E.164, or several that only blanks part; none where it is no number."""
    number = _normalise(text)
    if number:
        return [number]
    parts = [_normalise(part) for part in _NEXT_MOBILE.split(text)] if " " in text else []
    return parts if all(parts) else []


def _normalise(text: str) -> str:
    """Return one number in E.164, "" where it is none."""
    if _LETTER_AMONG_DIGITS.search(text) or len(text) > 30:
        return ""
    plain = text.translate(_PUNCTUATION)
    if mobile := _plain_mobile(plain):
        return mobile
    international = "+" + text[2:] if text.startswith("00") else text
    try:
        parsed = phonenumbers.parse(international, "ID")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
