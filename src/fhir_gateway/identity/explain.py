"""Explaining comparisons and decisions: a waterfall of evidence in plain English, without a patient's data."""

from collections.abc import Callable, Iterator

from fhir_gateway.domain.identity import ComparedPair, Comparison, Grade, PersonAction, PersonDecision
from fhir_gateway.identity.clustering import CONFIRMED
from fhir_gateway.identity.comparison import DEFAULT_POLICY
from fhir_gateway.identity.lots import LOT
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.settled import OTHER_BIRTH, of_other_birth, settled_words
from fhir_gateway.identity.told_by_doses import DOSES

SettledOf = Callable[[ComparedPair], str]
"""Says in words who or what settled a pair."""

RowsOf = Callable[[int], str]
"""Names the rows of a spooled person in words, as `row 7 of january.csv`."""

_GRADES = {
    Grade.CERTAIN: "certain: enough to link without asking, unless another fits about as well",
    Grade.PROBABLE: "probable: enough to ask an operator, not to link without asking",
    Grade.POSSIBLE: "possible: not enough to ask",
    Grade.CERTAINLY_NOT: "certainly not the same person",
}
_ACTIONS = {
    PersonAction.LINK: "linked to the Patient on the server",
    PersonAction.CREATE: "a new person",
    PersonAction.REVIEW: "left to an operator",
}
_CAUTION = "caution"
_BESIDE_THE_SUM = frozenset({_CAUTION, LOT, DOSES})


def explain_comparison(comparison: Comparison, *, policy: MatchingPolicy | None = None) -> tuple[str, ...]:
    """Return a comparison as a waterfall, line by line: the prior, each piece of evidence in bits, the sum, the verdict.

    A bit doubles the odds that the two are one person; 10 bits are about 1,000 to 1.
    """
    policy = policy or DEFAULT_POLICY
    if abs(comparison.weight) >= CONFIRMED:
        known = comparison.grade is Grade.CERTAIN
        return ("  known to be the same person" if known else "  decided to be two people",)
    summed = [one for one in comparison.evidence if one.field not in _BESIDE_THE_SUM]
    prior = comparison.weight - sum(one.weight for one in summed)
    lines = [_line(prior, "before any evidence: one person among many")]
    lines += [_line(one.weight, one.words) for one in sorted(summed, key=lambda one: -one.weight)]
    if comparison.vetoes:
        lines.append(_line(comparison.weight, "in sum, but here a rule decides, whatever the sum is:"))
        lines += [f"        {veto.words}" for veto in comparison.vetoes]
    else:
        bars = f"from {policy.certain:g} on it counts as certain, from {policy.probable:g} on an operator is asked"
        lines.append(_line(comparison.weight, f"in sum; {bars}"))
    lines += _told_by_doses(comparison)
    if not comparison.vetoes:
        lines += [f"       but {words}" for words in _against_the_sum(comparison, policy)]
    lines.append(f"  → {_GRADES[comparison.grade]}")
    return tuple(lines)


def _told_by_doses(comparison: Comparison) -> Iterator[str]:
    """Yield what doses tell beside the sum: a lot in common may have somebody asked, it never joins two."""
    for one in comparison.evidence:
        if one.field == LOT:
            counts = " (counts only for whether an operator is asked, never for a link)" if one.weight else ""
            yield _line(one.weight, f"{one.words}{counts}")
        elif one.field == DOSES:
            yield f"        {one.words}"


def _against_the_sum(comparison: Comparison, policy: MatchingPolicy) -> Iterator[str]:
    """Yield why the grade is another than the sum alone would give."""
    yield from (one.words for one in comparison.evidence if one.field == _CAUTION)
    if comparison.grade is Grade.PROBABLE and comparison.weight < policy.probable:
        with_lot = comparison.weight + sum(one.weight for one in comparison.evidence if one.field == LOT)
        if any((one.field, one.agreement) == ("nik", "agree") for one in comparison.evidence):
            yield "the NIK is the same, so nobody is made a second person without asking"
        elif with_lot >= policy.probable:
            yield f"with the lot it is {with_lot:+.1f}, enough to ask"
    if comparison.grade is Grade.POSSIBLE and comparison.weight >= policy.probable and of_other_birth(comparison):
        yield f"{OTHER_BIRTH}, as those of brothers and sisters do"


def explain_decision(
    decision: PersonDecision,
    *,
    policy: MatchingPolicy | None = None,
    rows: RowsOf | None = None,
    settled: SettledOf | None = None,
) -> tuple[str, ...]:
    """Return a decision and the comparisons behind it, line by line, each with who or what settled it.

    `rows` names the rows of a spooled person, "" where it cannot; without it people are named by their number.
    `settled` knows what became of a pair later; without it the decision alone tells.
    """
    policy = policy or DEFAULT_POLICY
    lines = [f"{_ACTIONS[decision.action]}: {decision.text}"]
    if decision.suggestion:
        lines.append(f"what to do: {decision.suggestion}")
    members = len(decision.members)
    if members > 1:
        told = [text for member in decision.members if rows and (text := rows(member))]
        lines.append(f"{members} records of the run are this person" + (f": {'; '.join(told)}" if told else ""))
    for pair in decision.pairs:
        lines.append(f"{_who(pair, decision, rows)}:")
        lines += [f"  {line}" for line in explain_comparison(pair.comparison, policy=policy)]
        words = settled(pair) if settled else settled_words(pair, decision, policy)
        lines.append(f"  settled: {words}")
    if decision.proposals:
        lines.append("these records show Patients on the server to be one person: see the merge proposals")
    return tuple(lines)


def _who(pair: ComparedPair, decision: PersonDecision, rows: RowsOf | None) -> str:
    """Name the two who were compared; the left one, whose decision it is, only where other rows are this person, too."""
    left = rows(pair.left) if rows and isinstance(pair.left, int) else ""
    compared = f"compared {left}" if left and len(decision.members) > 1 else "compared"
    if isinstance(pair.right, str):
        return f"{compared} with Patient/{pair.right}"
    right = rows(pair.right) if rows else ""
    if pair.right not in decision.members:
        return f"{compared} with {right or f'person {pair.right} of this run'}"
    if left and right:
        return f"{compared} with {right}, both this person"
    return "compared with another record of this person"


def _line(weight: float, words: str) -> str:
    return f"{weight:+7.1f} {words}"
