"""`access add|list|revoke`: a key is shown once, kept as a digest, and revoked for good."""

import hashlib
import json
import re
import sqlite3
from contextlib import closing

import pytest

from fhir_gateway.cli.app import run
from fhir_gateway.domain.access import Role
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.access import Doorkeeper, RefusedKeyError
from fhir_gateway.settings import load_environment

KEY = re.compile(r"fgk-([0-9a-f]{8})-[A-Za-z0-9_-]{43}")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Return what a command says: (code, stdout, stderr)."""
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "north.toml").write_text('[fhir_server]\nbase_url = "embedded"\n')

    def act(*words):
        capsys.readouterr()
        code = run([*words, "--env", "north"])
        said = capsys.readouterr()
        return code, said.out, said.err

    act.home = tmp_path
    return act


def listed(command):
    return json.loads(command("access", "list", "--json")[1])


def test_a_key_is_printed_alone_and_opens_its_environment(command):
    code, out, _ = command("access", "add", " Sari, Dinkes ", "--role", "operator")
    assert code == 0
    assert KEY.fullmatch(out.rstrip("\n"))
    with Ledger(load_environment("north", command.home).ledger_url) as ledger:
        caller = Doorkeeper("north", ledger.access).authenticate(out.strip(), address="")
    assert (caller.name, caller.role) == ("Sari, Dinkes", Role.OPERATOR)


def test_a_key_is_shown_once_and_kept_as_a_digest(command):
    shown = json.loads(command("access", "add", "Sari", "--role", "auditor", "--json")[1])
    (kept,) = listed(command)
    assert kept == {name: value for name, value in shown.items() if name != "key"}
    assert shown["key"] not in command("access", "list")[1]
    path = load_environment("north", command.home).ledger_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as ledger:
        rows = str(ledger.execute("SELECT * FROM access_keys").fetchall())
    assert shown["key"] not in rows
    assert hashlib.sha256(shown["key"].encode()).hexdigest() in rows


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(command):
    key = command("access", "add", "Sari", "--role", "auditor")[1].strip()
    key_id = KEY.fullmatch(key)[1]
    assert command("access", "revoke", key_id)[0] == 0
    with Ledger(load_environment("north", command.home).ledger_url) as ledger, pytest.raises(RefusedKeyError):
        Doorkeeper("north", ledger.access).authenticate(key, address="")
    (kept,) = listed(command)
    assert (kept["id"], bool(kept["revoked"])) == (key_id, True)


@pytest.mark.parametrize("again", ["twice", "unknown"])
def test_what_cannot_be_revoked_is_told(command, again):
    key_id = KEY.fullmatch(command("access", "add", "Sari", "--role", "auditor")[1].strip())[1]
    command("access", "revoke", key_id)
    code, _, err = command("access", "revoke", key_id if again == "twice" else "00000000")
    assert code == 2
    assert "access list" in err


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "Sari\nadmin", "Sari\x1b[2J"])
def test_a_name_that_would_not_stand_well_in_the_history_is_refused(command, name):
    assert command("access", "add", name, "--role", "auditor")[0] == 2
    assert listed(command) == []


@pytest.mark.parametrize("words", [["--role", "admin"], []])
def test_a_key_has_one_of_the_two_roles(command, words):
    assert command("access", "add", "Sari", *words)[0] == 2
