"""Slips of the finger: whether two words differ as typing makes them differ, and not as the names of two children do.

Twins are often called by names one sound apart (Rizki and Rizka, Fani and Vani): a
vowel for another, a consonant for one that sounds like it, another beginning or end. A letter lost or doubled inside
the word, neighbours exchanged, or a consonant for one beside it on the keyboard that sounds unlike is a slip.
"""

from functools import lru_cache

from rapidfuzz.distance import OSA

_SHORTEST = 5
_VOWELS = frozenset("aiueo")
_SOUNDS_ALIKE = tuple(frozenset(letters) for letters in ("fvpb", "szcj", "mn", "lr", "dt", "kgq", "yij", "hk", "ngm"))
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = frozenset(frozenset(pair) for row in _ROWS for pair in zip(row, row[1:], strict=False))


@lru_cache(maxsize=16384)
def is_slip(one: str, other: str) -> bool:
    """Say whether a word of five letters or more is the other with one slip of the finger inside; symmetric."""
    if min(len(one), len(other)) < _SHORTEST - 1 or max(len(one), len(other)) < _SHORTEST:
        return False
    if one[0] != other[0] or OSA.distance(one, other, score_cutoff=1) != 1:
        return False
    if len(one) != len(other):
        return one[-1] == other[-1]
    places = [place for place in range(len(one)) if one[place] != other[place]]
    if len(places) == 2:
        return True
    return places[0] < len(one) - 1 and _beside(one[places[0]], other[places[0]])


def _beside(one: str, other: str) -> bool:
    """Whether two consonants lie side by side on the keyboard and do not sound alike."""
    pair = frozenset((one, other))
    if pair & _VOWELS or any(pair <= letters for letters in _SOUNDS_ALIKE):
        return False
    return pair in _BESIDE
