"""`registry`: clients, keys, what was pulled and what was taken back, as an operator types it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.fakes.pulling_client import JWKS, KEY

from fhir_gateway.cli.app import run
from fhir_gateway.domain.registry import Correction, PulledVersion, PullKind, RecallReason, Request
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import load_environment


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    (tmp_path / "public.jwks").write_text(JWKS)
    return tmp_path


@pytest.fixture
def say(home, capsys):
    def say(*words, code=0):
        """Return what a command prints, on stderr where it ends with another code than 0."""
        capsys.readouterr()
        assert run(["registry", *map(str, words)]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return say


@pytest.fixture
def client(home, say):
    return say("client", "add", "National registry", "--jwks", home / "public.jwks").strip()


@pytest.fixture
def pulls(home, client):
    """A client that has pulled two doses of a person, one of which was taken back since, and exported everything."""
    at = datetime.now(UTC) - timedelta(hours=3)
    request = Request(client, "t", PullKind.SEARCH, "Immunization", b"patient=p-1", "192.0.2.7", at)
    export = Request(client, "t", PullKind.EXPORT, "Patient", b"", "192.0.2.7", at)
    with Ledger(load_environment("embedded", home).ledger_url) as ledger, ledger.transaction():
        versions = [PulledVersion(f"Immunization/{number}", "1") for number in (1, 2)]
        ledger.pulls.record(request, count=2, versions=versions, patients=["p-1"])
        ledger.pulls.record(export, count=500)
        wrong = [Correction("Immunization/1", "2")]
        ledger.pulls.recall(wrong, reason=RecallReason.UNLINKED, at=at + timedelta(hours=1))
    return client


def test_a_client_is_added_listed_and_revoked(say, client):
    (listed,) = json.loads(say("client", "list", "--json"))
    assert (listed["id"], listed["name"], listed["revoked"]) == (client, "National registry", None)
    assert listed["scope"] == "system/Immunization.rs system/Patient.rs"
    say("client", "revoke", client)
    assert json.loads(say("client", "list", "--json"))[0]["revoked"]
    assert "no such client" in say("client", "revoke", client, code=2)
    assert "National registry" in say("client", "list")


def test_a_client_can_publish_its_keys_itself(say):
    said = json.loads(
        say("client", "add", "N", "--jwks", "https://registry.test/jwks", "--scope", "system/*.rs", "--json")
    )
    assert (said["jwks_url"], said["scope"]) == ("https://registry.test/jwks", "system/*.rs")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("N", "--jwks", "missing.jwks"), "missing.jwks cannot be read: No such file"),
        (("N", "--jwks", "http://registry.test/jwks"), "https://"),
        (("N", "--jwks", "private.jwks"), "private key"),
        (("N", "--jwks", "public.jwks", "--scope", "system/Immunization.cruds"), "--scope"),
        ((" ", "--jwks", "public.jwks"), "printable"),
    ],
)
def test_what_cannot_be_registered_is_told(home, monkeypatch, say, words, told):
    monkeypatch.chdir(home)
    (home / "private.jwks").write_text(json.dumps({"keys": [KEY.as_dict(private=True)]}))
    assert told in say("client", "add", *words, code=2)
    assert json.loads(say("client", "list", "--json")) == []


def test_keys_are_rotated_and_withdrawn(say):
    (first,) = json.loads(say("keys", "list", "--json"))
    second = say("keys", "rotate").strip()
    listed = json.loads(say("keys", "list", "--json"))
    assert [(one["id"], one["retired"] is None) for one in listed] == [(second, True), (first["id"], False)]
    third = say("keys", "rotate", "--withdraw").strip()
    assert [one["id"] for one in json.loads(say("keys", "list", "--json"))] == [third]
    assert third in say("keys", "list")


def test_who_pulled_what_and_how_much(say, pulls):
    found = json.loads(say("pulls", "--json"))
    assert [(one["kind"], one["type"], one["resources"]) for one in found] == [
        ("export", "Patient", 500),
        ("search", "Immunization", 2),
    ]
    assert {(one["client"], one["name"], one["address"]) for one in found} == {
        (pulls, "National registry", "192.0.2.7")
    }
    assert say("pulls").count("National registry") == 2
    assert len(json.loads(say("pulls", "--limit", 1, "--json"))) == 1
    assert json.loads(say("pulls", "--client", "nobody", "--json")) == []


def test_who_was_told_of_a_person_an_export_counts_for_everybody(say, pulls):
    def kinds(patient):
        return [one["kind"] for one in json.loads(say("pulls", "--patient", patient, "--json"))]

    assert kinds("p-1") == ["export", "search"]
    assert kinds("p-2") == ["export"]


def test_what_is_found_out_while_asking_was_not_taken_back_later_than_now(home, say, pulls, monkeypatch):
    def found_out(_gateway):
        with Ledger(load_environment("embedded", home).ledger_url) as ledger, ledger.transaction():
            wrong = [Correction("Immunization/2", "2")]
            ledger.pulls.recall(wrong, reason=RecallReason.WITHDRAWN, at=datetime.now(UTC))
        return ""

    monkeypatch.setattr("fhir_gateway.bootstrap.registry_recalls.withdrawn_in", found_out)
    said = say("recalls")
    assert " 0.0 hours" in said
    assert "-0.0" not in said


def test_what_was_taken_back_and_for_how_long(home, say, pulls):
    (found,) = json.loads(say("recalls", "--json"))
    assert (found["name"], found["resource"], found["version"]) == ("National registry", "Immunization/1", "1")
    assert found["pulled"] < found["taken_back"]
    assert abs(found["outstanding_seconds"] - 7200) < 600
    assert "2.0 hours" in say("recalls")
    with Ledger(load_environment("embedded", home).ledger_url) as ledger, ledger.transaction():
        ledger.pulls.give(pulls, [PulledVersion("Immunization/1", "2")], at=datetime.now(UTC))
    assert json.loads(say("recalls", "--json")) == []
    assert "settled" in say("recalls", "--all")
