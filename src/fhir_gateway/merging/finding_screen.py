"""Which of the people who meet in a block are worth a full comparison: those whom an operator may be asked about."""

from collections.abc import Iterable, Mapping

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen
from fhir_gateway.merging.finding_groups import Pair
from fhir_gateway.merging.finding_pages import NUMBER, NUMBER_BITS
from fhir_gateway.merging.finding_people import unpack

LEAST = Grade.PROBABLE
"""The least grade of a pair that is listed."""


def worth_of(pairs: Iterable[int], records: Mapping[int, bytes], policy: MatchingPolicy) -> dict[int, Pair]:
    """Return the pairs (see finding_pages.Paired, finding_people.pack) that are worth a comparison, with their Patients' ids.

    Not worth one are the same Patient, written again while the server was read, and who shares a NIK, listed already.
    """
    people = {number: unpack(record) for number, record in records.items()}
    screen = Screen(policy, least=LEAST)
    found: dict[int, Pair] = {}
    for pair in pairs:
        one, other = people[pair >> NUMBER_BITS], people[pair & NUMBER]
        if one.shown.id == other.shown.id or not set(one.niks).isdisjoint(other.niks):
            continue
        if screen.passes(one.evidence, other.evidence):
            found[pair] = one.shown.id, other.shown.id
    return found
