"""What an export's files have given to a client, read as they are handed out."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from fhir_gateway.domain.exports import Checkpoint, ExportJob, ExportState
from fhir_gateway.domain.registry import Correction, PulledVersion, RecallReason
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.exporting.giving import Given

NOW = datetime(2024, 5, 1, tzinfo=UTC)


class HeldClock:
    def now(self):
        return NOW + timedelta(hours=1)


@pytest.fixture
def url(tmp_path):
    """A ledger in which a client has two doses that were recalled."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    with Ledger(url) as ledger, ledger.transaction():
        names = ("Immunization/1", "Immunization/2")
        ledger.pulls.give("c-1", [PulledVersion(name, "1") for name in names], at=NOW)
        ledger.pulls.recall([Correction(name, "2") for name in names], reason=RecallReason.MERGED, at=NOW)
    return url


def hand_out(tmp_path, url, *lines):
    file = tmp_path / "file.ndjson"
    file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    job = ExportJob("e-1", "c-1", 1, "http://x", {}, ExportState.FINISHED, NOW, Checkpoint(), NOW)
    given = Given(file, url, job, HeldClock())
    try:
        assert b"".join(given.pieces()) == file.read_bytes()
    finally:
        given.close()
    with Ledger(url) as ledger:
        return [one.resource for one in ledger.pulls.outstanding(client="c-1")]


def test_newer_versions_settle_what_was_recalled(tmp_path, url):
    dose = {"resourceType": "Immunization", "id": "1", "meta": {"versionId": "2"}}
    assert hand_out(tmp_path, url, dose) == ["Immunization/2"]


def test_the_version_that_was_recalled_settles_nothing(tmp_path, url):
    dose = {"resourceType": "Immunization", "id": "1", "meta": {"versionId": "1"}}
    assert hand_out(tmp_path, url, dose) == ["Immunization/1", "Immunization/2"]


def test_a_deletion_that_is_told_settles_what_was_recalled(tmp_path, url):
    entries = [{"request": {"method": "DELETE", "url": "Immunization/2"}}]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert hand_out(tmp_path, url, bundle) == ["Immunization/1"]


def test_an_error_s_outcome_tells_of_no_version(tmp_path, url):
    assert hand_out(tmp_path, url, {"resourceType": "OperationOutcome", "issue": []}) == [
        "Immunization/1",
        "Immunization/2",
    ]
