from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.identity import tally
from fhir_gateway.identity.tally import Tally

numbers = st.lists(st.lists(st.integers(0, 20) | st.integers(0, 2**64 - 1)))


@given(numbers, numbers)
def test_a_tally_counts_what_was_added_however_it_came(own, others):
    one, other = Tally(), Tally()
    with_few = tally._COUNTED_TOGETHER
    tally._COUNTED_TOGETHER = 5
    try:
        for part in own:
            one.extend(part)
        for part in others:
            other.extend(part)
        one.add(other)
    finally:
        tally._COUNTED_TOGETHER = with_few
    assert dict(one.items()) == Counter(number for part in own + others for number in part)
    assert dict(one.items()) == Counter(number for part in own + others for number in part)


def test_a_tally_keeps_a_number_once(monkeypatch):
    monkeypatch.setattr(tally, "_COUNTED_TOGETHER", 10)
    counted = Tally()
    for _ in range(100):
        counted.extend([1, 2, 3])
    assert len(counted._numbers) == 3
    assert len(counted._waiting) < 13
    assert sorted(counted.items()) == [(1, 100), (2, 100), (3, 100)]
