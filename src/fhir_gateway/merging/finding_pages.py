"""A page of a server's Patients, looked at by itself, so that several can be looked at beside each other.

What comes out is bytes and numbers, quickly put together with those of other pages.
"""

from array import array
from binascii import crc32
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, compress, count, islice
from operator import xor

from fhir_gateway.identity.blocking import blocking_keys
from fhir_gateway.identity.evidence import BirthDate
from fhir_gateway.identity.frequencies import FrequencyCount
from fhir_gateway.merging.finding_people import hides_nik, niks_of, pack, pack_unread, people_of, unpack_unread

NUMBER_BITS = 28
"""A person's number and a key's hash stand in one 64-bit number."""
NUMBER = (1 << NUMBER_BITS) - 1
_PARTS_A_KIND = 16

Noted = dict[int, "array[int]"]
"""Keys' hashes with people's numbers, by part."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page comes to: its people as bytes, under which NIKs and blocking keys they meet, how common words are.

    `born` are the people's birth dates as rising numbers, `masked` is how many carry a NIK that the server hides.
    """

    records: tuple[bytes, ...]
    born: "array[int]"
    masked: int
    niks: Noted
    blocks: Noted
    count: FrequencyCount


def look_for_niks(patients: bytes, first: int) -> Page:
    """Return what a page of Patients comes to where NIKs alone are looked for: people stay unread; see look_at."""
    found = unpack_unread(patients)
    niks = noted([[f"n:{nik}" for nik in niks_of(patient)] for patient in found], first)
    records = tuple([pack_unread([patient]) for patient in found])
    return Page(records, array("I"), sum(map(hides_nik, found)), niks, {}, FrequencyCount())


def look_at(patients: bytes, first: int) -> Page:
    """Return what a page of Patients (see finding_people.pack_unread) comes to; `first` is the first one's number.

    Each thing is done for all of them before the next one: a fifth less CPU, as its code stays in the processor's caches.
    """
    people = people_of(unpack_unread(patients))
    records = tuple([pack(person) for person in people])
    counted = FrequencyCount()
    counted.add_all([person.evidence for person in people])
    keys = [blocking_keys(person.evidence) for person in people]
    niks = noted([[f"n:{nik}" for nik in person.niks] for person in people], first)
    blocks = noted(keys, first)
    born = array("I", [_day_of(person.evidence.birth_date) for person in people])
    return Page(records, born, sum(person.evidence.masked for person in people), niks, blocks, counted)


def _day_of(born: BirthDate) -> int:
    return (born.year * 12 + born.month) * 31 + born.day


def noted(keys: Sequence[Iterable[str]], first: int) -> Noted:
    """Return which keys people have, who are numbered from `first` on; the first letter of a key is its kind."""
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for number, theirs in enumerate(keys, start=first):
        for key in theirs:
            written = key.encode()
            hashed = crc32(written)  # much quicker than a digest; who meets by chance is told apart by what is compared
            parts[written[0] * _PARTS_A_KIND + hashed % _PARTS_A_KIND].append(hashed << NUMBER_BITS | number)
    return {part: array("Q", values) for part, values in parts.items()}


def blocks_in(values: "array[int]") -> Iterator[list[int]]:
    """Yield the numbers of two or more people who share a key in a part, rising; keys of one hash are taken for one."""
    ordered = sorted(values)
    # Few keys have two people: neighbours who share one differ in their numbers alone, and are found without a step for each.
    sharing = map(NUMBER.__ge__, map(xor, ordered, islice(ordered, 1, None)))
    last, block = -1, [0]
    for place in compress(count(1), sharing):
        if place - 1 != last:
            if len(block) > 1:
                yield block
            block = [ordered[place - 1] & NUMBER]
        last, number = place, ordered[place] & NUMBER
        if number != block[-1]:  # a person noted twice
            block.append(number)
    if len(block) > 1:
        yield block


@dataclass(frozen=True, slots=True)
class Paired:
    """The pairs of a part's blocks, each as one number with the lower one first; how many blocks were too large."""

    pairs: "array[int]"
    cut: int
    largest: int


def pair_off(values: "array[int]", most: int) -> Paired:
    """Return who meets whom in a part's blocks of at most so many people."""
    pairs = array("Q")
    cut = largest = 0
    for block in blocks_in(values):
        if len(block) > most:
            cut, largest = cut + 1, max(largest, len(block))
        else:
            pairs.extend([one << NUMBER_BITS | other for one, other in combinations(block, 2)])
    return Paired(pairs, cut, largest)


def kind_of(part: int) -> str:
    """Return the kind of the keys in a part."""
    return chr(part // _PARTS_A_KIND)
