from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhir_gateway.domain.exports import Checkpoint, ExportFile, ExportJob, ExportState, FileKind, Membership
from fhir_gateway.ledger.store import Ledger

NOW = datetime(2024, 5, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def job(name="j-1", client="c-1"):
    return ExportJob(
        name, client, 1, "http://x/$export", {"types": ["Patient"]}, ExportState.RUNNING, NOW, Checkpoint()
    )


def checkpoint():
    file = ExportFile("a.ndjson", FileKind.OUTPUT, "Patient", count=3, size=99, full=True)
    return Checkpoint(2, ("2024", "id"), NOW, (file,), ("Organization",), written=3, said="so far")


def test_an_export_is_kept_with_how_far_it_has_come(ledger):
    with ledger.transaction():
        ledger.exports.add(job())
        assert ledger.exports.reach("j-1", checkpoint())
    assert ledger.exports.get("j-1") == replace(job(), checkpoint=checkpoint())
    assert ledger.exports.all(state=ExportState.RUNNING, client="c-1") == [ledger.exports.get("j-1")]
    with ledger.transaction():
        assert ledger.exports.finish("j-1", checkpoint(), at=LATER)
    assert ledger.exports.get("j-1").finished == LATER
    assert ledger.exports.all(state=ExportState.RUNNING) == []
    assert ledger.exports.all(client="c-2") == []


def test_an_export_that_was_dropped_is_not_wanted_any_more(ledger):
    with ledger.transaction():
        ledger.exports.add(job())
        assert ledger.exports.drop("j-1")
        assert not ledger.exports.drop("j-1")
        assert not ledger.exports.reach("j-1", checkpoint())
        assert not ledger.exports.finish("j-1", checkpoint(), at=LATER)
    assert ledger.exports.get("j-1") is None


def member(patient, group="g", source="", joined=NOW):
    return Membership(source or f"Patient/{patient}", group, patient, joined)


def note(ledger, *found, sources=()):
    with ledger.transaction():
        ledger.groups.replace(sources or [one.source for one in found], found)


def test_whoever_stays_keeps_the_time_of_joining(ledger):
    note(ledger, member("p"))
    note(ledger, member("p", joined=LATER))
    assert ledger.groups.of_patient("p") == {"g": NOW}
    note(ledger, member("p", group="h", joined=LATER))
    assert ledger.groups.of_patient("p") == {"h": LATER}
    note(ledger, sources=["Patient/p"])
    assert ledger.groups.of_patient("p") == {}


def test_a_person_joined_with_the_first_of_several_doses(ledger):
    note(ledger, member("p", source="Immunization/2", joined=LATER), member("p", source="Immunization/1"))
    assert ledger.groups.among("g", ["p", "q"], until=LATER) == {"p": NOW}
    assert ledger.groups.among("g", ["p"], until=NOW - timedelta(days=1)) == {}
    assert ledger.groups.joined("g", since=NOW, until=LATER, after="", limit=9) == []
    assert ledger.groups.joined("g", since=NOW - timedelta(days=1), until=LATER, after="", limit=9) == ["p"]
    assert (ledger.groups.all(), ledger.groups.size("g")) == ({"g": 1}, 1)


def test_joined_are_paged_in_the_order_of_their_ids(ledger):
    note(ledger, *(member(one) for one in ("b", "a", "c")))
    before = NOW - timedelta(days=1)
    assert ledger.groups.joined("g", since=before, until=NOW, after="", limit=2) == ["a", "b"]
    assert ledger.groups.joined("g", since=before, until=NOW, after="b", limit=2) == ["c"]


def test_whoever_is_gone_is_remembered_for_deletions_alone(ledger):
    note(ledger, member("p"))
    with ledger.transaction():
        ledger.groups.leave(["Patient/p"], at=LATER)
    assert ledger.groups.among("g", ["p"], until=LATER) == {}
    assert ledger.groups.ever_among("g", ["p", "q"]) == {"p"}
    assert (ledger.groups.all(), ledger.groups.ever_among("g", [])) == ({}, frozenset())
    note(ledger, member("p", joined=LATER))
    assert ledger.groups.of_patient("p") == {"g": LATER}


def test_positions_are_kept_by_type(ledger):
    assert ledger.groups.position("Patient") is None
    with ledger.transaction():
        ledger.groups.move("Patient", NOW, "p")
        ledger.groups.move("Patient", LATER, "q")
    assert ledger.groups.position("Patient") == (LATER, "q")
    assert ledger.groups.position("Immunization") is None
