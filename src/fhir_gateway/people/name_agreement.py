"""How far two names agree, word by word.

No set ratio decides: such ratios score "Budi" against "Budi Santoso", and "Bayi Ny. Siti" against "Siti", as equal.
Words are aligned one to one instead, and what is left over on either side decides the level.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from rapidfuzz.distance import OSA

from fhir_gateway.domain.recent import remembered
from fhir_gateway.people.name_sounds import (
    LASTING,
    compared_form,
    heard_letters,
    lasting_letters,
    sound_alike,
    spelled_alike,
)
from fhir_gateway.people.name_tokens import abbreviates
from fhir_gateway.people.name_words import WEAK_WORDS
from fhir_gateway.people.names import PersonName, tokens_of_key


class NameLevel(StrEnum):
    """How far two names agree, best first.

    EXACT: the same words. EQUIVALENT: the same name in another spelling, order or division of words. NEAR: each word
    has its counterpart, some mistyped or misheard. SUBSET: one name lacks words of the other (a mononym beside the full
    name). INITIALS: words stand beside their initials. WEAK: as these, but all that is shared are words that many
    carry. PARTIAL: a telling word is shared, others contradict. DIFFERENT: no telling word is shared. UNKNOWN: one has no name of its own.
    """

    EXACT = "exact"
    EQUIVALENT = "equivalent"
    NEAR = "near"
    SUBSET = "subset"
    INITIALS = "initials"
    WEAK = "weak"
    PARTIAL = "partial"
    DIFFERENT = "different"
    UNKNOWN = "unknown"

    __hash__ = str.__hash__  # an enum's own one is slow, and asked for a dozen times a pair


@dataclass(frozen=True, slots=True)
class NameAgreement:
    """How far two names agree: the compared forms that they share, and the pairs of words that are nearly the same.

    `initials` counts the words that stand beside their initials or short forms; `shortened` says that one of these may
    as well be a name of its own: Arif beside Arifin.
    """

    level: NameLevel
    shared: tuple[str, ...] = ()
    near: tuple[tuple[str, str], ...] = ()
    initials: int = 0
    shortened: bool = False


_UNKNOWN = NameAgreement(NameLevel.UNKNOWN)


def compare_names(left: PersonName, right: PersonName) -> NameAgreement:
    """Compare two people's own names; symmetric. Newborns' temporary names are UNKNOWN."""
    return compare_keys(left.key, right.key)


def compare_keys(left: str, right: str) -> NameAgreement:
    """Compare names by their keys (PersonName.key)."""
    if not left or not right:
        return _UNKNOWN
    if left == right:
        return _same(left)
    return _compare(left, right) if left <= right else _mirrored(_compare(right, left))


def _mirrored(agreement: NameAgreement) -> NameAgreement:
    if not agreement.near:
        return agreement
    near = tuple((right, left) for left, right in agreement.near)
    return replace(agreement, near=near)


@remembered(1024)
def _same(key: str) -> NameAgreement:
    """Compare a name with itself, which is half of all comparisons, and would crowd the others out of what is remembered."""
    plain, own, father, _ = tokens_of_key(key)
    shared = without_mark(own) if plain[:1] == MARK else own
    return NameAgreement(NameLevel.EXACT, shared + father)


@remembered(2048)
def _compare(left: str, right: str) -> NameAgreement:
    plain_left, own_left, father_left, cut_left = tokens_of_key(left)
    plain_right, own_right, father_right, cut_right = tokens_of_key(right)
    if plain_left[:1] == plain_right[:1] == MARK:
        own_left, own_right = without_mark(own_left), without_mark(own_right)
    agreement = _compare_words(own_left, own_right, exact=plain_left == plain_right, cut=(cut_left, cut_right))
    typed_otherwise = plain_left != own_left or plain_right != own_right
    if agreement.level in _CONTRADICT and typed_otherwise and plain_left and plain_right:
        # What is typed wrong may be spelled so that the compared forms lie further apart than the letters.
        as_typed = _compare_words(plain_left, plain_right, exact=False, cut=(cut_left, cut_right))
        # "M." is Muhammad's, where it is not the initial of a word that stands there: M. Siregar and Melda Siregar.
        initial = as_typed.level is NameLevel.INITIALS and (abbreviates(plain_left) or abbreviates(plain_right))
        # Of a name that is called by its end some letters are not heard: Inah, who is Aminah.
        lacking = as_typed.level in WORDS_MISSING and (as_typed.near or as_typed.shortened)
        if as_typed.level is NameLevel.NEAR or initial or lacking:
            agreement = _in_compared_forms(as_typed)
    if father_left and father_right:
        return _with_fathers(
            agreement, _compare_words(father_left, father_right, exact=False, cut=(cut_left, cut_right))
        )
    if (father_left or father_right) and agreement.level not in {NameLevel.EXACT, NameLevel.EQUIVALENT}:
        whole = _compare_words(own_left + father_left, own_right + father_right, exact=False, cut=(cut_left, cut_right))
        return min(agreement, whole, key=lambda one: _RANK[one.level])
    return agreement


MARK = ("i",)
"""The Balinese mark of men, or an initial."""


def without_mark(own: tuple[str, ...]) -> tuple[str, ...]:
    """Return a name's compared words without the mark: where both have it, it is no word that the one lacks (I Wayan Sudana, I Sudana)."""
    return own[1:] if own[:1] == MARK and len(own) > 1 else own


