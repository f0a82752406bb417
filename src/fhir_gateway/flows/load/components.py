"""Connected components of people and Patients, in a few bytes a person."""

from array import array
from collections.abc import Iterable, Iterator

Edge = tuple[int, int | str]


def components(people: Iterable[int], edges: Iterable[Edge]) -> Iterator[list[int]]:
    """Yield the people of every component, each list and the lists by their smallest number.

    People are positive numbers; an edge leads to another person or to a Patient's id. The edges to one Patient come one
    after another. Sixteen bytes a person, whatever the edges are.
    """
    members = array("i", people)
    size = max(members, default=0) + 1
    parent = array("i", range(size))
    patient, first = "", 0
    for person, other in edges:
        if isinstance(other, int):
            _join(parent, person, other)
        elif other == patient:
            _join(parent, person, first)
        else:
            patient, first = other, person  # who comes first stands for the Patient
    yield from _grouped(members, parent)


def _join(parent: "array[int]", one: int, other: int) -> None:
    left, right = _root(parent, one), _root(parent, other)
    parent[max(left, right)] = min(left, right)


def _root(parent: "array[int]", node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _grouped(members: "array[int]", parent: "array[int]") -> Iterator[list[int]]:
    following = array("i", bytes(4 * len(parent)))
    tail = array("i", range(len(parent)))
    for member in members:
        root = _root(parent, member)
        if root != member:
            following[tail[root]] = member
            tail[root] = member
    for member in members:
        if parent[member] == member:
            group, node = [member], following[member]
            while node:
                group.append(node)
                node = following[node]
            yield group
