"""How vaccine names and dose numbers are written: the same name in many spellings becomes the same key."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fhir_gateway.domain.recent import remembered

_BRACKETS = re.compile(r"[(\[{]([^)\]}]*)[)\]}]?")
_NOISE = re.compile(
    r"\b(?:vaksin|vaksinasi|vaccine|vaccin|vacc|vac|vaks|vak|vc|imunisasi|imun|injeksi|inj|injection|program|bias|lanjutan|"
    r"rutin|ori|kampanye|massal|masal|catch\s*up|ulang|susulan|primer|"
    r"dasar|tambahan|baduta|balita|bayi|kejar|ditolak|menolak|tolak|ditunda|tunda|bio\s*farma|biofarma|"
    r"wus|bumil|catin|caten|ibu\s+hamil|anak\s+sekolah|pfs|vial|flash|ampul|amp|fls|botol)\b"
    r"|[+&]\s*pelarut\b"
)
_TO_INJECT = re.compile(r"^\W*suntik(?:an)?\b")
"""What goes before any vaccine; behind a name it tells one from drops, as in "Polio suntik"."""
_UNITS = re.compile(
    r"(?<![a-z\d])0[.,]\d+(?!\d|\s*[a-zµ])|(?<![a-z\d])\d+(?:[.,]\d+)*\s*(?:ml|cc|mcg|ug|µg|mg|iu|ui|lf|dss?|dosis|doses|dose|gtt|vial|amp|ampul)(?![a-z])"
    r"(?!\s*(?:ke\b|\d))"
)
_AGES = re.compile(
    r"[<>]?\s*(?<![a-z\d])\d+(?:\s*-\s*\d+)?\s*(?:hari|jam|jm|bulan|bln|bl|tahun|thn|th|minggu|mgg|kelas|kls)\b|\b(?:kelas|kls)\s*\w+"
)
_NOL = re.compile(r"\bnol\b")
_TOKENS = re.compile(r"[^\W\d_]+|\d+")
_ROMAN = {
    roman: number for number, roman in enumerate(("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"), start=1)
} | {"ll": 2, "lll": 3}
_WORDS = {"pertama": 1, "kedua": 2, "ketiga": 3, "keempat": 4, "kelima": 5, "satu": 1, "dua": 2, "tiga": 3, "empat": 4}
_DOSE_WORDS = frozenset({"dosis", "ke", "dose", "suntikan", "d", "no", "nomor"})
_BOOSTERS = frozenset({"booster", "boster", "ulangan", "penguat"})
HIGHEST_DOSE = 10

_OWN_COLUMN = re.compile(
    r"(?:(?:dosis|dose|suntikan|d|imunisasi)?\s*(?:ke|no\.?|nomor)?\s*[-.:#]?\s*)"
    r"(\d{1,2}|[ivx]{1,4}|pertama|kedua|ketiga|keempat|kelima|satu|dua|tiga|empat)(?:[.,]0+)?\s*\.?"
)
_TIMES = re.compile(r"(\d{1,2})\s*(?:x|kali)")
_WITHIN_TEXT = re.compile(
    r"\b(?:dosis|dose|suntikan|imunisasi)\s*(?:ke)?\s*[-.:#]?\s*"
    r"(\d{1,2}|[ivx]{1,4}|pertama|kedua|ketiga|keempat|kelima)\b(?![.,]\d|\s*(?:ml|cc|mg|mcg|tetes|gtt|x))"
    r"|\bke\s*[-.]?\s*(\d{1,2}|[ivx]{1,4})\b"
)


class DoseNumber(NamedTuple):
    """A dose number: a positive number, or `booster`; neither where it is unknown."""

    number: int = 0
    booster: bool = False

    def __bool__(self) -> bool:
        return self.booster or self.number > 0


UNKNOWN_DOSE = DoseNumber()


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to read a vaccine's name: the key to look up, and the dose number that stood behind the name."""

    key: str
    dose: DoseNumber = UNKNOWN_DOSE


def spelling_key(text: str) -> str:
    """Return a name's key: case, accents, punctuation and blanks do not matter."""
    return "".join(_tokens(_fold(text)))


