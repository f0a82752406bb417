"""Slips of the finger: whether two words differ as typing or spelling makes them differ, and not as two children's names.

Twins are often called by names one sound apart (Rizki and Rizka, Dani and Dana): a vowel for another, a consonant for
one that is nearly heard the same, a letter more or less at the end. A letter lost or doubled inside the word, neighbours
exchanged, a consonant for one beside it on the keyboard that sounds unlike is a slip; letters that write one sound
(f, v, p; z, s, j; y, i, j; h at the beginning) are spelling.
"""

import re
from itertools import pairwise, product

from rapidfuzz.distance import OSA

from fhir_gateway.domain.recent import remembered
from fhir_gateway.people.name_sounds import compared_form, same_sound

_SHORTEST = 5
_VOWELS = frozenset("aiueo")
_SOUNDS_ALIKE = tuple(frozenset(letters) for letters in ("fvpb", "szcj", "mn", "lr", "dt", "kgq", "yij", "hk", "ngm"))
_SPELLINGS = frozenset(frozenset(pair) for pair in ("fv", "fp", "vp", "zs", "zj", "yi", "yj"))
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = frozenset(frozenset(pair) for row in _ROWS for pair in pairwise(row))


@remembered(4096)
def is_slip(one: str, other: str) -> bool:
    """Say whether a compared form is the other with one slip of the finger, or in another spelling; symmetric.

    Words of fewer than five letters are never taken for slips: too many names are one letter apart.
    """
    if max(len(one), len(other)) < _SHORTEST:
        return False
    if _spelled_otherwise(one, other):
        return True
    if OSA.distance(one, other, score_cutoff=1) != 1:
        return False
    if len(one) != len(other):
        return one[0] == other[0] and one[-1] == other[-1]
    places = [place for place in range(len(one)) if one[place] != other[place]]
    if len(places) == 2:
        return True
    return places[0] > 0 and _beside(one[places[0]], other[places[0]])


def _spelled_otherwise(one: str, other: str) -> bool:
    if len(one) != len(other):
        return one == f"h{other}" or other == f"h{one}"
    pairs = {frozenset((left, right)) for left, right in zip(one, other, strict=True) if left != right}
    return bool(pairs) and pairs <= _SPELLINGS


def _beside(one: str, other: str) -> bool:
    """Whether two letters lie side by side on the keyboard and do not sound alike, as two vowels do."""
    pair = frozenset((one, other))
    if pair <= _VOWELS or any(pair <= letters for letters in _SOUNDS_ALIKE):
        return False
    return pair in _BESIDE


_CHOSEN = re.compile(r"sy|sh|(?<=[aeou])[yi]|[yi](?=[aeou])")
"""What parents write the one way or the other: Nayla and Naila, Nadya and Nadia, Meisya and Meisha."""


@remembered(2048)
def parents_choose_between(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Say whether two names, in words as they were typed, differ by a spelling that parents choose; symmetric.

    So twins may be called. What clerks write by ear or from habit is one name: Syarif and Sarif, Dzaki and Zaki.
    """
    mine, theirs = ([word for word in words if word not in others] for words, others in ((one, other), (other, one)))
    pairs = [*product(mine, theirs), ("".join(one), "".join(other))]
    return any(_chosen(left) != _chosen(right) and _alike(left, right) for left, right in pairs)


def _alike(one: str, other: str) -> bool:
    return len(_chosen(one)) == len(_chosen(other)) and same_sound(compared_form(one), compared_form(other))


def _chosen(word: str) -> list[str]:
    return _CHOSEN.findall(word.replace("iy", "i"))
