"""Which of the people in a block are worth a full comparison: cheap looks at numbers, a pair in a microsecond.

A screen passes over a pair only where the full comparison could not make an operator look at it: names that are too far
apart to be spellings, slips or shortenings of each other, or not the same where the birth dates have nothing in common.
What it cannot tell (a newborn without a name of its own, a person of several names) it lets through.
"""

from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from zlib import crc32

from fhir_gateway.identity.comparators import BirthDateLevel, compare_birth_dates, compare_own_names
from fhir_gateway.identity.evidence import BirthDate, PersonEvidence
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.people.name_agreement import NameLevel
from fhir_gateway.people.name_sounds import sound_form

_BITS = 128
_ALPHABET = 32
_SLIPS = 3
"""Pairs of letters of the one name that the other may lack: so many go with a slip of the finger."""
_TWO_SLIPS = 6
_OTHER_LETTERS = 3
"""Two slips are believed where the names are made of the same letters, but for so many."""
_SAME = 1
"""Names that differ by how they are divided into words lack no more than this of each other."""
_MONTHS, _DAYS = 13, 32
_OTHER_NAME = frozenset({NameLevel.PARTIAL, NameLevel.DIFFERENT})
_SHIPPED = MatchingPolicy()


class Screen:
    """What is kept of everybody in memory: the letters of the name, the birth date and the NIK, some seventy bytes."""

    def __init__(self) -> None:
        self._names: list[int] = []
        self._letters = array("I")
        self._niks = array("Q")
        self._dates = array("I")

    def add(self, person: PersonEvidence) -> None:
        """Add the next person."""
        pairs, letters = _letters_of(person)
        self._names.append(pairs)
        self._letters.append(letters)
        self._niks.append(int(person.niks[0]) if len(person.niks) == 1 and not person.old_niks else 0)
        born = person.birth_date
        self._dates.append((born.year * _MONTHS + born.month) * _DAYS + born.day if born.whole else 0)

    def pairs(self, block: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield the pairs of a block (numbers, rising) that may be one person without a NIK in common."""
        names, niks, dates = self._names, self._niks, self._dates
        for position, one in enumerate(block):
            name, nik, date = names[one], niks[one], dates[one]
            for other in block[position + 1 :]:
                if nik and niks[other] == nik:
                    continue
                another = names[other]
                if name and another:
                    mine, others = (name & ~another).bit_count(), (another & ~name).bit_count()
                    if mine > _SLIPS and others > _SLIPS:
                        if mine > _TWO_SLIPS and others > _TWO_SLIPS:
                            continue
                        if (self._letters[one] ^ self._letters[other]).bit_count() > _OTHER_LETTERS:
                            continue
                    if (mine > _SAME or others > _SAME) and _nothing_in_common(date, dates[other]):
                        continue
                yield one, other


def worth_comparing(one: PersonEvidence, other: PersonEvidence, policy: MatchingPolicy) -> bool:
    """Say whether a pair could be one that an operator looks at, by the names alone.

    Under another name the sum of all else stays below, and where it does not they are vetoed as twins; only a number
    in common could make up for it. Where an environment asks about less than the shipped settings do, all is compared.
    """
    if policy.probable < _SHIPPED.probable or policy.prior > _SHIPPED.prior:
        return True
    if compare_own_names(one, other).level not in _OTHER_NAME:
        return True
    numbers = (one.damaged_niks or other.damaged_niks, one.odd_niks or other.odd_niks)
    shared = (one.records, other.records), (one.persons, other.persons), (one.parent_niks, other.niks)
    return any(numbers) or any(not set(left).isdisjoint(right) for left, right in shared) or bool(other.parent_niks)


@lru_cache(maxsize=65536)
def _nothing_in_common(one: int, other: int) -> bool:
    """Say whether two birth dates are both known and no slip of each other."""
    if not one or not other or one == other:
        return False
    left, right = (PersonEvidence(birth_date=_date_of(packed)) for packed in (one, other))
    return compare_birth_dates(left, right) is BirthDateLevel.DIFFERENT


def _date_of(packed: int) -> BirthDate:
    months, day = divmod(packed, _DAYS)
    year, month = divmod(months, _MONTHS)
    return BirthDate(year, month, day)


def _letters_of(person: PersonEvidence) -> tuple[int, int]:
    """Return the pairs of letters in a person's name, as it sounds, and its letters, as bits; 0 where it is no single name."""
    own = [name for name in person.names if name.key]
    if len(own) != 1 or person.newborn:
        return 0, 0
    pairs = letters = 0
    for word in own[0].tokens:
        more_pairs, more_letters = _letters(word)
        pairs |= more_pairs
        letters |= more_letters
    return pairs, letters


@lru_cache(maxsize=65536)
def _letters(word: str) -> tuple[int, int]:
    """Return a word's pairs of neighbouring letters, its beginning among them, and its letters, as bits."""
    heard = sound_form(word)
    pairs = letters = 0
    for first, second in zip(f" {heard}", heard, strict=False):
        pairs |= 1 << (crc32(f"{first}{second}".encode()) % _BITS)
        letters |= 1 << (ord(second) % _ALPHABET)
    return pairs, letters
