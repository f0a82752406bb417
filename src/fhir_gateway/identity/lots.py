"""What a lot, a vaccine and a day in common tell of two, or several such days: the less, the more people received it there.

One vial serves many children on a posyandu day. So it is weighed against how many of them there were, never lifts a pair
over the bar of a link, and says nothing of children who share mother and birth date, as twins share everything.
"""

import math
from array import array
from binascii import crc32
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from fhir_gateway.domain.identity import Comparison, Evidence, Grade
from fhir_gateway.identity.comparators import compare_birth_dates, compare_keys_of
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.given import Listed, Vial, days_of, source_of
from fhir_gateway.identity.parameters import LotWeights, MatchingPolicy
from fhir_gateway.identity.vaccines import may_name_one
from fhir_gateway.identity.vetoes import SAME_DAY
from fhir_gateway.people.name_agreement import NameLevel

Received = Callable[[Vial], int | None]
"""How many people a list has of whom it says this, None where nobody has counted."""

LOT = "lot"
"""The field of this evidence: a comparison shows it, and its sum leaves it out."""
_PERSON_BITS = 32
_ARRAYS = 8
_PARTS = 64
"""Vials are counted by parts, and each array has an equal number of these."""
_TOLD = "the same lot, vaccine and day"
_OTHER_PARENT = frozenset({NameLevel.UNKNOWN, NameLevel.DIFFERENT, NameLevel.PARTIAL})
_ONE_LIST = Evidence(
    LOT, "one_list", 0.0, f"{_TOLD}, but in one list, which has a line for each child: it tells nothing"
)
_SIBLINGS = Evidence(LOT, "siblings", 0.0, f"{_TOLD}, which tells nothing of children who share mother and birth date")
_UNCOUNTED = Evidence(LOT, "uncounted", 0.0, f"{_TOLD}; how many received it is not known, so it tells nothing")


def shared_vials(left: Listed, right: Listed) -> Sequence[tuple[Vial, Vial]]:
    """Return what lists say of both alike: the same lot, vaccine and day, be it in one list or in two."""
    if not (left.vials and right.vials):
        return ()
    there: dict[tuple[str, str, str], list[Vial]] = {}
    for vial in right.vials:
        there.setdefault(vial[1:], []).append(vial)
    return [(vial, other) for vial in left.vials for other in there.get(vial[1:], ())]


def weigh_lots(
    shared: Sequence[tuple[Vial, Vial]], *, of_one_birth: bool, received: Received | None, weights: LotWeights
) -> Evidence:
    """Weigh what lists say of two alike; `of_one_birth` says that these share mother and birth date.

    Of several the one counts that the fewest received: what is given on one visit, or to one village, is one fact.
    """
    if of_one_birth:
        return _SIBLINGS
    told = [pair for pair in shared if pair[0].register != pair[1].register]
    if not told:
        return _ONE_LIST
    counts = [[received(vial) if received else None for vial in pair] for pair in told]
    people = min((max(known) for each in counts if (known := [one for one in each if one])), default=0)
    if not people:
        return _UNCOUNTED
    bits = round(min(weights.most, max(0.0, math.log2(weights.m * weights.peers / people))), 2)
    there = "as far as is known nobody else received it there" if people < 2 else f"{people} people received it there"
    return Evidence(LOT, "agree", bits, f"{_TOLD}; {there}")


