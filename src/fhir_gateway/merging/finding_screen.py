"""Which of the people who meet in a block are worth a full comparison.

A pair is passed over only where the full comparison cannot make an operator look at it, whatever else agrees: what is
left of the evidence is bounded, and the bound stays below what an operator is asked about. A property test holds that
against the comparison itself.
"""

from collections.abc import Iterable, Mapping

from fhir_gateway.identity.comparators import BirthDateLevel, compare_birth_dates, compare_own_names
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.vetoes import SAME_NAME
from fhir_gateway.merging.finding_people import unpack
from fhir_gateway.people.name_agreement import NameLevel

_OTHER_NAME = frozenset({NameLevel.PARTIAL, NameLevel.DIFFERENT})
_SHIPPED = MatchingPolicy()


def worth_of(
    pairs: Iterable[tuple[int, int]], records: Mapping[int, bytes], policy: MatchingPolicy
) -> list[tuple[int, int]]:
    """Return the pairs (numbers of records, see finding_people.pack) that are worth a comparison.

    Not worth one are the same Patient, written again while the server was read, and who shares a NIK, listed already.
    """
    people = {number: unpack(record) for number, record in records.items()}
    bounded = _bounds_hold(policy)
    found = []
    for left, right in pairs:
        one, other = people[left], people[right]
        if one.shown.id == other.shown.id or not set(one.niks).isdisjoint(other.niks):
            continue
        if not bounded or _within_bounds(one.evidence, other.evidence):
            found.append((left, right))
    return found


def worth_comparing(one: PersonEvidence, other: PersonEvidence, policy: MatchingPolicy) -> bool:
    """Say whether a pair without a NIK in common could be one that an operator looks at, by names and birth dates alone.

    Under another name the sum of all else stays below; where birth date and household alone would reach it, they are
    vetoed as twins. With another birth date only the same name counts: else no caution is lifted, and what a veto leaves
    (a subset of the name, a whole household) stays below certainty. Only a number in common could make up for it. Where
    an environment asks about less than the shipped settings do, or weighs in its own way, all is compared.
    """
    return not _bounds_hold(policy) or _within_bounds(one, other)


def _bounds_hold(policy: MatchingPolicy) -> bool:
    asks_less = (
        policy.probable < _SHIPPED.probable or policy.certain < _SHIPPED.certain or policy.prior > _SHIPPED.prior
    )
    return not asks_less and policy.parameters == _SHIPPED.parameters


def _within_bounds(one: PersonEvidence, other: PersonEvidence) -> bool:
    level = compare_own_names(one, other).level
    if level in SAME_NAME:
        return True
    if level not in _OTHER_NAME and compare_birth_dates(one, other) is not BirthDateLevel.DIFFERENT:
        return True
    return _number_in_common(one, other)


def _number_in_common(one: PersonEvidence, other: PersonEvidence) -> bool:
    """Say whether a number is or may be shared: a damaged NIK may be the other's, a parent's may be the person's own."""
    if one.damaged_niks or other.damaged_niks or one.odd_niks or other.odd_niks:
        return True
    if one.parent_niks or other.parent_niks:
        return True
    return not (set(one.records).isdisjoint(other.records) and set(one.persons).isdisjoint(other.persons))
