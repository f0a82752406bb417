"""Estimating m and u from pairs of records: by counting where it is known who is who, else by expectation-maximisation.

m is estimated from pairs that one thing shows to be one person, about the other things: pairs with one NIK about name,
birth date, sex and household; pairs of one name, birth date and household about the NIK. Pairs of two people among them
(sisters under one NIK) are weighed out by the EM algorithm (Dempster, Laird & Rubin 1977; Winkler 1988) with u held
fixed; what a family shares has no say in that. u comes from random pairs. What random pairs are too few to show (one
NIK, one phone) is left as it is, and nothing moves further than evidence of a few hundred pairs can.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fhir_gateway.domain.identity import Comparison, Grade
from fhir_gateway.identity.comparators import compare_keys_of
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingParameters, MatchingPolicy, Probabilities
from fhir_gateway.identity.weighing import MOTHER_LEVELS, household_parts
from fhir_gateway.people.name_agreement import NameLevel

_WHOLE_DATES = ("exact", "swapped", "digit", "year", "close", "different")
_NAMES = tuple(level.value for level in NameLevel if level is not NameLevel.UNKNOWN)
_ALTERNATIVES: Sequence[tuple[str, tuple[str, ...]]] = (
    ("nik", ("agree", "typo", "different")),
    ("nik", ("odd_near", "odd_differs")),
    ("name", _NAMES),
    ("birth_date", _WHOLE_DATES),
    ("mother", ("agree", "near", "subset", "different")),
    *((name, ("agree", "different")) for name in ("gender", "phone", "place", "parent_nik", "family_card")),
)
"""Levels of which exactly one is true of a pair: their m adds up to 1."""
_KEPT = frozenset({"nik.different"})
"""Small on purpose, as a veto stands above it."""
_U_FROM_RANDOM_PAIRS = frozenset(
    {f"birth_date.{level}" for level in _WHOLE_DATES}
    | {f"{name}.{level}" for name in ("gender", "place") for level in ("agree", "different")}
    | {"name.different", "mother.different"}
)
"""What does not depend on how many people the files hold, as one household's or number's share of all pairs does.

How often two names share a word random pairs would tell too low: those who are taken for each other are sisters.
"""
_LEAST_PAIRS = 100
"""Of fewer pairs of one person nothing is estimated."""
_SHIPPED_COUNTS_AS = 100
"""The shipped m weighs as much as so many pairs."""
_LEAST_SEEN = 50
"""Random pairs that must show a level before its u is estimated."""
_MOST_MOVED = 3.0
"""Bits that an estimate may move a weight."""
_ROUNDS = 200
_CONVERGED = 1e-5
_MAY_BE_ONE = frozenset({Grade.CERTAIN, Grade.PROBABLE})
_SAME_NIK = "same NIK"
_ALIKE = "alike"
_SAYS_WHO: Mapping[str, frozenset[str]] = {
    _SAME_NIK: frozenset({"name", "birth_date", "gender", "record_number"}),
    _ALIKE: frozenset({"gender", "record_number", "household"}),
}
"""What tells in a block's pairs whether they are one person."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A level's estimated probabilities beside those before; how many pairs of one and of two people tell them."""

    key: str
    before: Probabilities
    after: Probabilities
    origin: str


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What the pairs of a block have in common: their levels, those that tell who is who, and the fixed rest in bits."""

    levels: tuple[str, ...]
    telling: tuple[str, ...]
    rest: int


@dataclass(slots=True)
class Estimation:
    """Pairs counted, and what follows from them; memory is bounded by how many different patterns of levels there are."""

    policy: MatchingPolicy
    _same: Counter[str] = field(default_factory=Counter)
    _two: Counter[str] = field(default_factory=Counter)
    _patterns: dict[str, Counter[_Pattern]] = field(default_factory=lambda: {_SAME_NIK: Counter(), _ALIKE: Counter()})

    def add_same(self, left: PersonEvidence, right: PersonEvidence, frequencies: Frequencies) -> None:
        """Count two records that are known to be one person's."""
        comparison = compare(left, right, policy=self.policy, frequencies=frequencies)
        self._same.update(self._levels(left, right, comparison, frequencies))

    def add_random(
        self, left: PersonEvidence, right: PersonEvidence, frequencies: Frequencies, *, known: bool = False
    ) -> None:
        """Count two people drawn at random: `known` to be two, or unless the shipped weights say that they may be one."""
        comparison = compare(left, right, policy=self.policy, frequencies=frequencies)
        if known or comparison.grade not in _MAY_BE_ONE:
            self._two.update(self._levels(left, right, comparison, frequencies))

    def add_unknown(self, left: PersonEvidence, right: PersonEvidence, frequencies: Frequencies) -> None:
        """Note two records of which nobody knows whether they are one person, where a block can tell something of them."""
        comparison = compare(left, right, policy=self.policy, frequencies=frequencies)
        weights = {one.field: one.weight for one in comparison.evidence}
        said = {one.field: one.agreement for one in comparison.evidence}
        levels = self._levels(left, right, comparison, frequencies)
        if said.get("nik") == "agree":
            self._note(_SAME_NIK, levels, weights)
        alike = said.get("name") in {"exact", "equivalent"} and said.get("birth_date") == "exact"
        if alike and weights.get("household", 0.0) >= self.policy.parameters.household.whole_family:
            self._note(_ALIKE, levels, weights)

    def _note(self, block: str, levels: tuple[str, ...], weights: Mapping[str, float]) -> None:
        known = self.policy.parameters.probabilities
        telling = tuple(key for key in levels if key.partition(".")[0] in _SAYS_WHO[block])
        rest = sum(weights[key.partition(".")[0]] - math.log2(known[key].m) for key in telling)
        if "household" in _SAYS_WHO[block]:
            rest += weights.get("household", 0.0)
        self._patterns[block][_Pattern(levels, telling, round(rest))] += 1

    def _levels(
        self, left: PersonEvidence, right: PersonEvidence, comparison: Comparison, frequencies: Frequencies
    ) -> tuple[str, ...]:
        found = [f"{one.field}.{one.agreement}" for one in comparison.evidence]
        for part, weight in household_parts(left, right, self.policy.parameters, frequencies):
            level = "agree" if weight > 0 else "different"
            if part == "mother":
                level = MOTHER_LEVELS[compare_keys_of(left.mother_keys, right.mother_keys).level]
            found.append(f"{part}.{level}")
        return tuple(key for key in found if key in self.policy.parameters.probabilities)

    def estimates(self, source: str) -> tuple[Estimate, ...]:
        """Return what the pairs tell, of the levels of which they tell enough; `source` names them in the origins."""
        same: dict[str, float] = dict(self._same)
        for block, patterns in self._patterns.items():
            expected = _expected(patterns, self.policy.parameters)
            nik = block == _ALIKE
            for key, pairs in expected.items():
                if key.startswith("nik.") is nik:
                    same[key] = same.get(key, 0.0) + pairs
        parameters = self.policy.parameters
        found = (
            _estimate(key, of, same, self._two, parameters=parameters, source=source) for key, of in _alternatives()
        )
        return tuple(each for each in found if each)


