"""The plain words of a name in the forms in which they are compared: abbreviations, marks and joined words resolved."""

from collections.abc import Sequence

from rapidfuzz.distance import OSA

from fhir_gateway.domain.recent import remembered
from fhir_gateway.people.name_sounds import compared_form
from fhir_gateway.people.name_words import ABDUL_WITH, BALINESE_WORDS


@remembered(2048)
def compared_words(plain: tuple[str, ...]) -> tuple[str, ...]:
    """Return the compared forms of a name's plain words (small letters, no accents), without marks of sex and rank."""
    forms: list[str] = []
    for word in _without_marks(plain):
        if word.startswith("abd"):
            forms += _parts(word)
        else:
            forms.append(compared_form(word))
    if abbreviates(plain):
        forms[0] = "muhamad"
    return tuple(forms)


def _without_marks(plain: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the Balinese "I" and "Ni", which tell the sex alone and are as often left out; write "A.A." in full.

    "I" may be an initial, and is a mark only before a Balinese word, mistyped or not: I Kadel for I Kadek.
    """
    if len(plain) > 1 and plain[0] == "ni":
        return plain[1:]
    for beginning, full in _BALINESE_MARKS.get(plain[0], ()) if plain else ():
        rest = plain[len(beginning) :]
        if plain[: len(beginning)] == beginning and rest and _may_be_balinese(compared_form(rest[0])):
            return (*full, *rest)
    return plain


def _may_be_balinese(form: str) -> bool:
    if form in BALINESE_WORDS:
        return True
    return len(form) >= _LONG_WORD and any(OSA.distance(form, word, score_cutoff=1) <= 1 for word in BALINESE_WORDS)


_LONG_WORD = 5
_MUHAMAD = frozenset({"m", "mh"})
_BALINESE_MARKS = {
    "i": ((("i",), ()),),
    "a": ((("a", "a"), ("anak", "agung")),),
    "aa": ((("aa",), ("anak", "agung")),),
}
"""First word → how a name may begin, and what that stands for."""


def _parts(word: str) -> tuple[str, ...]:
    """Return a word's compared form, `abdurrahman` as `abdul` and `rahman`."""
    if word.startswith("abd") and len(word) > 8 and not word.startswith("abdulla"):
        for beginning in sorted(ABDUL_WITH, key=len, reverse=True):
            rest = word.removeprefix(beginning)
            if rest != word and len(rest) >= 3:
                assimilated = beginning[-1] if beginning != "abdul" and rest[0] in "aeiou" else ""
                return ("abdul", compared_form(assimilated + rest))
        if word.startswith("abdu"):
            return ("abdul", compared_form(word[4:]))
    return (compared_form(word),)


def abbreviates(plain: Sequence[str]) -> bool:
    """Say whether a name's first plain word is an initial that is taken for Muhammad's."""
    return len(plain) > 1 and plain[0] in _MUHAMAD
