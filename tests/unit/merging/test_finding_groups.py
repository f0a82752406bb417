from typing import NamedTuple

from fhir_gateway.merging.finding_groups import join_people, overlapping


class Linked(NamedTuple):
    left: int
    right: int


def contradicting(*pairs):
    apart = {frozenset(pair) for pair in pairs}
    return lambda one, other: frozenset((one, other)) in apart


def test_pairs_that_overlap_are_one_group():
    joined = join_people([("a", "b"), ("b", "c"), ("x", "y")], contradicting())
    assert joined.groups == (("a", "b", "c"), ("x", "y"))
    assert (joined.contradicting, joined.torn) == ((), ())


def test_a_pair_that_contradicts_itself_joins_nobody():
    joined = join_people([("a", "b"), ("b", "c")], contradicting("ab"))
    assert (joined.groups, joined.contradicting) == ((("b", "c"),), (("a", "b"),))


def test_the_better_pair_stands_where_all_together_would_contradict():
    joined = join_people([("a", "b"), ("b", "c")], contradicting("ac"))
    assert (joined.groups, joined.torn) == ((("a", "b"),), (("b", "c"),))


def test_components_hold_every_pair_once():
    pairs = [Linked(5, 6), Linked(1, 2), Linked(6, 9), Linked(2, 3)]
    assert overlapping(pairs) == [[Linked(1, 2), Linked(2, 3)], [Linked(5, 6), Linked(6, 9)]]