WORDS_MISSING = frozenset({NameLevel.SUBSET, NameLevel.INITIALS, NameLevel.WEAK})
_CONTRADICT = frozenset({NameLevel.PARTIAL, NameLevel.DIFFERENT, NameLevel.WEAK})
_RANK = {level: rank for rank, level in enumerate(NameLevel)}


def _in_compared_forms(agreement: NameAgreement) -> NameAgreement:
    shared = tuple(compared_form(word) for word in agreement.shared)
    near = tuple((compared_form(one), compared_form(other)) for one, other in agreement.near)
    return replace(agreement, shared=shared, near=near)


def _with_fathers(own: NameAgreement, fathers: NameAgreement) -> NameAgreement:
    """Two people of one name whose fathers' names differ are two people."""
    if fathers.level is NameLevel.DIFFERENT and own.level is not NameLevel.DIFFERENT:
        return replace(own, level=NameLevel.PARTIAL)
    if fathers.level in {NameLevel.EXACT, NameLevel.EQUIVALENT}:
        return replace(own, shared=own.shared + fathers.shared)
    return own


def _compare_words(
    left: tuple[str, ...], right: tuple[str, ...], *, exact: bool, cut: tuple[bool, bool]
) -> NameAgreement:
    if left == right:
        return NameAgreement(NameLevel.EXACT if exact else NameLevel.EQUIVALENT, left)
    if (len(left) == len(right) and sorted(left) == sorted(right)) or spelled_alike(left, right):
        return NameAgreement(NameLevel.EQUIVALENT, max(left, right, key=lambda words: (len(words), words)))
    alignment = _Alignment(left, right)
    alignment.match_cut_off(*cut)
    return alignment.judge()


