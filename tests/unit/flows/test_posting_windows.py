"""How many people, and rows of theirs, are posted together."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.records import Dose
from fhir_gateway.domain.runs import RunKind, SpooledRecord
from fhir_gateway.flows.load.posting import _next_window
from fhir_gateway.ledger.store import Ledger

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROWS = (3, 2, 4, 1)
"""How many rows each person has."""


@pytest.fixture
def ledger(tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def run(ledger):
    people = [person for person, rows in enumerate(ROWS, start=1) for _ in range(rows)]
    records = [
        SpooledRecord(n, 0, n, f"k{n}", "c", "x", person, {}, (Dose("", {}),), ())
        for n, person in enumerate(people, start=1)
    ]
    with ledger.transaction():
        begun = ledger.runs.start(kind=RunKind.LOAD, fingerprint="f", files=[], clinic="c", user="u", started=NOW)
        ledger.spool.people(begun, {f"d{n}": {"resourceType": "Patient", "id": str(n)} for n in range(1, 5)})
        ledger.spool.add(begun, [(record, None) for record in records])
        decided = [
            PersonDecision((n,), PersonAction.CREATE, Grade.CERTAINLY_NOT, "new", "nobody fits") for n in range(1, 5)
        ]
        ledger.spool.decide(begun, [(decision, f"i{decision.members[0]}") for decision in decided])
    return begun


@pytest.mark.parametrize(
    ("people", "rows", "expected"),
    [
        (100, 100, [[1, 2, 3, 4]]),
        (2, 100, [[1, 2], [3, 4]]),
        (100, 5, [[1, 2], [3, 4]]),
        (100, 2, [[1], [2], [3], [4]]),
    ],
)
def test_a_window_has_few_people_with_few_rows(ledger, run, people, rows, expected):
    tools = SimpleNamespace(ledger=ledger, window=people, window_rows=rows)
    windows, last = [], 0
    while window := _next_window(run, tools, after=last):
        last = window[-1].number
        windows.append([person.number for person in window])
        assert [len(person.records) for person in window] == [ROWS[person.number - 1] for person in window]
    assert windows == expected
