"""Pairs of likely duplicates become groups, joined to those who share a NIK; each component of them is looked at by itself."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.identity import ComparedPair, Comparison
from fhir_gateway.domain.merges import DuplicateGroup, GroupRule
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.merging.finding_groups import fitting_two, found_of, join_people, overlapping
from fhir_gateway.merging.finding_people import Person
from fhir_gateway.merging.finding_settling import is_settled
from fhir_gateway.merging.grouping import contradictions_of, grade_people

_PAIRS_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class LikelyPair:
    """Two registered people, by their Patients' ids, who may be one."""

    left: str
    right: str
    certain: bool = False
    weight: float = 0.0


class LikelyGroups:
    """Groups what was found, portion by portion; `joined` are ids of shared NIKs' groups that likely ones are joined to."""

    def __init__(self, shared: Sequence[Found], frequencies: Frequencies, tools: FindTools) -> None:
        self.found: list[Found] = []
        self.joined: set[tuple[str, ...]] = set()
        self.parted = self.done = 0
        self._frequencies = frequencies
        self._tools = tools
        self._sharing: dict[str, Found] = {}
        for one in shared:
            if one.kind is FoundKind.SHARED_NIK and not any(who in self._sharing for who in one.group.patient_ids):
                self._sharing |= dict.fromkeys(one.group.patient_ids, one)

    def with_whom(self, pair: LikelyPair) -> tuple[str, ...]:
        """Return those who share a NIK with one of a pair."""
        groups = [self._sharing[one].group.patient_ids for one in (pair.left, pair.right) if one in self._sharing]
        return tuple(dict.fromkeys(one for ids in groups for one in ids))

    def portions(self, pairs: Sequence[LikelyPair]) -> Iterator[list[LikelyPair]]:
        """Yield portions of pairs; whoever stands in two pairs, also by a shared NIK, finds both in one portion."""
        by_nik: dict[LikelyPair, None] = {}
        for pair in pairs:
            for one in (pair.left, pair.right):
                if one in self._sharing:
                    first, *others = self._sharing[one].group.patient_ids
                    by_nik |= dict.fromkeys(LikelyPair(first, other) for other in others)
        portion: list[LikelyPair] = []
        for component in overlapping([*pairs, *by_nik]):
            portion += [pair for pair in component if pair not in by_nik]
            if len(portion) >= _PAIRS_TOGETHER:
                yield portion
                portion = []
        if portion:
            yield portion

    async def add(self, pairs: Sequence[LikelyPair], people: Mapping[str, Person]) -> None:
        """Group a portion of pairs; `people` are those whom it names and those who share a NIK with them."""
        apart = self._tools.ledger.keys.kept_apart(sorted(people))
        best_first = sorted(pairs, key=lambda pair: (not pair.certain, -pair.weight, pair.left, pair.right))
        # A Patient that was written again while the server was read came twice, and so did its pairs.
        wanted = list(dict.fromkeys((pair.left, pair.right) for pair in best_first))
        allowed = [pair for pair in wanted if frozenset(pair) not in apart]
        self.parted += len(wanted) - len(allowed)
        self.done += len(pairs)
        self.found += await asyncio.to_thread(self._grouped, allowed, people, apart)

    def _grouped(
        self, pairs: Sequence[tuple[str, str]], people: Mapping[str, Person], parted: set[frozenset[str]]
    ) -> list[Found]:
        evidence = {patient_id: person.evidence for patient_id, person in people.items()}

        @cache
        def compared(one: str, other: str) -> Comparison:
            return compare(evidence[one], evidence[other], policy=self._tools.matching, frequencies=self._frequencies)

        def contradict(one: str, other: str) -> bool:
            pair = ComparedPair(one, other, compared(one, other))
            return bool(contradictions_of(pair, evidence=evidence, parted=parted))

        def graded(ids: Iterable[str], nik: str = "") -> DuplicateGroup:
            return grade_people(
                {one: evidence[one] for one in ids},
                rule=GroupRule.EVIDENCE,
                nik=nik,
                parted=parted,
                policy=self._tools.matching,
                frequencies=self._frequencies,
            )

        sharing = dict.fromkeys(self._sharing[one].group.patient_ids for one in people if one in self._sharing)
        joined = join_people(pairs, contradict, sharing)
        found = [self._joined(ids, graded, people) for ids in joined.groups]
        met = Counter(one for pair in pairs for one in pair)
        for one, other in joined.contradicting:
            group = graded((one, other))
            alone = met[one] == met[other] == 1 and self._sharing.keys().isdisjoint((one, other))
            settled = alone and is_settled(group, evidence, policy=self._tools.matching, frequencies=self._frequencies)
            found.append(found_of(FoundKind.LIKELY, group, people, settled=settled))
        return found + [found_of(FoundKind.LIKELY, fitting_two(graded(ids)), people) for ids in joined.torn]

    def _joined(
        self, ids: tuple[str, ...], graded: Callable[[Iterable[str], str], DuplicateGroup], people: Mapping[str, Person]
    ) -> Found:
        """Return people in whom nothing contradicts as a group, in which those who share a NIK stand as a whole."""
        sharing = [self._sharing[one].group for one in ids if one in self._sharing]
        found = found_of(FoundKind.LIKELY, graded(ids, sharing[0].nik if sharing else ""), people)
        if found.kind is FoundKind.LIKELY:
            self.joined |= {group.patient_ids for group in sharing}
        return found
