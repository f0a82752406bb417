from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.merging.finding_pages import NUMBER, NUMBER_BITS, blocks_in, kind_of, noted, pair_off


def noted_under(people):
    """Return the parts of what people (number → keys) are noted under."""
    return noted([people.get(number, ()) for number in range(max(people, default=0) + 1)], 0)


def pairs_of(parts, most=300):
    paired = [pair_off(values, most) for values in parts.values()]
    return {(value >> NUMBER_BITS, value & NUMBER) for each in paired for value in each.pairs}


@given(
    st.dictionaries(st.integers(0, 50), st.frozensets(st.sampled_from(["d:1:a", "d:1:b", "p:1:a", "n:7"])), max_size=9)
)
@settings(derandomize=True, deadline=None)
def test_who_shares_a_key_meets_and_nobody_else(people):
    meeting = {(one, other) for one in people for other in people if one < other and people[one] & people[other]}
    assert pairs_of(noted_under(people)) == meeting


def test_a_part_tells_the_kind_of_its_keys():
    assert {kind_of(part) for part in noted_under({1: ["d:1:a"], 2: ["p:1:a"]})} == {"d", "p"}


def test_a_person_noted_twice_meets_nobody_for_that():
    assert list(blocks_in(array("Q", [*noted_under({5: ["d:1:a", "d:1:a"]}).popitem()[1]]))) == []


def test_larger_blocks_than_wanted_are_counted_and_pair_nobody():
    (values,) = noted_under({number: ["d:1:a"] for number in range(4)}).values()
    paired = pair_off(values, 3)
    assert (list(paired.pairs), paired.cut, paired.largest) == ([], 1, 4)
