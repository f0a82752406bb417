from datetime import UTC, datetime, timedelta

import pytest

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.registry.cursors import PAGES_LIVE, Cursor, Position, position_of, read_cursor, write_cursor
from fhir_gateway.registry.parameters import SEARCHES, SearchProblemError, parse_search

NOW = datetime(2024, 5, 1, tzinfo=UTC)
PAIRS = [("patient.identifier", "urn:x|1"), ("date", "ge2024"), ("_count", "7"), ("_include", "Immunization:patient")]
CURSOR = Cursor(parse_search("Immunization", PAIRS, served=SEARCHES["Immunization"]), Position(NOW, "a-1"))


def test_a_cursor_holds_the_whole_search():
    assert read_cursor(write_cursor(CURSOR, now=NOW), resource_type="Immunization", now=NOW) == CURSOR


def test_a_cursor_of_another_type_is_refused():
    with pytest.raises(SearchProblemError):
        read_cursor(write_cursor(CURSOR, now=NOW), resource_type="Patient", now=NOW)


def test_an_old_cursor_is_refused_with_what_to_do():
    with pytest.raises(SearchProblemError, match="again"):
        read_cursor(write_cursor(CURSOR, now=NOW), resource_type="Immunization", now=NOW + PAGES_LIVE + timedelta(1))


def test_positions_are_instants_whatever_their_zone():
    early = {"resourceType": "Patient", "id": "b", "meta": {"lastUpdated": "2024-01-01T07:00:00+07:00"}}
    same = {"resourceType": "Patient", "id": "a", "meta": {"lastUpdated": "2024-01-01T00:00:00.000Z"}}
    assert position_of(same) < position_of(early)
    assert position_of(same).updated == position_of(early).updated


@pytest.mark.parametrize("meta", [None, {}, {"lastUpdated": 3}, {"lastUpdated": "soon"}])
def test_a_server_that_does_not_say_when_it_wrote_cannot_be_paged(meta):
    with pytest.raises(PermanentServerError, match="Patient"):
        position_of({"resourceType": "Patient", "id": "x", "meta": meta})