def _alternatives() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every level that can be estimated with all its alternatives."""
    for name, levels in _ALTERNATIVES:
        keys = tuple(f"{name}.{level}" for level in levels)
        yield from ((key, keys) for key in keys if key not in _KEPT)


def _expected(patterns: Counter[_Pattern], parameters: MatchingParameters) -> dict[str, float]:
    """Return how many pairs of one person show each level, as the EM algorithm settles it; nothing of too few pairs."""
    pairs = patterns.total()
    if pairs < _LEAST_PAIRS:
        return {}
    m = {key: one.m for key, one in parameters.probabilities.items()}
    share = 0.9
    expected: dict[str, float] = {}
    for _ in range(_ROUNDS):
        expected, one_person = {}, 0.0
        for pattern, count in patterns.items():
            bits = math.log2(share / (1 - share)) + pattern.rest + sum(math.log2(m[key]) for key in pattern.telling)
            known = count / (1 + 2.0 ** -max(-500.0, min(500.0, bits)))
            one_person += known
            for key in pattern.levels:
                expected[key] = expected.get(key, 0.0) + known
        share = min(0.9999, max(0.0001, one_person / pairs))
        better = {key: _smoothed(key, of, expected, parameters) for key, of in _alternatives()}
        moved = max(abs(better[key] - m[key]) for key in better)
        m.update(better)
        if moved < _CONVERGED:
            break
    return expected


def _smoothed(key: str, of: Sequence[str], same: Mapping[str, float], parameters: MatchingParameters) -> float:
    total = sum(same.get(each, 0.0) for each in of)
    shipped = parameters.probabilities[key].m
    return (same.get(key, 0.0) + _SHIPPED_COUNTS_AS * shipped) / (total + _SHIPPED_COUNTS_AS)


def _estimate(  # noqa: PLR0913 - what was counted of one and of two people
    key: str,
    of: Sequence[str],
    same: Mapping[str, float],
    two: Mapping[str, int],
    *,
    parameters: MatchingParameters,
    source: str,
) -> Estimate | None:
    before = parameters.probabilities[key]
    m, u, origin = before.m, before.u, []
    told = sum(same.get(each, 0.0) for each in of)
    if told >= _LEAST_PAIRS:
        m = _smoothed(key, of, same, parameters)
        origin.append(f"m of {told:,.0f} pairs of one person")
    random = sum(two.get(each, 0) for each in of)
    if key in _U_FROM_RANDOM_PAIRS and two.get(key, 0) >= _LEAST_SEEN:
        u = two[key] / random
        origin.append(f"u of {random:,} random pairs")
    if not origin:
        return None
    after, held = _held(key, Probabilities(m, u), before.weight)
    if held:
        origin.append(f"held {_MOST_MOVED:g} bits from the shipped weight, or at 0")
    return Estimate(key, before, after, f"estimated: {', '.join(origin)}; {source}")


def _held(key: str, found: Probabilities, shipped: float) -> tuple[Probabilities, bool]:
    """Return the probabilities with a weight not too far from the shipped one, and no disagreement for one person."""
    least, most = shipped - _MOST_MOVED, shipped + _MOST_MOVED
    if key.endswith(".different"):
        most = min(most, 0.0)
    if key.endswith((".agree", ".exact")) and shipped >= 0:
        least = max(least, 0.0)
    weight = min(most, max(least, found.weight))
    if weight == found.weight:
        return found, False
    m = min(1.0, (found.u or 1.0) * 2.0**weight)
    return Probabilities(m, None if found.u is None else m / 2.0**weight), True


def parameters_toml(estimates: Sequence[Estimate]) -> str:
    """Return the estimates as a file that `[matching] parameters` may name."""
    lines = ["# What agreements weigh in this region; what does not stand here is as shipped."]
    for one in estimates:
        lines += ["", f"[{one.key}]", f"m = {one.after.m:.3g}"]
        if one.after.u is not None and one.after.u != one.before.u:
            lines.append(f"u = {one.after.u:.3g}")
        lines.append(f'origin = "{one.origin}"')
    return "\n".join(lines) + "\n"
