"""Pairs that are worth a comparison, in portions that can be grouped by themselves: nobody stands in two of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.merges import DuplicateGroup
from fhir_gateway.flows.merge.finding.registering import Registered
from fhir_gateway.merging.finding_groups import Pair, overlapping
from fhir_gateway.merging.finding_likely import Portion

_PAIRS_TOGETHER = 1_000


class Portions:
    """The portions of all pairs that are worth a comparison (see finding_screen.worth_of) and of who shares a NIK."""

    def __init__(self, worth: Mapping[Pair, tuple[int, int]], shared: Sequence[Found], registered: Registered) -> None:
        self._pairs = list(worth)
        self._records = registered.records
        self._numbers = dict(registered.sharing)
        for pair, numbers in worth.items():
            self._numbers.update(zip(pair, numbers, strict=True))
        self._sharing: dict[str, DuplicateGroup] = {}
        for one in shared:
            ids = one.group.patient_ids
            if one.kind is FoundKind.SHARED_NIK and self._sharing.keys().isdisjoint(ids):
                self._sharing |= dict.fromkeys(ids, one.group)

    def __len__(self) -> int:
        return len(self._pairs)

    def people(self) -> list[str]:
        """Return whom the portions name, by id."""
        return sorted(self._people_of(self._pairs))

    def all(self, parted: Collection[frozenset[str]]) -> Iterator[Portion]:
        """Yield the portions; `parted` are the pairs of ids that are known to be two people."""
        together: list[Pair] = []
        for component in self._components():
            together += component
            if len(together) >= _PAIRS_TOGETHER:
                yield self._portion(together, parted)
                together = []
        if together:
            yield self._portion(together, parted)

    def _components(self) -> Iterator[list[Pair]]:
        """Yield pairs that have somebody in common, also by a shared NIK."""
        by_nik: dict[Pair, None] = {}
        for one in {one for pair in self._pairs for one in pair if one in self._sharing}:
            first, *others = self._sharing[one].patient_ids
            by_nik |= dict.fromkeys((first, other) for other in others)
        for component in overlapping([*self._pairs, *by_nik]):
            yield [pair for pair in component if pair not in by_nik]

    def _portion(self, pairs: Sequence[Pair], parted: Collection[frozenset[str]]) -> Portion:
        people = {one: self._records.get(self._numbers[one]) for one in self._people_of(pairs)}
        groups = {one: self._sharing[one] for one in people if one in self._sharing}
        return Portion(
            tuple(pairs),
            people,
            {group.patient_ids: group.nik for group in groups.values()},
            frozenset(pair for pair in parted if pair <= people.keys()),
        )

    def _people_of(self, pairs: Sequence[Pair]) -> set[str]:
        """Return whom pairs name, and those who share a NIK with them."""
        named = {one for pair in pairs for one in pair}
        return named.union(*(self._sharing[one].patient_ids for one in named if one in self._sharing))
