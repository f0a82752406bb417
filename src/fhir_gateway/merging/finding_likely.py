"""Which of the people who may be one are, and how they stand in groups: compared, joined to those who share a NIK, graded.

All of it is worked out of what is handed over, so that several portions can be worked off beside each other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.identity import ComparedPair, Comparison, Grade
from fhir_gateway.domain.merges import DuplicateGroup, GroupRule
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.merging.finding_groups import Joined, Pair, fitting_two, found_of, join_people
from fhir_gateway.merging.finding_people import Person, unpack
from fhir_gateway.merging.finding_settling import is_settled
from fhir_gateway.merging.grouping import contradictions_of, grade_people

_ASKED = frozenset({Grade.CERTAIN, Grade.PROBABLE})


@dataclass(frozen=True, slots=True)
class Grouped:
    """Groups of likely duplicates.

    `joined` are the ids of shared NIKs' groups that stand in one of these as a whole, `parted` counts the pairs that are
    likely one person, but were parted before.
    """

    found: tuple[Found, ...]
    joined: frozenset[tuple[str, ...]]
    parted: int


@dataclass(frozen=True, slots=True)
class Portion:
    """Pairs of people who may be one, by id; whoever stands in two pairs, also by a shared NIK, finds both in one portion.

    `people` are those whom the pairs name and those who share a NIK with them (see finding_people.pack), by id; `sharing`
    are the groups of these, each with its NIK; `parted` are pairs that are known to be two people.
    """

    pairs: Sequence[Pair]
    people: Mapping[str, bytes]
    sharing: Mapping[tuple[str, ...], str]
    parted: frozenset[frozenset[str]]


def group_likely(portion: Portion, policy: MatchingPolicy, frequencies: Frequencies) -> Grouped:
    """Compare a portion's pairs; return those that are likely one person, in groups."""
    return _Grouping(portion, policy, frequencies).all()


class _Grouping:
    """Groups one portion; each two people are compared once."""

    def __init__(self, portion: Portion, policy: MatchingPolicy, frequencies: Frequencies) -> None:
        self._portion = portion
        self._policy = policy
        self._frequencies = frequencies
        self._people: dict[str, Person] = {one: unpack(record) for one, record in portion.people.items()}
        self._evidence = {one: person.evidence for one, person in self._people.items()}
        self._sharing = {one: ids for ids in portion.sharing for one in ids}
        self._compared: dict[Pair, Comparison] = {}

    def all(self) -> Grouped:
        """Return the portion's groups."""
        asked = [pair for pair in self._portion.pairs if self._compare(*pair).grade in _ASKED]
        allowed = [pair for pair in asked if frozenset(pair) not in self._portion.parted]
        joined = join_people(sorted(allowed, key=self._rank), self._contradict, self._portion.sharing)
        open_ = self._fitting_others(joined)
        groups = [self._joined(ids, fits_others=ids in open_) for ids in joined.groups]
        whole = {
            self._sharing[one]
            for found in groups
            if found.kind is FoundKind.LIKELY
            for one in found.group.patient_ids
            if one in self._sharing
        }
        met = Counter(one for pair in allowed for one in pair)
        groups += [self._contradicting(pair, met) for pair in joined.contradicting]
        groups += [found_of(FoundKind.LIKELY, fitting_two(self._graded(ids)), self._people) for ids in joined.torn]
        return Grouped(tuple(groups), frozenset(whole), len(asked) - len(allowed))

    def _rank(self, pair: Pair) -> tuple[bool, float, Pair]:
        """Order pairs: the best ones first."""
        comparison = self._compare(*pair)
        return comparison.grade is not Grade.CERTAIN, -comparison.weight, pair

    def _compare(self, one: str, other: str) -> Comparison:
        pair = (one, other) if one < other else (other, one)
        known = self._compared.get(pair)
        if known is None:
            left, right = (self._evidence[each] for each in pair)
            known = compare(left, right, policy=self._policy, frequencies=self._frequencies)
            self._compared[pair] = known
        return known

    def _contradict(self, one: str, other: str) -> bool:
        pair = ComparedPair(one, other, self._compare(one, other))
        evidence, parted = self._evidence, self._portion.parted
        return bool(contradictions_of(pair, rule=GroupRule.EVIDENCE, evidence=evidence, parted=parted))

    def _graded(self, ids: Iterable[str], nik: str = "") -> DuplicateGroup:
        evidence = {one: self._evidence[one] for one in ids}
        return grade_people(
            evidence, rule=GroupRule.EVIDENCE, nik=nik, parted=self._portion.parted, compared=self._compare
        )

    def _joined(self, ids: tuple[str, ...], *, fits_others: bool) -> Found:
        """Return people in whom nothing contradicts as a group; of those who share a NIK the first one's stands for it."""
        nik = next((self._portion.sharing[self._sharing[one]] for one in ids if one in self._sharing), "")
        group = self._graded(ids, nik)
        return found_of(FoundKind.LIKELY, fitting_two(group) if fits_others else group, self._people)

    def _fitting_others(self, joined: Joined) -> set[tuple[str, ...]]:
        """Return the groups of which one fits somebody else, without the clear lead by which a load decides between two."""
        group_of = {one: group for group in joined.groups for one in group}
        found: set[tuple[str, ...]] = set()
        for one, other in (ends for pair in joined.torn for ends in (pair, pair[::-1])):
            mine, theirs = group_of.get(one, ()), group_of.get(other, (other,))
            bar = self._compare(one, other).weight + self._policy.margin
            near = [rival for rival in mine if rival != one and self._compare(one, rival).weight < bar]
            if any(self._contradict(rival, each) for rival in near for each in theirs):
                found.add(mine)
        return found

    def _contradicting(self, pair: Pair, met: Mapping[str, int]) -> Found:
        """Return a pair that something speaks against; where both fit nobody else, that may be settled."""
        group = self._graded(pair)
        alone = all(met[one] == 1 and one not in self._sharing for one in pair)
        settled = alone and is_settled(group, self._evidence, policy=self._policy, frequencies=self._frequencies)
        return found_of(FoundKind.LIKELY, group, self._people, settled=settled)
