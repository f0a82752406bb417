"""A load that ends right after any of its commits goes on to the content and the books of an undisturbed one."""

import asyncio
import signal
from contextlib import contextmanager

from tests.flows.conftest import RATNA, VITAMIN, Place
from tests.flows.server_content import canonical

from fhir_gateway.domain.changes import ChangeFilter
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import load_environment

ROWS = (RATNA, VITAMIN)
TRANSACTION = Ledger.transaction


def cut_after(monkeypatch, commits):
    """Press Ctrl-C after so many commits from now; return the list of those that were made.

    What runs at that moment is cancelled on the spot, not where it next waits: no later commit comes in between.
    """
    made = []

    @contextmanager
    def transaction(self):
        with TRANSACTION(self):
            yield
        made.append(self)
        if len(made) == commits:
            signal.raise_signal(signal.SIGINT)
            raise asyncio.CancelledError

    monkeypatch.setattr(Ledger, "transaction", transaction)
    return made


def books(summary):
    return {name: summary[name] for name in ("read", "loaded", "unchanged", "review", "rejected", "failed", "reasons")}


def created(home):
    """Return what auditors are told was created."""
    with Ledger(load_environment("embedded", home).ledger_url) as ledger:
        told = list(ledger.run_changes.of(ChangeFilter(), after=ledger.run_changes.newest()))
    return sorted(one.resource for one in told if one.created)


def test_a_load_that_is_cut_after_any_commit_goes_on(tmp_path, monkeypatch, capsys):
    def load(name, commits):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("FHIR_GATEWAY_HOME", str(home))
        place = Place(home, capsys)
        path = place.sheet(*ROWS)
        made = cut_after(monkeypatch, commits)
        code, _, _ = place.run("load", path, "--json")
        monkeypatch.setattr(Ledger, "transaction", TRANSACTION)
        return place, code, len(made), books(place.load(path)) if code == 1 else None

    whole, code, commits, _ = load("whole", 0)
    assert (code, commits > 8) == (3, True)
    content = canonical(*whole.content())
    for number in range(1, commits + 1):
        place, code, made, resumed = load(f"cut-{number}", number)
        assert (code, made) == (1, number)
        patients, doses = place.content()
        assert canonical(patients, doses) == content
        names = [*(f"Patient/{one}" for one in patients), *(f"Immunization/{one}" for one in doses)]
        assert created(place.home) == sorted(names)
        run = place.json("runs", "list")[0]
        assert (number, resumed["failed"], run["state"]) == (number, 0, "finished")
