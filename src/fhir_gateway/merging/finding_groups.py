"""People who were found together become groups, each with its kind: to be planned, or to be looked at."""

from collections.abc import Mapping

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.merges import DuplicateGroup
from fhir_gateway.merging.finding_people import Person

_ORDER = {
    kind: place
    for place, kind in enumerate((*(k for k in FoundKind if k is not FoundKind.CONFLICT), FoundKind.CONFLICT))
}


def found_of(kind: FoundKind, group: DuplicateGroup, people: Mapping[str, Person]) -> Found:
    """Return a group as it was found; one that something speaks against is a conflict, whatever brought it together."""
    if any(conflict.blocks for conflict in group.conflicts):
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
