import gc

from fhir_gateway.bootstrap.collecting import few_collections


def test_nothing_is_kept_from_the_search_for_cycles_afterwards():
    before = gc.get_threshold()
    with few_collections():
        assert gc.get_freeze_count() > 0
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
