"""Names that surely contradict each other, told without pairing all their words off: for who meets many strangers.

Where a word on each side can be paired off with none of the other's (see name_agreement), both names have a word left
over, whatever becomes of the others: they are PARTIAL or DIFFERENT.
"""

from collections.abc import Sequence
from itertools import combinations
from string import ascii_lowercase

from fhir_gateway.people.name_agreement import may_be_paired, may_be_written_alike
from fhir_gateway.people.name_sounds import compared_form, lasting_letters, lasting_letters_of
from fhir_gateway.people.name_tokens import abbreviates
from fhir_gateway.people.names import tokens_of_key

_Words = tuple[str, ...]
_BEGINS = {letter: "".join(lasting_letters(letter)) for letter in ascii_lowercase}
"""Letter → the one with which the compared form of a word begins that begins with it; "" for all that spelling changes."""


def surely_contradict(left: str, right: str, *, as_typed: bool = True) -> bool:
    """Say whether comparing two names' keys (PersonName.key) surely tells PARTIAL or DIFFERENT; symmetric.

    Without `as_typed` it may tell NEAR as well: by letters that were mistyped so that the spelling is another one. False
    tells nothing.
    """
    plain_left, own_left, father_left, cut_left = tokens_of_key(left)
    plain_right, own_right, father_right, cut_right = tokens_of_key(right)
    if bool(father_left) != bool(father_right):
        return False  # a father's name may be taken for an own one
    cut = (cut_left, cut_right)
    if not _contradict(own_left, own_right, cut):
        return False
    if plain_left == own_left and plain_right == own_right:
        return True
    initial = abbreviates(plain_left) or abbreviates(plain_right)  # may be that of another word
    return not (as_typed or initial) or _contradict(plain_left, plain_right, cut)


def _contradict(left: _Words, right: _Words, cut: tuple[bool, bool]) -> bool:
    mine, theirs = list(left), list(right)
    for word in left:
        if word in theirs:
            mine.remove(word)
            theirs.remove(word)
    return (
        _left_over(mine, theirs, 2 if cut[0] and len(left) > 2 else 1)
        and _left_over(theirs, mine, 2 if cut[1] and len(right) > 2 else 1)
        and not _may_be_joined(mine, theirs)
        and not _may_be_joined(theirs, mine)
        and not may_be_written_alike("".join(left), "".join(right))
    )


def _left_over(mine: Sequence[str], theirs: Sequence[str], needed: int) -> bool:
    """Whether so many words are left over; one is no sign in a name that was cut off, where two others agree."""
    for word in mine:
        for other in theirs:
            if may_be_paired(word, other):
                break
        else:
            needed -= 1
            if not needed:
                return True
    return False


def _may_be_joined(divided: Sequence[str], joined: Sequence[str]) -> bool:
    """Whether two words of the one are written as one word of the other."""
    for one, other in combinations(divided, 2):
        begins, both = _BEGINS[one[0]], one + other
        for word in joined:
            if (
                _BEGINS[word[0]] == begins
                and lasting_letters_of(both)
                == lasting_letters(word)  # few pass, and the form takes three times as long
                and compared_form(both) == word
            ):
                return True
    return False
