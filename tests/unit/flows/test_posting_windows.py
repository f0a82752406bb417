"""How many people, and doses of theirs, are posted together."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.records import Dose
from fhir_gateway.domain.runs import RunKind, SpooledRecord
from fhir_gateway.flows.load import posting
from fhir_gateway.ledger.store import Ledger

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DOSES = (3, 2, 4, 1)
"""How many doses each person has, in as many rows or in one."""


@pytest.fixture
def ledger(tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture(params=["rows", "a wide row"])
def run(ledger, request):
    one, wide = (Dose("", {}),), request.param == "a wide row"
    rows = [
        (person, one * doses if wide else one)
        for person, doses in enumerate(DOSES, start=1)
        for _ in range(1 if wide else doses)
    ]
    records = [
        SpooledRecord(n, 0, n, f"k{n}", "c", "x", person, {}, doses, ())
        for n, (person, doses) in enumerate(rows, start=1)
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
    ("people", "doses", "expected"),
    [
        (100, 100, [[1, 2, 3, 4]]),
        (2, 100, [[1, 2], [3, 4]]),
        (100, 5, [[1, 2], [3, 4]]),
        (100, 1, [[1], [2], [3], [4]]),
    ],
)
def test_a_window_has_few_people_with_few_doses(ledger, run, monkeypatch, people, doses, expected):
    monkeypatch.setattr(posting, "_TAKEN_TOGETHER", 1)
    tools = SimpleNamespace(ledger=ledger, window=people, window_doses=doses)
    windows, last = [], 0
    while window := posting._next_window(run, tools, after=last):
        last = window[-1].number
        windows.append([person.number for person in window])
        own = [sum(len(record.doses) for record in person.records) for person in window]
        assert own == [DOSES[person.number - 1] for person in window]
    assert windows == expected


def test_people_are_read_together_and_none_twice(ledger, run):
    tools = SimpleNamespace(ledger=ledger, window=3, window_doses=1)
    assert [person.number for person in posting._next_window(run, tools, after=0)] == [1, 2, 3]
    assert [person.number for person in posting._next_window(run, tools, after=3)] == [4]
    assert posting._next_window(run, tools, after=4) == []