@remembered(2048)
def spellings(text: str) -> tuple[Spelling, ...]:
    """Return how a vaccine's name may be read, the most telling reading first.

    Packing, ages and words as "vaksin" are left out, the dose number behind the name (2, II, "dosis 2", booster) is
    taken off, a name in brackets (often the brand) goes before the one outside.
    """
    folded = _fold(text)
    measured = _measured(folded)
    bare = _bare(measured)
    outside = _BRACKETS.sub(" ", bare)
    within = " ".join(match[1] for match in _BRACKETS.finditer(bare))
    found = {Spelling("".join(_tokens(folded))): None}
    for words in (measured, bare):
        found.update(dict.fromkeys(_without_dose(_tokens(words))))
    found.update(dict.fromkeys(_without_booster(_tokens(bare))))
    dose = next((reading.dose for reading in (*_without_dose(_tokens(outside)), *found) if reading.dose), UNKNOWN_DOSE)
    for variant in (within, outside):
        found.update(dict.fromkeys(Spelling(r.key, r.dose or dose) for r in _without_dose(_tokens(variant))))
    return tuple(reading for reading in found if reading.key)


def halves(text: str) -> Iterator[tuple[Spelling, Spelling]]:
    """Yield a text as two names beside each other, as in "bOPV Polio Tetes" or "OPV4/bOPV", with all ways to read them."""
    tokens = _tokens(_bare(_measured(_fold(text))))
    for place in range(1, len(tokens)):
        for first in _without_dose(tokens[:place]):
            for second in _without_dose(tokens[place:]):
                yield first, second


@remembered(4096)
def read_dose_number(text: str, *, own_column: bool) -> DoseNumber:
    """Read a dose number; in a column of its own a lone number or "2x" is one, in free text only what is named so."""
    folded = _fold(text).strip()
    if any(word in _BOOSTERS for word in _tokens(folded)):
        return DoseNumber(booster=True)
    if own_column:
        match = _OWN_COLUMN.fullmatch(folded) or _TIMES.fullmatch(folded)
        return _as_dose(match[1]) if match else UNKNOWN_DOSE
    match = _WITHIN_TEXT.search(folded)
    if match:
        return _as_dose(match[1] or match[2])
    lone = re.fullmatch(r"\d{1,2}|[ivx]{1,4}", folded)
    return _as_dose(folded) if lone else UNKNOWN_DOSE


def _fold(text: str) -> str:
    return _NOL.sub("0", unicodedata.normalize("NFKC", text).casefold())


def _measured(folded: str) -> str:
    """Return a name without ages and packing, by which no vaccine is told from another."""
    return _UNITS.sub(" ", _AGES.sub(" ", folded))


def _bare(measured: str) -> str:
    """Return a name without words that any vaccine may have around it."""
    return " ".join(_NOISE.sub(" ", _TO_INJECT.sub(" ", measured)).split())


def _tokens(text: str) -> list[str]:
    return _TOKENS.findall(text)


def _without_dose(tokens: list[str]) -> Iterator[Spelling]:
    """Yield the name as it stands, then with more and more of the dose number behind it taken off."""
    dose = UNKNOWN_DOSE
    rest = list(tokens)
    yield Spelling("".join(rest))
    while len(rest) > 1 and _belongs_to_dose(rest[-1]):
        last = rest.pop()
        found = DoseNumber(booster=True) if last in _BOOSTERS else _as_dose(last)
        dose = found if found.booster or not dose else dose
        yield Spelling("".join(rest), dose)


def _without_booster(tokens: list[str]) -> Iterator[Spelling]:
    """Yield the name without a booster that stands inside it, as in `covid 19 booster 1 pfizer`."""
    for place, token in enumerate(tokens):
        if token in _BOOSTERS:
            counted = tokens[place + 1 : place + 2]
            rest = tokens[place + 2 :] if counted and counted[0].isdigit() else tokens[place + 1 :]
            yield Spelling("".join([*tokens[:place], *rest]), DoseNumber(booster=True))


def _belongs_to_dose(token: str) -> bool:
    return token in _ROMAN or token in _WORDS or token in _DOSE_WORDS or token in _BOOSTERS or token.isdigit()


def _as_dose(token: str) -> DoseNumber:
    number = int(token) if token.isdigit() else _ROMAN.get(token, _WORDS.get(token, 0))
    return DoseNumber(number) if 0 < number <= HIGHEST_DOSE else UNKNOWN_DOSE
