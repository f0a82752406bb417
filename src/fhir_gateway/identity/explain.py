"""Explaining comparisons and decisions: a waterfall of evidence in plain English, without a patient's data."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from fhir_gateway.domain.identity import ComparedPair, Comparison, Grade, Node, PersonAction, PersonDecision
from fhir_gateway.identity.comparison import DEFAULT_POLICY
from fhir_gateway.identity.fitting import CONFIRMED
from fhir_gateway.identity.lots import LOT
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.settled import OTHER_BIRTH, of_other_birth, settled_words
from fhir_gateway.identity.told_by_doses import DOSES
from fhir_gateway.identity.vetoes import ONE_BIRTH

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
_MOST_NAMED = 5
_CAUTION = "caution"
_BIRTHS = ONE_BIRTH.field
_BY_OTHERS = "[told by other rows, too]"
BESIDE_THE_SUM = frozenset({_CAUTION, _BIRTHS, LOT, DOSES})
"""Fields of evidence whose weights are no part of a comparison's own weight."""


def explain_comparison(
    comparison: Comparison, *, policy: MatchingPolicy | None = None, alone: Comparison | None = None
) -> tuple[str, ...]:
    """Return a comparison as a waterfall, line by line: the prior, each piece of evidence in bits, the sum, the verdict.

    A bit doubles the odds that the two are one person; 10 bits are about 1,000 to 1. Of two persons with several rows
    `alone` is the comparison of the two rows by themselves: what it does not say is marked as told by other rows.
    """
    policy = policy or DEFAULT_POLICY
    if abs(comparison.weight) >= CONFIRMED:
        known = comparison.grade is Grade.CERTAIN
        return ("  known to be the same person" if known else "  decided to be two people",)
    summed = [one for one in comparison.evidence if one.field not in BESIDE_THE_SUM]
    prior = comparison.weight - sum(one.weight for one in summed)
    summed.sort(key=lambda one: -one.weight)
    shown = _in_tenths([prior, *(one.weight for one in summed)], comparison.weight)
    lines = [_line(shown[0], "before any evidence: one person among many")]
    own = frozenset(alone.evidence if alone else comparison.evidence)
    for one, weight in zip(summed, shown[1:], strict=True):
        lines.append(_line(weight, one.words if one in own else f"{one.words} {_BY_OTHERS}"))
    if comparison.vetoes:
        lines.append(_line(comparison.weight, "in sum, but here a rule decides, whatever the sum is:"))
        lines += [f"        {veto.words}" for veto in comparison.vetoes]
    else:
        bars = f"from {policy.certain:g} on it counts as certain, from {policy.probable:g} on an operator is asked"
        lines.append(_line(comparison.weight, f"in sum; {bars}"))
    lines += _told_by_doses(comparison)
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
    fields = {_BIRTHS} if comparison.vetoes else {_CAUTION, _BIRTHS}
    yield from (one.words for one in comparison.evidence if one.field in fields)
    if comparison.vetoes:
        return
    if comparison.grade is Grade.PROBABLE and comparison.weight < policy.probable:
        with_lot = comparison.weight + sum(one.weight for one in comparison.evidence if one.field == LOT)
        if any((one.field, one.agreement) == ("nik", "agree") for one in comparison.evidence):
            yield "the NIK is the same, so nobody is made a second person without asking"
        elif with_lot >= policy.probable:
            yield f"with the {_told(comparison)} it is {with_lot:+.1f}, enough to ask"
    if comparison.grade is Grade.POSSIBLE and comparison.weight >= policy.probable and of_other_birth(comparison):
        yield f"{OTHER_BIRTH}, as those of brothers and sisters do"


def _told(comparison: Comparison) -> str:
    return "doses of the same days" if (LOT, "days") in {(o.field, o.agreement) for o in comparison.evidence} else "lot"


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
    alone = {(pair.left, pair.right): pair.comparison for pair in decision.pairs if not pair.of_persons}
    alike = {(pair.left, pair.right) for pair in decision.pairs if pair.of_persons and _adds_nothing(pair, alone)}
    for pair in decision.pairs:
        if not pair.of_persons and (pair.left, pair.right) in alike:
            continue
        single = alone.get((pair.left, pair.right))
        lines.append(f"{_who(pair, decision, rows or _unnamed, as_alone=(pair.left, pair.right) in alike)}:")
        lines += [f"  {line}" for line in explain_comparison(pair.comparison, policy=policy, alone=single)]
        words = settled(pair) if settled else settled_words(pair, decision, policy)
        lines.append(f"  settled: {words}")
    if decision.proposals:
        lines.append("these records show Patients on the server to be one person: see the merge proposals")
    return tuple(lines)


def _adds_nothing(pair: ComparedPair, alone: Mapping[tuple[Node, Node], Comparison]) -> bool:
    """Say whether two persons' rows tell no more together than the two that were compared by themselves."""
    single = alone.get((pair.left, pair.right))
    return single is not None and (single.evidence, single.vetoes) == (pair.comparison.evidence, pair.comparison.vetoes)


def _who(pair: ComparedPair, decision: PersonDecision, rows: RowsOf, *, as_alone: bool) -> str:
    """Name the two who were compared, and whose evidence it is: that of two rows alone, or of all rows of a person.

    `as_alone`: the other rows add nothing to it.
    """
    left, right = _named(pair.left, rows), _named(pair.right, rows)
    of_one = isinstance(pair.right, int) and pair.right in decision.members
    both = ", both this person" if of_one and left and right else ""
    right = right or ("another record of this person" if of_one else f"person {pair.right} of this run")
    if pair.of_persons:
        mine = _together(left or "this record", pair.left_with, rows)
        how = (
            "compared by themselves and as whole persons, which adds nothing"
            if as_alone
            else "compared as whole persons"
        )
        return f"{how}: {mine} against {_together(right, pair.right_with, rows)}{both}"
    if left and len(decision.members) > 1:
        return f"compared by themselves: {left} with {right}{both}"
    return f"compared with {right}" + (f", {pair.by}" if pair.by else "")


def _named(node: Node, rows: RowsOf) -> str:
    return rows(node) if isinstance(node, int) else f"Patient/{node}"


def _together(first: str, others: Sequence[Node], rows: RowsOf) -> str:
    """Name all whose evidence was taken together, the first one first."""
    if not others:
        return first
    named = [text for other in others[:_MOST_NAMED] if (text := _named(other, rows))]
    more = len(others) - len(named)
    if more:
        named.append(f"{more} more" if named else f"{more} other record{'s' * (more > 1)}")
    return f"{first} together with {', '.join(named)}"


def _unnamed(_person: int) -> str:
    return ""


def _in_tenths(weights: Sequence[float], total: float) -> list[float]:
    """Return weights rounded to tenths of a bit that add up to the rounded total; what rounding changed most gives way."""
    tenths = [round(10 * round(weight, 1)) for weight in weights]
    missing = round(10 * round(total, 1)) - sum(tenths)
    step = 1 if missing > 0 else -1
    by_what_was_lost = sorted(range(len(weights)), key=lambda n: step * (tenths[n] - 10 * weights[n]))
    for n in by_what_was_lost[: abs(missing)]:
        tenths[n] += step
    return [tenth / 10 for tenth in tenths]


def _line(weight: float, words: str) -> str:
    return f"{weight:+7.1f} {words}"