class _Alignment:
    """Pairs the words of two names off: equal ones first, then joined, near ones, initials."""

    def __init__(self, left: tuple[str, ...], right: tuple[str, ...]) -> None:
        self.whole = ("".join(left), "".join(right))
        self.left, self.right = list(left), list(right)
        self.shared: list[str] = []
        self.near: list[tuple[str, str]] = []
        self.initials = 0
        self.shortened = False
        self._match_equal()
        for match in (
            self._match_joined,
            self._match_joined_nearly,
            self._match_near,
            self._match_initials,
            self._match_short_forms,
        ):
            if not (self.left and self.right):
                break
            match()

    def _match_equal(self) -> None:
        for word in tuple(self.left):
            if word in self.right:
                self.left.remove(word)
                self.right.remove(word)
                self.shared.append(word)

    def _match_joined(self) -> None:
        """Pair "nur hayati" with "nurhayati"."""
        for divided, joined in ((self.left, self.right), (self.right, self.left)):
            for index in range(len(divided) - 2, -1, -1):
                if index + 1 < len(divided):
                    both = divided[index : index + 2]
                    if lasting_letters(both) not in [heard_letters(word) & LASTING for word in joined]:
                        continue
                    word = compared_form("".join(both))
                    if word in joined:
                        joined.remove(word)
                        self.shared.append(word)
                        del divided[index : index + 2]

    def _match_joined_nearly(self) -> None:
        """Pair "zahira kamila" with "zaharakamila": else the second word would pass for a short form, whatever the first is."""
        for divided, joined in ((self.left, self.right), (self.right, self.left)):
            heard = [(word, heard_letters(word)) for word in joined]
            for one, other in pairwise(tuple(divided)):
                first, second = heard_letters(one), heard_letters(other)
                near = (w for w, letters in heard if may_shorten(first, letters) or may_shorten(second, letters))
                word = next((word for word in near if word in joined and nearly_joined(one, other, word)), None)
                if word is not None and one in divided and other in divided:
                    joined.remove(word)
                    divided.remove(one)
                    divided.remove(other)
                    both = compared_form(one + other)
                    self.near.append((both, word) if divided is self.left else (word, both))

    def _match_near(self) -> None:
        possible = [
            (distance, left, right)
            for left in self.left
            for right in self.right
            if (distance := nearness(left, right)) is not None
        ]
        possible.sort()
        for _, left, right in possible:
            if left in self.left and right in self.right:
                self.left.remove(left)
                self.right.remove(right)
                self.near.append((left, right))

    def _match_initials(self) -> None:
        for mine, other in ((self.left, self.right), (self.right, self.left)):
            for word in [word for word in mine if len(word) == 1]:
                full = next((candidate for candidate in other if _may_begin(word, candidate)), None)
                if full is not None:
                    mine.remove(word)
                    other.remove(full)
                    self.initials += 1

    def _match_short_forms(self) -> None:
        """Pair a short form with its word: md with muhamad, kmg with komang, asni with asnidar, tini with suartini."""
        for mine, other in ((self.left, self.right), (self.right, self.left)):
            for word in tuple(mine):
                for full in other:
                    if len(word) < len(full) and is_short_form(word, full):
                        mine.remove(word)
                        other.remove(full)
                        self.initials += 1
                        self.shortened |= len(word) >= _OWN_NAME_LETTERS
                        break

    def match_cut_off(self, left_cut: bool, right_cut: bool) -> None:  # noqa: FBT001 - a pair of sides
        """Where the source cut a name off, its last word may be the beginning of the other's, and the rest missing."""
        for is_cut, mine, other in ((left_cut, self.left, self.right), (right_cut, self.right, self.left)):
            if is_cut and len(self.shared) + len(self.near) >= 2 and len(mine) <= 1:
                if mine and not any(word.startswith(mine[0][:-1] or mine[0]) for word in other):
                    continue
                mine.clear()
                other.clear()

    def judge(self) -> NameAgreement:
        level = self._level()
        if level is NameLevel.NEAR and self.left and self.right:
            self.near.append(("".join(self.left), "".join(self.right)))
        return NameAgreement(level, tuple(self.shared), tuple(self.near), self.initials, self.shortened)

    def _level(self) -> NameLevel:
        if self.left and self.right:
            if nearly_whole(*self.whole):
                return NameLevel.NEAR
            return NameLevel.PARTIAL if self._is_telling() else NameLevel.DIFFERENT
        if self.left or self.right or self.initials:
            if self._is_telling():
                return NameLevel.INITIALS if self.initials else NameLevel.SUBSET
            return NameLevel.WEAK if self.shared or self.near or self.initials else NameLevel.DIFFERENT
        if self.near and not self._near_enough():
            return NameLevel.PARTIAL
        return NameLevel.NEAR if self.near else NameLevel.EQUIVALENT

    def _is_telling(self) -> bool:
        """Whether one of the words that are paired off is carried by few."""
        for word in self.shared:
            if len(word) > 1 and word not in WEAK_WORDS:
                return True
        return any(left not in WEAK_WORDS for left, _ in self.near) if self.near else False

    def _near_enough(self) -> bool:
        """Several mistyped words are believed only where as many are right, or the whole is nearly the same."""
        return len(self.near) <= max(1, len(self.shared)) or nearly_whole(*self.whole)


