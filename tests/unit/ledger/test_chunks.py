from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.ledger.chunks import CHUNK, chunks


@given(st.lists(st.integers(), max_size=3000))
def test_every_value_is_in_a_chunk_and_no_other(values):
    assert list(dict.fromkeys(chain.from_iterable(chunks(values)))) == list(dict.fromkeys(values))


def test_only_few_lengths_occur():
    lengths = {len(chunk) for count in range(1, 1200) for chunk in chunks(range(count))}
    assert lengths == {1, 2, 4, 8, 16, 32, 64, 128, 256, CHUNK}


def test_no_chunk_is_longer_than_asked_for():
    assert [len(chunk) for chunk in chunks(range(350), 200)] == [200, 200]
