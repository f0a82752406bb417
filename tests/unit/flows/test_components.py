"""Connected components of people."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.flows.load.components import components

EDGES = st.lists(st.tuples(st.integers(1, 12), st.one_of(st.integers(1, 12), st.sampled_from(["p", "q", "r"]))))


def test_people_without_edges_are_alone():
    assert list(components([1, 2, 3], [])) == [[1], [2], [3]]


def test_a_patient_joins_the_people_who_fit_it():
    assert list(components([1, 2, 3], [(1, "p"), (3, "p")])) == [[1, 3], [2]]


def test_who_is_not_asked_about_joins_nobody():
    edges = [(1, 2), (3, 2), (2, 4), (9, 1), (1, 9), (2, "p"), (3, "p"), (4, "p")]
    assert list(components([1, 3, 4], edges)) == [[1], [3, 4]]


def test_nobody_at_all():
    assert list(components([], [])) == []


@settings(derandomize=True)
@given(EDGES)
def test_components_are_those_of_a_plain_search(edges):
    neighbours = {n: set() for n in range(1, 13)}
    joined = {}
    for person, other in edges:
        if isinstance(other, str):
            joined.setdefault(other, []).append(person)
        else:
            neighbours[person].add(other)
            neighbours[other].add(person)
    for group in joined.values():
        for person in group:
            neighbours[person] |= set(group)
    expected = set()
    for start in neighbours:
        seen, front = {start}, [start]
        while front:
            for next_one in neighbours[front.pop()] - seen:
                seen.add(next_one)
                front.append(next_one)
        expected.add(frozenset(seen))
    by_patient = sorted(edges, key=lambda edge: str(edge[1]))
    assert {frozenset(group) for group in components(range(1, 13), by_patient)} == expected
