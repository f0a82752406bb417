"""People who were found together become groups, each with its kind: to be planned, or to be looked at."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.merges import DuplicateGroup, MergeConflict
from fhir_gateway.merging.finding_people import Person

Pair = tuple[str, str]


_ORDER = {
    kind: place
    for place, kind in enumerate((*(k for k in FoundKind if k is not FoundKind.CONFLICT), FoundKind.CONFLICT))
}


def found_of(kind: FoundKind, group: DuplicateGroup, people: Mapping[str, Person], *, settled: bool = False) -> Found:
    """Return a group as it was found; one that something speaks against is a conflict, whatever brought it together.

    Not so where that is `settled`: then what speaks against it is named, and the group is what it is all the same.
    """
    if not settled and any(conflict.blocks for conflict in group.conflicts):
        kind = FoundKind.CONFLICT
    return Found(kind, group, tuple(people[one].shown for one in group.patient_ids), weight_of(group))


def weight_of(group: DuplicateGroup) -> float:
    """Return the weight of the weakest pair that is needed to hold a group together, 0 where none was compared."""
    joined: dict[object, set[object]] = {one: {one} for one in group.patient_ids}
    weakest = 0.0
    for pair in sorted(group.pairs, key=lambda pair: -pair.comparison.weight):
        one, other = joined[pair.left], joined[pair.right]
        if one is not other:
            weakest = pair.comparison.weight
            one |= other
            joined.update(dict.fromkeys(other, one))
    return weakest


def in_order(found: list[Found]) -> tuple[Found, ...]:
    """Return what was found as it is listed: by kind, conflicts last; what is surest first."""
    return tuple(sorted(found, key=lambda one: (_ORDER[one.kind], -one.weight, one.group.patient_ids)))


def overlapping(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """Return pairs by connected component, the components by their smallest id."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    kept = list(pairs)
    for left, right in kept:
        one, other = root(left), root(right)
        parent[max(one, other)] = min(one, other)
    components: dict[str, list[Pair]] = defaultdict(list)
    for pair in kept:
        components[root(pair[0])].append(pair)
    return [components[first] for first in sorted(components)]


@dataclass(frozen=True, slots=True)
class Joined:
    """Groups of Patients in which nobody contradicts anybody, and the pairs that could not be joined for that."""

    groups: tuple[tuple[str, ...], ...]
    contradicting: tuple[Pair, ...]
    torn: tuple[Pair, ...]
    """Pairs that agree, but to join them would bring others together who contradict each other."""


def join_people(
    pairs: Iterable[Pair], contradict: Callable[[str, str], bool], together: Iterable[Iterable[str]] = ()
) -> Joined:
    """Join pairs, which come best first, into groups; `contradict` says whether two cannot stand in one group.

    Who stands `together` already, in groups that do not overlap, is joined as a whole; such a group that nobody joins is
    left out.
    """
    before = [set(known) for known in together]
    members = {one: known for known in before for one in known}
    sizes = {id(known): len(known) for known in before}
    contradicting: list[Pair] = []
    torn: list[Pair] = []
    for one, other in pairs:
        if contradict(one, other):
            contradicting.append((one, other))
            continue
        mine, theirs = members.setdefault(one, {one}), members.setdefault(other, {other})
        if mine is theirs:
            continue
        if any(contradict(left, right) for left in mine for right in theirs):
            torn.append((one, other))
            continue
        mine |= theirs
        members.update(dict.fromkeys(theirs, mine))
    distinct = {id(each): each for each in members.values() if len(each) > sizes.get(id(each), 1)}
    groups = sorted(tuple(sorted(each)) for each in distinct.values())
    return Joined(tuple(groups), tuple(contradicting), tuple(torn))


def fitting_two(group: DuplicateGroup) -> DuplicateGroup:
    """Return a group with the conflict that one of them fits somebody, too, who contradicts another of them."""
    words = "one of them fits somebody else as well, who contradicts another: who belongs to whom is open"
    conflict = MergeConflict("fits-two-people", words, tuple(f"Patient/{one}" for one in group.patient_ids))
    grade = Grade.PROBABLE if group.grade is Grade.CERTAIN else group.grade
    return replace(group, grade=grade, conflicts=(*group.conflicts, conflict))
