"""What settled a compared pair: a rule, a threshold, another record, or nobody yet. A comparison alone does not decide."""

from enum import StrEnum

from fhir_gateway.domain.identity import ComparedPair, Comparison, Grade, Node, PersonAction, PersonDecision
from fhir_gateway.identity.fitting import CONFIRMED, fits, joins
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.told_by_doses import DOSES


class SettledBy(StrEnum):
    """By what a pair of a decision was settled when that was made."""

    KNOWN = "known"
    REFUSED = "refused"
    JOINED = "joined"
    ASKED = "asked"
    LEFT = "left"
    """Nothing forbids it and it was not asked here: the other's own decision tells what became of it."""
    PARTED = "parted"


_OF_THEN = "of that time, which is another today"
OTHER_BIRTH = "name and birth date both differ"


def settled_by(pair: ComparedPair, decision: PersonDecision) -> SettledBy:
    """Return what settled a pair of this decision."""
    if abs(pair.comparison.weight) >= CONFIRMED:
        return SettledBy.KNOWN if pair.comparison.grade is Grade.CERTAIN else SettledBy.REFUSED
    if {pair.left, pair.right} <= _one_person(decision):
        return SettledBy.JOINED
    open_still = fits(pair.comparison) or (pair.comparison.vetoes and pair.comparison.grade is Grade.PROBABLE)
    if decision.action is PersonAction.REVIEW and (open_still or pair.right in decision.candidates):
        return SettledBy.ASKED
    return SettledBy.LEFT if open_still else SettledBy.PARTED


def settled_words(pair: ComparedPair, decision: PersonDecision, policy: MatchingPolicy) -> str:
    """Return in words what settled a pair, as far as the decision itself tells."""
    how = settled_by(pair, decision)
    if how is SettledBy.KNOWN:
        return "one person, as an earlier load or an operator's decision says"
    if how is SettledBy.REFUSED:
        return "two people, as an operator decided"
    if how is SettledBy.JOINED:
        asked = ", and asked about together" if decision.action is PersonAction.REVIEW else ""
        return f"one person, {_why_joined(pair, policy)}{asked}"
    if how is SettledBy.ASKED:
        return "nothing yet: an operator is asked"
    return _why_apart(pair, decision, policy)


def _one_person(decision: PersonDecision) -> set[Node]:
    proposed: set[Node] = {patient_id for proposal in decision.proposals for patient_id in proposal}
    return {*decision.members, *proposed, decision.patient_id} - {""}


def of_other_birth(comparison: Comparison) -> bool:
    """Say whether birth dates differ: that and the name are why nobody is asked where the sum is enough."""
    return any((one.field, one.agreement) == ("birth_date", "different") for one in comparison.evidence)


def _why_joined(pair: ComparedPair, policy: MatchingPolicy) -> str:
    comparison = pair.comparison
    if joins(comparison) and comparison.weight >= policy.certain:
        return f"by the threshold: {comparison.weight:.1f} is not less than {policy.certain:g}"
    if joins(comparison):
        return f"by the threshold {_OF_THEN}"
    if pair.of_persons:
        return f"as {'their rows settle the doubt, and ' * bool(comparison.vetoes)}nobody else comes into question"
    if comparison.vetoes:
        return "by the other records of the two: together they settle the doubt, and nobody else comes into question"
    return "by the other records of the two, which join them, or as nobody else comes into question"


def _why_apart(pair: ComparedPair, decision: PersonDecision, policy: MatchingPolicy) -> str:
    comparison = pair.comparison
    if comparison.vetoes:
        return "two people, by the rule above"
    if any(one.field == DOSES and one.agreement == "two_people" for one in comparison.evidence):
        return "not joined, as their doses forbid it"
    if not fits(comparison) and comparison.weight < policy.probable:
        return f"not joined, by the threshold: {comparison.weight:.1f} is below {policy.probable:g}"
    if not fits(comparison):
        why = f"rule above: {OTHER_BIRTH}" if of_other_birth(comparison) else f"threshold {_OF_THEN}"
        return f"not joined, by the {why}"
    if isinstance(pair.right, str) and decision.action is PersonAction.LINK:
        return f"not linked, as the Patient who was leads by {policy.margin:g} bits or more, or other records forbid it"
    return "not joined, as other records of the two forbid it or fit their own person better"
