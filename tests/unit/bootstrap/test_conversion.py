import gc
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.bootstrap import conversion
from fhir_gateway.sources.mapping_folders import shipped_mappings


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(conversion, "_STORED_AT_ONCE", 3)
    monkeypatch.setattr(conversion, "_MARKS", 16)


@settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-1, 1))))
def test_an_id_is_new_exactly_once_and_its_content_is_remembered_whatever_marks_it_shares(small, given_claims):
    claims = [(f"{number:032x}"[::-1], content) for number, content in given_claims]
    first: dict[str, int] = {}

    with closing(conversion._Seen()) as seen:
        for place in range(0, len(claims), 2):
            asked = claims[place : place + 2]
            expected = {each for each, _ in asked if each not in first}
            for each, content in asked:
                first.setdefault(each, content)
            conflicts = {(each, content) for each, content in asked if first[each] != content}
            assert seen.take(asked) == (expected, conflicts)


class _Silence:
    def phase(self, name, total=None):
        pass

    def advance(self, done, *_):
        pass


def test_rows_make_no_cycles_of_objects(tmp_path):
    sample = shipped_mappings() / "puskesmas" / "sample.csv"
    convert = conversion.Conversion(sample, mapping="puskesmas", clinic="here", limit=0)
    gc.unfreeze()  # what other tests had frozen would be counted as this one's
    gc.collect()

    books = convert.run(tmp_path / "out.ndjson", None, _Silence())

    assert gc.isenabled()
    gc.unfreeze()
    assert gc.collect() < books.read / 10
