"""Searches use indexes: none reads a whole type to find a few of it."""

import sqlite3

import pytest

from fhir_gateway.embedded_server.search_request import parse_search
from fhir_gateway.embedded_server.searching import _where
from fhir_gateway.embedded_server.server import EmbeddedServer


@pytest.mark.parametrize(
    ("parameters", "index"),
    [
        ([("_id", "p1,p2")], "USING INDEX sqlite_autoindex_resource_1 (type=? AND id=?)"),
        ([("_lastUpdated", "ge2024-01-01"), ("_sort", "_lastUpdated")], "(type=? AND updated>?)"),
        ([("patient", "Patient/1")], "USING INTEGER PRIMARY KEY (rowid=?)"),
        ([("patient", "Patient/1"), ("_lastUpdated", "ge2024-01-01")], "USING INTEGER PRIMARY KEY (rowid=?)"),
    ],
)
def test_a_search_uses_the_index_that_finds_the_fewest(tmp_path, parameters, index):
    EmbeddedServer(tmp_path).close()
    search = parse_search("Immunization", parameters, base="http://x/fhir", lenient=False)
    where = _where(search)
    column = "updated" if search.sort == "updated" else "id"
    sql = f"EXPLAIN QUERY PLAN SELECT body FROM resource WHERE {where.sql} ORDER BY {column} LIMIT 10"
    connection = sqlite3.connect(tmp_path / "fhir.db")
    plan = " ".join(row[3] for row in connection.execute(sql, where.arguments))
    connection.close()
    assert index in plan
    assert "SCAN resource" not in plan
