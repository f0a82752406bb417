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
@given(st.lists(st.integers(0, 40)))
def test_an_id_is_new_exactly_once_whatever_marks_it_shares(small, numbers):
    ids = [f"{number:032x}"[::-1] for number in numbers]

    with closing(conversion._Seen()) as seen:
        told = [seen.new_ids(ids[place : place + 2]) for place in range(0, len(ids), 2)]

    assert told == [set(ids[place : place + 2]).difference(ids[:place]) for place in range(0, len(ids), 2)]


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
