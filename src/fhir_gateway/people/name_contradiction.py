"""Names that surely contradict each other, told without pairing all their words off: for who meets many strangers.

Where a word on each side can be paired off with none of the other's (see name_agreement), both names have a word left
over, whatever becomes of the others: they are PARTIAL or DIFFERENT.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import combinations

from fhir_gateway.domain.recent import remembered
from fhir_gateway.people.name_agreement import (
    MARK,
    may_be_paired,
    may_shorten,
    nearly_joined,
    nearly_whole,
    without_mark,
)
from fhir_gateway.people.name_sounds import LASTING, compared_form, heard_letters, spelled_alike
from fhir_gateway.people.name_tokens import abbreviates
from fhir_gateway.people.name_words import ABBREVIATIONS
from fhir_gateway.people.names import tokens_of_key

_Words = tuple[str, ...]
_Heard = Mapping[str, int]
"""Words with the letters that are heard of them."""
_LONG_WORD = 8
_LETTERS_OF_TWO_ERRORS = 4


class _Contradiction(Enum):
    """What the compared forms of two names tell: nothing, or that words are left over on both sides, be it ..."""

    UNKNOWN = 0
    SURE = 1
    UNLESS_MISTYPED = 2
    """... unless letters were mistyped so that the spelling is another one,"""
    UNLESS_INITIAL = 3
    """... or unless an initial that is taken for Muhammad's is that of another word."""


def surely_contradict(left: str, right: str, *, as_typed: bool = True) -> bool:
    """Say whether comparing two names' keys (PersonName.key) surely tells PARTIAL or DIFFERENT; symmetric.

    Without `as_typed` it may be NEAR or lack words as well: by letters that were mistyped so that the spelling is another
    one. False tells nothing.
    """
    one, other = (left, right) if left <= right else (right, left)
    told = _by_forms(one, other)
    if told is _Contradiction.UNKNOWN or told is _Contradiction.SURE:
        return told is _Contradiction.SURE
    return (not as_typed and told is _Contradiction.UNLESS_MISTYPED) or _by_letters(one, other)


@remembered(2048)
def _by_forms(left: str, right: str) -> _Contradiction:
    plain_left, own_left, father_left, cut_left = tokens_of_key(left)
    plain_right, own_right, father_right, cut_right = tokens_of_key(right)
    if bool(father_left) != bool(father_right):
        return _Contradiction.UNKNOWN  # a father's name may be taken for an own one
    if plain_left[:1] == plain_right[:1] == MARK:
        own_left, own_right = without_mark(own_left), without_mark(own_right)
    if not _contradict(own_left, own_right, (cut_left, cut_right)):
        return _Contradiction.UNKNOWN
    if plain_left == own_left and plain_right == own_right:
        return _Contradiction.SURE
    initial = abbreviates(plain_left) or abbreviates(plain_right)
    return _Contradiction.UNLESS_INITIAL if initial else _Contradiction.UNLESS_MISTYPED


@remembered(1024)
def _by_letters(left: str, right: str) -> bool:
    plain_left, _, _, cut_left = tokens_of_key(left)
    plain_right, _, _, cut_right = tokens_of_key(right)
    return _contradict(plain_left, plain_right, (cut_left, cut_right))


def _contradict(left: _Words, right: _Words, cut: tuple[bool, bool]) -> bool:
    mine, theirs = list(left), list(right)
    for word in left:
        if word in theirs:
            mine.remove(word)
            theirs.remove(word)
    if not (mine and theirs):
        return False
    heard = {word: heard_letters(word) for word in left + right}
    alone = _left_over(mine, theirs, 2 if cut[0] and len(left) > 2 else 1, heard)
    if not alone:
        return False
    rest = [word for word in mine if word not in alone]  # with the others none of theirs is paired off
    return (
        bool(_left_over(theirs, rest, 2 if cut[1] and len(right) > 2 else 1, heard))
        and not _may_be_joined(mine, theirs, heard)
        and not _may_be_joined(theirs, mine, heard)
        and not _may_be_written_alike(left, right, heard)
    )


def _left_over(mine: Sequence[str], theirs: Sequence[str], needed: int, heard: _Heard) -> list[str]:
    """Return so many words that are left over, or none; one is no sign in a name that was cut off, where two others agree."""
    alone: list[str] = []
    for word in mine:
        for other in theirs:
            if _sound_near(word, other, heard) and may_be_paired(word, other):
                break
        else:
            alone.append(word)
            if len(alone) == needed:
                return alone
    return []


def _sound_near(one: str, other: str, heard: _Heard) -> bool:
    """Whether the letters that are heard leave open that two words are paired off; most strangers' do not.

    An error changes two of them at most, the sound of the last one may be another one, a short form has no letters of its own.
    """
    letters, others = heard[one], heard[other]
    differing = letters ^ others
    if differing.bit_count() <= (2 if len(one) < _LONG_WORD > len(other) else 4):
        return True
    return not (differing & letters and differing & others) or len(one) == 1 or len(other) == 1


def _may_be_joined(divided: Sequence[str], joined: Sequence[str], heard: _Heard) -> bool:
    """Whether two words of the one are written as one word of the other."""
    for one, other in combinations(divided, 2):
        first, second = heard[one], heard[other]
        for word in joined:
            may_be = not ((first | second) ^ heard[word]) & LASTING or one + other in ABBREVIATIONS
            if may_be and compared_form(one + other) == word:
                return True
            short = may_shorten(first, heard[word]) or may_shorten(second, heard[word])
            if short and nearly_joined(one, other, word):
                return True
    return False


def _may_be_written_alike(left: _Words, right: _Words, heard: _Heard) -> bool:
    """Whether two names, each written in one word, may be one; most have too few letters in common."""
    differing = _letters_of_all(left, heard) ^ _letters_of_all(right, heard)
    if differing.bit_count() <= _LETTERS_OF_TWO_ERRORS and nearly_whole("".join(left), "".join(right)):
        return True
    return spelled_alike(left, right)


def _letters_of_all(words: _Words, heard: _Heard) -> int:
    letters = 0
    for word in words:
        letters |= heard[word]
    return letters
