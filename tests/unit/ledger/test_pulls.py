from datetime import UTC, datetime, timedelta

import pytest

from fhir_gateway.domain.registry import (
    Correction,
    PulledVersion,
    PullKind,
    RecallReason,
    RegistryClient,
    Request,
)
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.registry.scopes import parse_scopes

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def request(client="c-1", minutes=0, kind=PullKind.SEARCH):
    return Request(client, "t-1", kind, "Immunization", b"patient=p-1", "127.0.0.1", NOW + timedelta(minutes=minutes))


def given(ledger, client, resource, version, minutes=0):
    with ledger.transaction():
        ledger.pulls.record(
            request(client, minutes), count=1, versions=[PulledVersion(resource, version)], patients=["p-1"]
        )


def recall(ledger, resource, version, minutes):
    with ledger.transaction():
        at = NOW + timedelta(minutes=minutes)
        return ledger.pulls.recall([Correction(resource, version)], reason=RecallReason.UNLINKED, at=at)


def test_a_pull_is_kept_with_whom_it_told_of(ledger):
    given(ledger, "c-1", "Immunization/1", "1")
    (pull,) = ledger.pulls.all()
    assert (pull.request, pull.count) == (request(), 1)
    assert list(ledger.pulls.patients_of(pull.id)) == ["p-1"]
    assert ledger.pulls.of_patient("p-1") == [pull]
    assert ledger.pulls.of_patient("p-2") == []


def test_pulls_are_listed_by_client_and_time(ledger):
    given(ledger, "c-1", "Immunization/1", "1")
    given(ledger, "c-2", "Immunization/1", "1", minutes=5)
    assert [one.request.client for one in ledger.pulls.all()] == ["c-2", "c-1"]
    assert [one.request.client for one in ledger.pulls.all(client="c-1")] == ["c-1"]


def test_whoever_has_the_wrong_version_is_named_until_it_pulls_the_right_one(ledger):
    given(ledger, "c-1", "Immunization/1", "1")
    given(ledger, "c-2", "Immunization/1", "2", minutes=4)
    given(ledger, "c-1", "Immunization/2", "1")
    assert recall(ledger, "Immunization/1", "2", minutes=5) == 1
    (open_one,) = ledger.pulls.outstanding()
    assert (open_one.client, open_one.resource, open_one.version) == ("c-1", "Immunization/1", "1")
    assert (open_one.pulled, open_one.noted) == (NOW, NOW + timedelta(minutes=5))
    given(ledger, "c-1", "Immunization/1", "1", minutes=6)
    assert ledger.pulls.outstanding(client="c-1") == [open_one]
    given(ledger, "c-1", "Immunization/1", "2", minutes=7)
    assert ledger.pulls.outstanding() == []
    (settled,) = ledger.pulls.outstanding(everything=True)
    assert settled.settled == NOW + timedelta(minutes=7)


def test_nobody_is_bothered_for_what_nobody_pulled(ledger):
    assert recall(ledger, "Immunization/1", "2", minutes=1) == 0
    assert ledger.pulls.outstanding() == []


CLIENT = RegistryClient("c-1", "Registry", parse_scopes("system/*.rs"), NOW, jwks="{}")


def test_clients_are_kept_and_revoked_once(ledger):
    with ledger.transaction():
        ledger.registry_clients.add(CLIENT)
    assert ledger.registry_clients.get("c-1") == CLIENT
    with ledger.transaction():
        assert ledger.registry_clients.revoke("c-1", NOW)
        assert not ledger.registry_clients.revoke("c-1", NOW)
    assert ledger.registry_clients.all()[0].revoked == NOW


def test_an_assertion_is_used_up_once(ledger):
    clients = ledger.registry_clients
    soon = NOW + timedelta(minutes=5)
    with ledger.transaction():
        assert clients.use_up("c-1", "j", expires=soon, now=NOW)
    with ledger.transaction():
        assert not clients.use_up("c-1", "j", expires=soon, now=NOW)
        assert clients.use_up("c-2", "j", expires=soon, now=NOW)
        assert clients.use_up("c-1", "k", expires=soon, now=NOW)
