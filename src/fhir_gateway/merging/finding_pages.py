"""A page of a server's Patients, looked at by itself, so that several can be looked at beside each other.

What comes out is bytes and numbers, quickly put together with those of other pages.
"""

from array import array
from binascii import crc32, crc_hqx
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from fhir_gateway.identity.blocking import blocking_keys
from fhir_gateway.identity.frequencies import FrequencyCount
from fhir_gateway.merging.finding_people import pack, unpack

NUMBER_BITS = 28
"""A person's number and 36 bits of a key's hash stand in one 64-bit number."""
NUMBER = (1 << NUMBER_BITS) - 1
_HASH = (1 << 36) - 1
_PARTS_A_KIND = 16
_LOW_BITS = 28

Noted = dict[int, "array[int]"]
"""Keys' hashes with people's numbers, by part."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page comes to: its people as bytes, under which NIKs and blocking keys they meet, how common words are."""

    records: tuple[bytes, ...]
    niks: Noted
    blocks: Noted
    count: FrequencyCount


def look_at(records: Sequence[bytes], first: int) -> Page:
    """Return what a page of people (see finding_people.pack_unread) comes to; `first` is the first one's number."""
    packed: list[bytes] = []
    niks: Noted = {}
    blocks: Noted = {}
    count = FrequencyCount()
    for number, record in enumerate(records, start=first):
        person = unpack(record)
        packed.append(pack(person))
        count.add(person.evidence)
        note(niks, [f"n:{nik}" for nik in person.niks], number)
        note(blocks, blocking_keys(person.evidence), number)
    return Page(tuple(packed), niks, blocks, count)


def note(noted: Noted, keys: Iterable[str], number: int) -> None:
    """Note that a person has these keys; the first letter of each is its kind."""
    for key in keys:
        written = key.encode()
        low = crc32(written)  # two checksums of other polynomials: 40 bits in all, quicker than a digest
        part = written[0] * _PARTS_A_KIND + low % _PARTS_A_KIND
        values = noted.get(part)
        if values is None:
            values = noted[part] = array("Q")
        values.append(((crc_hqx(written, 0) << _LOW_BITS | low // _PARTS_A_KIND) & _HASH) << NUMBER_BITS | number)


def blocks_in(values: "array[int]") -> Iterator[list[int]]:
    """Yield the numbers of two or more people who share a key in a part, rising; keys of one hash are taken for one."""
    before, block = -1, [0]
    for value in sorted(set(values)):
        hashed = value >> NUMBER_BITS
        if hashed == before:  # few keys have two people: what is done for every key has to be little
            block.append(value & NUMBER)
            continue
        if len(block) > 1:
            yield block
        before, block = hashed, [value & NUMBER]
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
