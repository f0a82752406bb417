"""What a sample tells of a whole: intervals for proportions, agreement of two judges. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_Z_95 = 1.959963984540054
"""The 97.5th percentile of the normal distribution: two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """An estimated proportion with its 95 % interval, and the number of judgements (or what they are worth)."""

    estimate: float
    low: float
    high: float
    size: float


def wilson(successes: float, size: float) -> Proportion:
    """Return a proportion with Wilson's score interval (E. B. Wilson, 1927); of nothing, anything from 0 to 1.

    Unlike the usual ± it stays within 0 and 1 and tells the truth near them, where precision lives.
    """
    if size <= 0:
        return Proportion(math.nan, 0.0, 1.0, 0.0)
    share, z = successes / size, _Z_95
    centre = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    return Proportion(share, max(0.0, centre - half), min(1.0, centre + half), size)


def weighted(outcomes: Sequence[tuple[bool, float]]) -> Proportion:
    """Return the share of true ones among (outcome, weight), the interval for the sample's effective size.

    The effective size is Kish's, (sum of weights)² / sum of squared weights: uneven weights make a sample worth less.
    """
    total = sum(weight for _, weight in outcomes)
    if total <= 0:
        return wilson(0, 0)
    effective = total * total / sum(weight * weight for _, weight in outcomes)
    share = sum(weight for outcome, weight in outcomes if outcome) / total
    return wilson(share * effective, effective)


def kappa(judgements: Iterable[tuple[str, str]]) -> float:
    """Return Cohen's kappa (J. Cohen, 1960) of two judges' words for the same things; nan where it says nothing.

    1: they agree always; 0: as often as chance would have it.
    """
    pairs = list(judgements)
    left, right = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    if not pairs:
        return math.nan
    observed = sum(one == other for one, other in pairs) / len(pairs)
    expected = sum(left[word] * right[word] for word in left) / len(pairs) ** 2
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan
