"""What clinics' lists say of the groups of one component, each group put together and each two compared once."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from fhir_gateway.domain.identity import Node
from fhir_gateway.identity.given import Listed
from fhir_gateway.identity.repeats import Repeats, count_repeats

_NOTHING = Listed()


class Lists:
    """What lists say of people and Patients, and of groups of them; of whom they say nothing they are empty."""

    def __init__(self, listed: Mapping[Node, Listed]) -> None:
        self._listed = listed
        self._together: dict[frozenset[Node], Listed] = {}
        self._repeats: dict[tuple[frozenset[Node], frozenset[Node]], Repeats] = {}

    def __contains__(self, node: Node) -> bool:
        """Say whether any list tells of one."""
        return node in self._listed

    def of(self, nodes: Iterable[Node]) -> Listed:
        """Return what lists say of a group."""
        group = frozenset(nodes)
        known = self._together.get(group)
        if known is None:
            said = [self._listed[node] for node in group if node in self._listed]
            known = self._together[group] = reduce(or_, said) if said else _NOTHING
        return known

    def repeats(self, some: Iterable[Node], others: Iterable[Node]) -> Repeats:
        """Return how many doses the same lists have of both groups, see count_repeats()."""
        both = frozenset(some), frozenset(others)
        known = self._repeats.get(both)
        if known is None:
            known = self._repeats[both] = count_repeats(*map(self.of, both))
        return known
