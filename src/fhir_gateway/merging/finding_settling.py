"""What speaks against two people, but is outweighed where nobody else comes into question: as loads settle it."""

from collections.abc import Mapping

from fhir_gateway.domain.merges import DuplicateGroup
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.fitting import may_be_one
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.settling import settled_alone
from fhir_gateway.identity.vetoes import VetoCode

_OF_ONE_PERSON = frozenset({VetoCode.POSSIBLE_TWINS.value, "birth-date-disagrees"})


def is_settled(
    group: DuplicateGroup,
    evidence: Mapping[str, PersonEvidence],
    *,
    policy: MatchingPolicy,
    frequencies: Frequencies,
) -> bool:
    """Say whether two people, each of whom fits nobody else, are likely one although something speaks against it.

    That are two valid NIKs, one typing error apart, where all else is certain (a NIK has no check digit, so each typing
    error is a different valid one), and what a load settles: a slip of the finger that might have been a twin's name or
    another birth date; and two who agree, but may be twins of whom the one is unknown. It stays named, and they are
    never certain.
    """
    if len(group.pairs) != 1:
        return False
    pair = group.pairs[0]
    against = {conflict.code for conflict in group.conflicts if conflict.blocks}
    if against == {"different-niks"}:
        nik = next((one.agreement for one in pair.comparison.evidence if one.field == "nik"), "")
        return nik == "typo" and may_be_one(pair.comparison)
    if against == {VetoCode.POSSIBLE_TWINS.value} and not pair.comparison.vetoes:
        return True  # nobody rivals: what a load asks about for twins that may be unknown yet
    left, right = evidence[str(pair.left)], evidence[str(pair.right)]
    return against <= _OF_ONE_PERSON and settled_alone(
        left, right, pair.comparison, policy=policy, frequencies=frequencies
    )