def weigh_days(left: Listed, right: Listed, *, received: Received, weights: LotWeights) -> Evidence | None:
    """Weigh the days on which lists of two sources tell the same doses of both, of whatever lot; None where that tells nothing.

    It is for two who do not share mother and birth date, and of whom no lists contradict each other. Of one day's doses the one counts that the fewest received; the days together weigh no more than a lot in common.
    """
    there: dict[str, list[Vial]] = {}
    for vial in days_of(right):
        there.setdefault(vial.day, []).append(vial)
    shared = [
        (vial, other)
        for vial in days_of(left)
        for other in there.get(vial.day, ())
        if source_of(vial.register) != source_of(other.register) and may_name_one(vial.vaccine, other.vaccine)
    ]
    fewest: dict[str, int] = {}
    for pair in shared:
        people = max((known for vial in pair if (known := received(vial))), default=0)
        if people:
            fewest[pair[0].day] = min(people, fewest.get(pair[0].day, people))
    if not fewest:
        return None
    bits = sum(max(0.0, math.log2(weights.m * weights.peers / people)) for people in fewest.values())
    days, people = len({vial.day for vial, _ in shared}), min(fewest.values())
    told = f"two lists tell of the same doses on {days} day{'s' * (days > 1)}, and nothing that contradicts"
    there_were = "as far as is known nobody else" if people < 2 else f"{people} people"
    return Evidence(
        LOT, "days", round(min(weights.most, bits), 2), f"{told}; on the rarest {there_were} received it there"
    )


def share_mother_and_birth(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether two have a parent and the birth date in common, as twins have; names need only be able to be one."""
    if compare_birth_dates(left, right) not in SAME_DAY:
        return False
    names = compare_keys_of(left.mother_keys + left.parent_keys, right.mother_keys + right.parent_keys)
    return names.level not in _OTHER_PARENT or not set(left.parent_niks).isdisjoint(right.parent_niks)


def raised_by_lot(comparison: Comparison, lot: Evidence, policy: MatchingPolicy) -> Comparison | None:
    """Return the comparison as one to ask about, where the lot, or the days, make it that; None else. Its weight stays the sum without it.

    Of two whose NIKs differ all else must be certain, and what lacks to that the lot may tell.
    """
    if comparison.grade is not Grade.POSSIBLE:
        return None
    missing = policy.probable - comparison.weight
    if comparison.vetoes:
        nik = sum(one.weight for one in comparison.evidence if one.field == "nik")
        missing = policy.certain - (comparison.weight - min(0.0, nik))
    if not 0 < missing <= lot.weight:
        return None
    return replace(comparison, evidence=(*comparison.evidence, lot), grade=Grade.PROBABLE)


class LotCount:
    """Counts of how many people lists say a vaccine and day, and a lot of it; eight bytes for each person's, fewer once counted."""

    def __init__(self) -> None:
        self._said = [array("Q") for _ in range(_ARRAYS)]

    def add(self, person: int, said: Listed) -> None:
        """Count what lists say of a person, whose number has 32 bits at most; what is added again counts once."""
        for vial in said.vials | days_of(said):
            number = _checksum(vial)
            self._said[number % _ARRAYS].append(number << _PERSON_BITS | person)

    def result(self) -> Received:
        """Return what was counted and drop what was added; of whom nobody was counted, nothing is known.

        Most vials were received by one person alone: of these the number is kept, of others how many there were, too.
        """
        alone, shared, people = {}, {}, {}
        for place in range(_ARRAYS):
            said, self._said[place] = self._said[place], array("Q")
            for part in range(place, _PARTS, _ARRAYS):  # the numbers of all at once would take ten times as much memory
                several = {value for value in said if (value >> _PERSON_BITS) % _PARTS == part}
                counts = Counter(value >> _PERSON_BITS for value in several)
                alone[part] = array("I", sorted(vial for vial, count in counts.items() if count == 1))
                shared[part] = array("I", sorted(counts.keys() - alone[part]))
                people[part] = array("I", (counts[vial] for vial in shared[part]))

        def received(vial: Vial) -> int | None:
            number = _checksum(vial)
            part = number % _PARTS
            place = _place(number, shared[part])
            if place is not None:
                return people[part][place]
            return None if _place(number, alone[part]) is None else 1

        return received


def _place(number: int, numbers: "array[int]") -> int | None:
    """Return where a number stands among sorted ones, None where it does not."""
    place = bisect_left(numbers, number)
    return place if place < len(numbers) and numbers[place] == number else None


def _checksum(vial: Vial) -> int:
    """Return 32 bits: the few vials that are taken for one count for more people than they are, which is cautious."""
    return crc32("|".join(vial).encode())
