"""Explaining comparisons and decisions: a waterfall of evidence in plain English, without a patient's data."""

from fhir_gateway.domain.identity import Comparison, Grade, PersonAction, PersonDecision
from fhir_gateway.identity.comparison import DEFAULT_POLICY
from fhir_gateway.identity.parameters import MatchingPolicy

_GRADES = {
    Grade.CERTAIN: "certain: linked without asking",
    Grade.PROBABLE: "probable: an operator decides",
    Grade.POSSIBLE: "possible: not enough to ask",
    Grade.CERTAINLY_NOT: "certainly not the same person",
}
_ACTIONS = {
    PersonAction.LINK: "linked to the Patient on the server",
    PersonAction.CREATE: "a new person",
    PersonAction.REVIEW: "left to an operator",
}
_DECIDED_BITS = 500.0


def explain_comparison(comparison: Comparison, *, policy: MatchingPolicy | None = None) -> tuple[str, ...]:
    """Return a comparison as a waterfall, line by line: the prior, each piece of evidence in bits, the sum, the verdict.

    A bit doubles the odds that the two are one person; 10 bits are about 1,000 to 1.
    """
    policy = policy or DEFAULT_POLICY
    if abs(comparison.weight) > _DECIDED_BITS:
        known = comparison.grade is Grade.CERTAIN
        return ("known to be the same person" if known else "decided to be two people",)
    prior = comparison.weight - sum(one.weight for one in comparison.evidence)
    lines = [_line(prior, "before any evidence: one person among many")]
    ordered = sorted(comparison.evidence, key=lambda one: (one.field == "caution", -one.weight))
    lines += [_line(one.weight, one.words) for one in ordered if one.field != "caution"]
    lines.append(
        _line(
            comparison.weight,
            f"in sum; from {policy.certain:g} on it counts as certain, from {policy.probable:g} on an operator is asked",
        )
    )
    lines += [f"       but {veto.words}" for veto in comparison.vetoes]
    lines += [f"       but {one.words}" for one in ordered if one.field == "caution"]
    lines.append(f"  → {_GRADES[comparison.grade]}")
    return tuple(lines)


def explain_decision(decision: PersonDecision, *, policy: MatchingPolicy | None = None) -> tuple[str, ...]:
    """Return a decision and the comparisons behind it, line by line."""
    lines = [f"{_ACTIONS[decision.action]}: {decision.text}"]
    if decision.suggestion:
        lines.append(f"what to do: {decision.suggestion}")
    members = len(decision.members)
    if members > 1:
        lines.append(f"{members} records of the run are this person")
    for pair in decision.pairs:
        inside = pair.right in decision.members
        who = "another record of this person" if inside else _who(pair.right)
        lines.append(f"compared with {who}:")
        lines += [f"  {line}" for line in explain_comparison(pair.comparison, policy=policy)]
    if decision.proposals:
        lines.append("these records show Patients on the server to be one person: see the merge proposals")
    return tuple(lines)


def _who(node: int | str) -> str:
    return f"Patient/{node}" if isinstance(node, str) else f"person {node} of this run"


def _line(weight: float, words: str) -> str:
    return f"{weight:+7.1f} {words}"
