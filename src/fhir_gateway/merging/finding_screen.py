"""Which of the people in a block are worth a full comparison: cheap looks at numbers, a pair in a microsecond.

A screen passes over a pair only where the full comparison could not make an operator look at it: names that are too far
apart to be spellings, slips or shortenings of each other. What it cannot tell (a newborn without a name of its own, a
person of several names) it lets through.
"""

from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from zlib import crc32

from fhir_gateway.identity.evidence import PersonEvidence

_BITS = 128
_MOST_MISSING = 4
"""Pairs of letters of the one name that the other may lack: so many go with two slips of the finger in one word."""
_ONE_SLIP = 3
_ONE_NIK_UNKNOWN = 0


class Screen:
    """What is kept of everybody in memory: the letters of the name and the NIK, some seventy bytes."""

    def __init__(self) -> None:
        self._names: list[int] = []
        self._niks = array("Q")

    def add(self, person: PersonEvidence) -> None:
        """Add the next person."""
        self._names.append(_letters_of(person))
        self._niks.append(int(person.niks[0]) if len(person.niks) == 1 and not person.old_niks else _ONE_NIK_UNKNOWN)

    def pairs(self, block: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield the pairs of a block (numbers, rising) that may be one person without a NIK in common."""
        names, niks = self._names, self._niks
        for position, one in enumerate(block):
            name, nik = names[one], niks[one]
            for other in block[position + 1 :]:
                another = niks[other]
                allowed = _MOST_MISSING
                if nik and another:
                    if nik == another:
                        continue
                    allowed = _ONE_SLIP
                letters = names[other]
                if name and letters:
                    missing = (name & ~letters).bit_count()
                    if missing > allowed and (letters & ~name).bit_count() > allowed:
                        continue
                yield one, other


def _letters_of(person: PersonEvidence) -> int:
    """Return the pairs of letters in a person's name as bits, 0 where it is no single name."""
    own = [name for name in person.names if name.key]
    if len(own) != 1 or person.newborn:
        return 0
    found = 0
    for word in own[0].tokens:
        found |= _letters(word)
    return found


@lru_cache(maxsize=65536)
def _letters(word: str) -> int:
    """Return a word's pairs of neighbouring letters, its beginning among them, as bits."""
    found = 0
    for first, second in zip(f" {word}", word, strict=False):
        found |= 1 << (crc32(f"{first}{second}".encode()) % _BITS)
    return found
