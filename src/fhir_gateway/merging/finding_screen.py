"""Which of the people who meet in a block are worth a full comparison: those whom an operator may be asked about."""

from collections.abc import Iterator, Mapping, Sequence

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen
from fhir_gateway.merging.finding_groups import Pair
from fhir_gateway.merging.finding_pages import NUMBER, NUMBER_BITS
from fhir_gateway.merging.finding_people import Person, unpack

LEAST = Grade.PROBABLE
"""The least grade of a pair that is listed."""
_PAIRS_TOGETHER = 200
"""The people of so many pairs are unpacked at once: they fit into the processor's caches, which saves a sixth of the time."""
_PAIRS_TOGETHER = 200
"""The people of so many pairs are unpacked at once: they fit into the processor's caches, which saves a sixth of the time."""


def worth_of(pairs: Sequence[int], records: Mapping[int, bytes], policy: MatchingPolicy) -> dict[int, Pair]:
    """Return the pairs (see finding_pages.Paired, finding_people.pack) that are worth a comparison, with their Patients' ids.

    Not worth one are the same Patient, written again while the server was read, and who shares a NIK, listed already.
    """
    screen = Screen(policy, least=LEAST)
    found: dict[int, Pair] = {}
    for pair, one, other in _unpacked(pairs, records):
        if one.shown.id == other.shown.id or not set(one.niks).isdisjoint(other.niks):
            continue
        if screen.passes(one.evidence, other.evidence):
            found[pair] = one.shown.id, other.shown.id
    return found


def _unpacked(pairs: Sequence[int], records: Mapping[int, bytes]) -> Iterator[tuple[int, Person, Person]]:
    for start in range(0, len(pairs), _PAIRS_TOGETHER):
        together = [(pair, pair >> NUMBER_BITS, pair & NUMBER) for pair in pairs[start : start + _PAIRS_TOGETHER]]
        numbers = {number for _, *both in together for number in both}
        people = {number: unpack(records[number]) for number in numbers}
        for pair, one, other in together:
            yield pair, people[one], people[other]
