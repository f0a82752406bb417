"""Connected components of people and Patients, in a few bytes a person."""

from array import array
from collections.abc import Iterable, Iterator

Edge = tuple[int, int | str]


def components(people: Iterable[int], edges: Iterable[Edge]) -> Iterator[list[int]]:
    """Yield the people of every component, each list and the lists by their smallest number.

    People are positive numbers; an edge leads to another person or to a Patient's id. Twelve bytes a person, and a
    dictionary of the Patients.
    """
    members = array("l", people)
    size = max(members, default=0) + 1
    parent = array("l", range(size))
    patients: dict[str, int] = {}
    for person, other in edges:
        if isinstance(other, str):
            other = patients.setdefault(other, person)  # noqa: PLW2901 - the first person who fits stands for the Patient
        left, right = _root(parent, person), _root(parent, other)
        parent[max(left, right)] = min(left, right)
    yield from _grouped(members, parent)


def _root(parent: "array[int]", node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _grouped(members: "array[int]", parent: "array[int]") -> Iterator[list[int]]:
    following = array("l", bytes(8 * len(parent)))
    tail = array("l", range(len(parent)))
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
