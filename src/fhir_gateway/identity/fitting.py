"""What the comparison of two tells by itself: whether they are joined, fit, or fit about as well as others."""

from fhir_gateway.domain.identity import Comparison, Grade
from fhir_gateway.identity.vetoes import ONE_BIRTH, SAME_NAME, VetoCode

CONFIRMED = 1000.0
"""The weight of a confirmed pair: above all that evidence can weigh."""
OWN_NUMBERS = frozenset({("nik", "agree"), ("record_number", "agree"), ("own_identifier", "agree")})
"""Evidence that two have a number of their own in common."""
_EXACT_NAME = ("name", "exact")


def veto_codes(comparison: Comparison) -> frozenset[str]:
    """Return the codes of a comparison's vetoes."""
    return frozenset(veto.code for veto in comparison.vetoes)


def joins(comparison: Comparison) -> bool:
    """Say whether a comparison alone makes two one person."""
    return comparison.grade is Grade.CERTAIN and not comparison.vetoes


def numbers_differ(comparison: Comparison) -> bool:
    """Say whether two have NIKs that differ, be it that one was mistyped."""
    return VetoCode.NIK_DIFFERENT.value in veto_codes(comparison)


def nameless(comparison: Comparison) -> bool:
    """Say whether nothing but family and birth date joins two, as with newborns: a twin would agree as well."""
    said = {(one.field, one.agreement) for one in comparison.evidence}
    if comparison.weight >= CONFIRMED or not OWN_NUMBERS.isdisjoint(said):
        return False
    return not any(field == "name" for field, _ in said)


def fits(comparison: Comparison) -> bool:
    """Say whether two may be one person, with nothing that forbids it."""
    return comparison.grade in {Grade.CERTAIN, Grade.PROBABLE} and not comparison.vetoes


def may_be_one(comparison: Comparison) -> bool:
    """Say whether an operator is asked about two for what agrees, and not only as their mother cannot have borne both."""
    return comparison.grade in {Grade.CERTAIN, Grade.PROBABLE} and ONE_BIRTH not in comparison.evidence


def without_family(comparison: Comparison) -> float:
    """Return the weight without the household's, which tells nothing between twins: both have the same one."""
    return comparison.weight - sum(one.weight for one in comparison.evidence if one.field == "household")


def names_contradict(comparison: Comparison) -> bool:
    """Say whether the names of two have words that contradict each other."""
    return any(one.field == "name" and one.agreement in {"different", "partial"} for one in comparison.evidence)


def same_name(comparison: Comparison) -> bool:
    """Say whether two have the same name, be it spelled otherwise."""
    return any(one.field == "name" and one.agreement in SAME_NAME for one in comparison.evidence)


def fits_as_well(other: Comparison, best: Comparison, margin: float) -> bool:
    """Say whether one fits another person about as well as the best; a name that is only the best one's, or the other's, tells."""
    if not fits(other) or best.weight >= CONFIRMED:
        return False
    if has_the_very_name(other, best):
        return True
    return other.weight > best.weight - margin and (same_name(other) or not same_name(best))


def has_the_very_name(other: Comparison, best: Comparison) -> bool:
    """Say whether one has the very name of another person and not the best one's, and no number in common with that.

    Of twins the family that agrees more tells nothing, and the name may differ by what sounds alike or is left out.
    """
    said = {(one.field, one.agreement) for one in best.evidence}
    if not OWN_NUMBERS.isdisjoint(said) or not any(field == "name" for field, _ in said - {_EXACT_NAME}):
        return False
    return any((one.field, one.agreement) == _EXACT_NAME for one in other.evidence)