def nearness(left: str, right: str) -> int | None:
    """Return how far apart two words are where one may be the other mistyped or misheard, else None; 0: they sound alike.

    One error in words of four to seven letters, two in longer ones; shorter words must sound alike.
    """
    shortest, longest = len(left), len(right)
    if shortest > longest:
        shortest, longest = longest, shortest
    if shortest < 3:
        return None
    if sound_alike(left, right):
        return 0
    allowed = 0 if longest < 4 else 1 if longest < 8 else 2
    if longest - shortest > allowed:
        return None
    distance = OSA.distance(left, right, score_cutoff=allowed)
    return distance if distance <= allowed else None


@remembered(8192)
def may_be_paired(one: str, other: str) -> bool:
    """Say whether two words of two names may stand for each other: mistyped, misheard, an initial or a short form."""
    if len(one) > len(other):
        one, other = other, one
    if len(one) == 1:
        return _may_begin(one, other) or _may_begin(other, one)
    return nearness(one, other) is not None or is_short_form(one, other)


def nearly_joined(one: str, other: str, word: str) -> bool:
    """Say whether two words written as one, with an error, may be the third: zahira kamila and zaharakamila."""
    short = is_short_form(one, word) or is_short_form(other, word)
    return short and nearness(compared_form(one + other), word) is not None


def may_shorten(letters: int, others: int) -> bool:
    """Say whether a word of these heard letters may be a short form of one of the others: that has them all."""
    return not letters & ~others


_OWN_NAME_LETTERS = 4
"""From so many letters on a short form may be somebody's own name."""
_BEGINNINGS: Mapping[str, frozenset[str]] = {
    letter: frozenset(letters)
    for letter, letters in {
        "k": "kcq",
        "c": "ck",
        "q": "qk",
        "y": "yj",
        "j": "jyd",
        "i": "iy",
        "u": "uo",
        "o": "ou",
        "x": "k",
        "d": "dj",
        "t": "tc",
        "f": "fpv",
        "p": "pf",
        "v": "vf",
        "z": "zjs",
    }.items()
}
"""Letter → the letters with which a compared form may begin that is abbreviated by it: C. for Chaniago, which is kaniago."""


def _may_begin(initial: str, form: str) -> bool:
    return form[0] in _BEGINNINGS.get(initial, initial)


def is_short_form(short: str, word: str) -> bool:
    """Say whether a word may be written or called by the short one: its consonants, its beginning or its end."""
    if len(short) >= len(word) or len(short) < 2:
        return False
    if len(short) >= _OWN_NAME_LETTERS:
        return word.startswith(short) or word.endswith(short)
    if short[0] != word[0] or any(letter in "aiueo" for letter in short[1:]):
        return False
    letters = iter(word)
    return all(letter in letters for letter in short)


def nearly_whole(left: str, right: str) -> bool:
    """Say whether two names, each written in one word, are one but for one error, or two in a long one."""
    longest = max(len(left), len(right))
    if min(len(left), len(right)) < 7:
        return False
    allowed = 1 if longest < 10 else 2
    return bool(OSA.distance(left, right, score_cutoff=allowed) <= allowed)
