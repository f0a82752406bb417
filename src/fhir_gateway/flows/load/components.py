"""Connected components of people and Patients, in a few bytes a person."""

from array import array
from collections.abc import Iterable, Iterator

Edge = tuple[int, int | str]


def components(people: Iterable[int], edges: Iterable[Edge]) -> Iterator[list[int]]:
    """Yield the people of every component, each list and the lists by their smallest number.

    People are positive numbers; an edge leads to another person or to a Patient's id. The edges to one Patient come one
    after another. Who is not among the people joins nobody. Nine bytes a person, whatever the edges are.
    """
    asked = _marked(people)
    parent = array("i", range(len(asked)))
    patient, first = "", 0
    for person, other in edges:
        if not _is_marked(asked, person):
            continue
        if isinstance(other, int):
            if _is_marked(asked, other):
                _join(parent, person, other)
        elif other == patient:
            _join(parent, person, first)
        else:
            patient, first = other, person  # who comes first stands for the Patient
    yield from _grouped(asked, parent)


def _marked(people: Iterable[int]) -> bytearray:
    marks = bytearray(1)
    for person in people:
        if person >= len(marks):
            marks.extend(bytes(person + 1 - len(marks)))
        marks[person] = 1
    return marks


def _is_marked(marks: bytearray, person: int) -> bool:
    return person < len(marks) and marks[person] == 1


def _join(parent: "array[int]", one: int, other: int) -> None:
    left, right = _root(parent, one), _root(parent, other)
    parent[max(left, right)] = min(left, right)


def _root(parent: "array[int]", node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _grouped(asked: bytearray, parent: "array[int]") -> Iterator[list[int]]:
    following = array("i", bytes(4 * len(parent)))
    for member in range(len(asked) - 1, 0, -1):  # each is put behind its root, so the last ones come first
        root = _root(parent, member)
        if root != member:
            following[member], following[root] = following[root], member
    for member in range(1, len(asked)):
        if asked[member] and parent[member] == member:
            group, node = [member], following[member]
            while node:
                group.append(node)
                node = following[node]
            yield group
