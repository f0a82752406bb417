"""What two judges' words on a drawn sample say of all automatic decisions. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.flows.judging.statistics import Proportion, kappa, weighted

SAME, DIFFERENT, UNSURE = "same", "different", "unsure"
JUDGEMENTS = (SAME, DIFFERENT, UNSURE)


@dataclass(frozen=True, slots=True)
class SealedPair:
    """What the judges did not see of a pair; `certain` is the threshold that held when the pair was drawn, in bits."""

    stratum: str
    clinic: str
    linked: bool
    weight: float
    represents: float
    certain: float


@dataclass(frozen=True, slots=True)
class StratumScore:
    """Of one stratum: the share of links that are right, and of look-alikes that were rightly left apart."""

    name: str
    links_right: Proportion
    apart_right: Proportion


@dataclass(frozen=True, slots=True)
class Rise:
    """Where a threshold should rise: above `weight` no link of the stratum was wrong.

    From `certain` up to there lie `wrong` links of the sample, and `right` ones, which a higher threshold would send to review.
    """

    stratum: str
    weight: float
    wrong: int
    right: int


@dataclass(frozen=True, slots=True)
class JoinedOtherwise:
    """Wrong links of a stratum that weigh less than `certain` by themselves, so that their weights name no threshold.

    Other records of the two joined them, or a rule that is content with less.
    """

    stratum: str
    wrong: int


@dataclass(frozen=True, slots=True)
class AuditScore:
    """The whole audit; pairs on which the judges disagree or are unsure count nowhere but in `disputed`."""

    judged: int
    disputed: int
    kappa: float
    precision: Proportion
    recall: Proportion
    strata: Sequence[StratumScore]
    clinics: Sequence[StratumScore]
    rises: Sequence[Rise]
    joined_otherwise: Sequence[JoinedOtherwise]


def score_audit(sealed: Mapping[int, SealedPair], first: Mapping[int, str], second: Mapping[int, str]) -> AuditScore:
    """Score two judges' words (see JUDGEMENTS) on the pairs that both have judged."""
    both = {number: (first[number], second[number]) for number in sorted(sealed.keys() & first.keys() & second.keys())}
    agreed = {n: one == SAME for n, (one, other) in both.items() if one == other and one != UNSURE}
    weights = _weights(sealed, agreed)
    links = {n: same for n, same in agreed.items() if sealed[n].linked}
    apart = {n: same for n, same in agreed.items() if not sealed[n].linked}
    precision = weighted([(same, weights[n]) for n, same in links.items()])
    missed = weighted([(same, weights[n]) for n, same in apart.items()])
    return AuditScore(
        judged=len(both),
        disputed=len(both) - len(agreed),
        kappa=kappa(both.values()),
        precision=precision,
        recall=_recall(sealed, precision, missed),
        strata=_scores(sealed, agreed, weights, lambda pair: pair.stratum),
        clinics=_scores(sealed, agreed, weights, lambda pair: pair.clinic),
        rises=_rises(sealed, links),
        joined_otherwise=_joined_otherwise(sealed, links),
    )


def _weights(sealed: Mapping[int, SealedPair], agreed: Mapping[int, bool]) -> dict[int, float]:
    """Return for how many pairs of the whole each agreed one stands.

    What the others of its stratum stood for falls to those that are left: a stratum that is hard to judge counts whole.
    """
    drawn, left = (Counter((sealed[n].stratum, sealed[n].linked) for n in pairs) for pairs in (sealed, agreed))
    kinds = {n: (sealed[n].stratum, sealed[n].linked) for n in agreed}
    return {n: sealed[n].represents * drawn[kind] / left[kind] for n, kind in kinds.items()}


def _recall(sealed: Mapping[int, SealedPair], precision: Proportion, missed: Proportion) -> Proportion:
    """Return recall among pairs that were compared, its interval from the worst and the best of both intervals."""
    made = sum(pair.represents for pair in sealed.values() if pair.linked)
    unmade = sum(pair.represents for pair in sealed.values() if not pair.linked)

    def share(right: float, lost: float) -> float:
        found = right * made
        return found / (found + lost * unmade) if found + lost * unmade > 0 else math.nan

    if not missed.size or not precision.size:
        return Proportion(math.nan, 0.0, 1.0, 0.0)
    return Proportion(
        share(precision.estimate, missed.estimate),
        share(precision.low, missed.high),
        share(precision.high, missed.low),
        precision.size + missed.size,
    )


def _scores(
    sealed: Mapping[int, SealedPair],
    agreed: Mapping[int, bool],
    weights: Mapping[int, float],
    name_of: Callable[[SealedPair], str],
) -> list[StratumScore]:
    scores = []
    for name in sorted({name_of(pair) for pair in sealed.values()}):
        own = {number: same for number, same in agreed.items() if name_of(sealed[number]) == name}
        links = [(same, weights[n]) for n, same in own.items() if sealed[n].linked]
        apart = [(not same, weights[n]) for n, same in own.items() if not sealed[n].linked]
        scores.append(StratumScore(name, weighted(links), weighted(apart)))
    return scores


def _rises(sealed: Mapping[int, SealedPair], links: Mapping[int, bool]) -> list[Rise]:
    rises = []
    own = {n: same for n, same in links.items() if sealed[n].weight >= sealed[n].certain}
    for stratum in sorted({sealed[n].stratum for n, same in own.items() if not same}):
        weights = [(sealed[n].weight, same) for n, same in own.items() if sealed[n].stratum == stratum]
        wrong = [weight for weight, same in weights if not same]
        right = sum(same and weight <= max(wrong) for weight, same in weights)
        rises.append(Rise(stratum, max(wrong), len(wrong), right))
    return rises


def _joined_otherwise(sealed: Mapping[int, SealedPair], links: Mapping[int, bool]) -> list[JoinedOtherwise]:
    wrong = Counter(sealed[n].stratum for n, same in links.items() if not same and sealed[n].weight < sealed[n].certain)
    return [JoinedOtherwise(stratum, count) for stratum, count in sorted(wrong.items())]
