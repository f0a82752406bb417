"""Which of the people who meet in a block are worth a full comparison: those whom an operator may be asked about."""

from collections.abc import Iterable, Mapping

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen
from fhir_gateway.merging.finding_groups import Pair
from fhir_gateway.merging.finding_people import unpack

LEAST = Grade.PROBABLE
"""The least grade of a pair that is listed."""


def worth_of(
    pairs: Iterable[tuple[int, int]], records: Mapping[int, bytes], policy: MatchingPolicy
) -> dict[Pair, tuple[int, int]]:
    """Return the pairs (numbers of records, see finding_people.pack) that are worth a comparison, by their Patients' ids.

    Not worth one are the same Patient, written again while the server was read, and who shares a NIK, listed already.
    """
    people = {number: unpack(record) for number, record in records.items()}
    screen = Screen(policy, least=LEAST)
    found: dict[Pair, tuple[int, int]] = {}
    for left, right in pairs:
        one, other = people[left], people[right]
        if one.shown.id == other.shown.id or not set(one.niks).isdisjoint(other.niks):
            continue
        if screen.passes(one.evidence, other.evidence):
            (first, its), (second, others) = sorted(((one.shown.id, left), (other.shown.id, right)))
            found[first, second] = its, others
    return found
