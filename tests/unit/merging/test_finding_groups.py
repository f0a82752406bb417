from fhir_gateway.merging.finding_groups import join_people, overlapping


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
    pairs = [("5", "6"), ("1", "2"), ("6", "9"), ("2", "3")]
    assert overlapping(pairs) == [[pairs[1], pairs[3]], [pairs[0], pairs[2]]]


def test_who_stands_together_already_is_joined_as_a_whole_or_left_out():
    joined = join_people([("a", "x")], contradicting(), together=[("a", "b"), ("c", "d")])
    assert joined.groups == (("a", "b", "x"),)


def test_who_contradicts_one_of_those_who_stand_together_is_not_joined_to_the_other():
    joined = join_people([("a", "x")], contradicting("bx"), together=[("a", "b")])
    assert (joined.groups, joined.torn) == ((), (("a", "x"),))
