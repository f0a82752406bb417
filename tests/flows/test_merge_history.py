"""The history of merges as an auditor asks for it on the command line."""

import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from tests.fakes.duplicated_people import NIK, family
from tests.fakes.merging_place import fill

from fhir_gateway.audit import verify_history
from fhir_gateway.audit.checkpoints import new_private_key, read_signing_key
from fhir_gateway.settings import EMBEDDED, load_environment


def merge(place):
    fill(place.home, family())
    plan = place.home / "plan.json"
    assert place.run("merge", "plan", NIK, "--out", plan)[0] == 0
    assert place.run("merge", "apply", plan, "--user", "Sari")[0] == 0


@pytest.fixture
def merged(place, begin):
    """One merge, made by Sari."""
    begin(merge)
    return place


def listed(place, *options):
    code, said, err = place.run("merge", "history", "--json", *options)
    assert code == 0, err
    return [one["merge"] for one in json.loads(said)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), [1]),
        (("--nik", NIK), [1]),
        (("--nik", "3303010101900009"), []),
        (("--patient", "p2"), [1]),
        (("--patient", "p9"), []),
        (("--user", "Sari"), [1]),
        (("--user", "Dewi"), []),
        (("--since", "2020-01-01"), [1]),
        (("--until", "2020-01-01"), []),
    ],
)
def test_merges_are_found_by_whatever_an_auditor_knows(merged, options, found):
    assert listed(merged, *options) == found


def test_a_merge_of_patients_by_their_ids_is_found_and_erased_by_the_niks_that_they_carry(place):
    fill(place.home, family())
    plan = place.home / "plan.json"
    assert place.run("merge", "plan", "p1", "p2", "--out", plan)[0] == 0
    assert place.run("merge", "apply", plan)[0] == 0
    assert listed(place, "--nik", NIK) == [1]
    assert place.run("merge", "verify")[0] == 0
    assert place.run("merge", "erase", "--nik", NIK, "--reason", "asked for", "--yes")[0] == 0
    assert listed(place, "--nik", NIK) == []


def test_the_table_covers_what_names_a_person_unless_asked(merged):
    assert NIK not in merged.run("merge", "history")[1]
    assert NIK in merged.run("merge", "history", "--reveal")[1].replace("\n", "")


def test_a_merge_tells_who_why_and_what_changed(merged):
    code, said, _ = merged.run("merge", "show", "1")
    assert code == 0
    assert "Patient/p1 stands for p2, p3" in said
    assert "Sari" in said
    assert NIK not in said
    told = json.loads(merged.run("merge", "show", "1", "--json")[1])
    assert told["user"] == "Sari"
    assert told["plan"]["evidence"]
    assert {one["resource"] for one in told["changes"]} >= {"Patient/p1", "Patient/p2", "Patient/p3"}


def test_a_merge_is_explained_with_the_thresholds_that_it_was_made_with(merged):
    def evidence():
        told = json.loads(merged.run("merge", "show", "1", "--json")[1])["plan"]["evidence"]
        return [line for pair in told for line in pair["words"]]

    before = evidence()
    (merged.home / "environments").mkdir(exist_ok=True)
    settings = '[fhir_server]\nbase_url = "embedded"\n[matching]\ncertain = 90\nprobable = 50\n'
    (merged.home / "environments" / "embedded.toml").write_text(settings)
    assert evidence() == before
    assert not any("those of today" in line for line in before)
    with closing(sqlite3.connect(merged.home / ".fhir-gateway/embedded/ledger.db", isolation_level=None)) as ledger:
        ledger.execute("update runs set thresholds = ''")  # as ledgers of before have it
    told = evidence()
    assert "the thresholds named here are those of today; those of this run were not kept" in told
    assert told != before


def test_an_undone_and_an_erased_merge_are_told_as_what_they_are(merged):
    merged.run("merge", "undo", "1", "--user", "Dewi", "--reason", "two people")
    said = merged.run("merge", "show", "1")[1]
    assert "Patient/p1 stood for p2, p3" in said
    assert "undone by Dewi: two people" in said
    merged.run("merge", "erase", "--patient", "p1", "--reason", "request 1", "--yes")
    said = merged.run("merge", "show", "1")[1]
    assert said.startswith("merge 1, undone\n")
    assert "was erased" in said


def test_a_merge_that_is_not_there_is_wrong_usage(merged):
    assert merged.run("merge", "show", "7")[0] == 2
    assert merged.run("merge", "prove", "7", "--out", merged.home / "proof.json")[0] == 2


@pytest.mark.parametrize("words", [("show", "9" * 20), ("undo", "9" * 20), ("history", "--run", "9" * 20)])
def test_a_number_that_no_ledger_can_hold_is_wrong_usage(place, words):
    assert place.run("merge", *words)[0] == 2


def test_an_unaltered_history_passes_and_says_what_it_cannot_know(merged):
    code, said, _ = merged.run("merge", "verify")
    assert code == 0
    assert "unaltered" in said
    assert "not known" in said


def test_an_altered_history_is_told_with_exit_3(merged):
    ledger = next((merged.home / ".fhir-gateway").rglob("ledger.db"))
    connection = sqlite3.connect(ledger)
    with connection:
        connection.execute("UPDATE merges SET user = 'Dewi'")
    connection.close()
    code, said, _ = merged.run("merge", "verify", "--json")
    assert code == 3
    assert not json.loads(said)["passed"]


def test_a_checkpoint_kept_elsewhere_vouches_for_what_stood_then(merged):
    note = merged.home / "checkpoint.txt"
    note.write_text(merged.run("merge", "checkpoint")[1])
    code, said, _ = merged.run("merge", "verify", "--checkpoint", note)
    assert code == 0, said
    assert "cut off" not in said


def test_verifying_can_trust_a_key_that_was_kept(merged):
    note, key, other = (merged.home / name for name in ("checkpoint.txt", "key.txt", "other.txt"))
    note.write_text(merged.run("merge", "checkpoint")[1])
    key.write_text(merged.run("merge", "checkpoint", "--public-key")[1])
    name = key.read_text().partition("+")[0]
    other.write_text(str(read_signing_key(name, new_private_key()).public))
    assert merged.run("merge", "verify", "--public-key", key, "--checkpoint", note)[0] == 0
    code, said, _ = merged.run("merge", "verify", "--public-key", other)
    assert code == 3
    assert "which only the history itself names" in said
    assert merged.run("merge", "verify", "--public-key", note)[0] == 2
    assert merged.run("merge", "verify", "--public-key", merged.home / "none.txt")[0] == 2


def test_export_and_proof_verify_offline(merged):
    exported, proof, note = (merged.home / name for name in ("history.ndjson", "proof.json", "checkpoint.txt"))
    assert merged.run("merge", "prove", "1", "--out", proof)[0] == 0
    note.write_text(merged.run("merge", "checkpoint")[1])
    key = merged.run("merge", "checkpoint", "--public-key")[1].strip()
    assert merged.run("merge", "history", "--export", exported)[0] == 0
    for file in (exported, proof):
        command = [sys.executable, "-I", verify_history.__file__, file, "--checkpoint", note, "--public-key", key]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


def test_what_a_server_found_last_is_erased_with_a_person(merged):
    kept = load_environment(EMBEDDED, merged.home).folder / "last-finding.json"
    kept.write_text("{}")
    assert merged.run("merge", "erase", "--nik", NIK, "--reason", "asked for it", "--yes")[0] == 0
    assert not kept.exists()


def test_a_person_can_be_erased_and_the_chain_holds(merged):
    code, said, err = merged.run("merge", "erase", "--nik", NIK, "--reason", "asked for it", "--yes", "--user", "Dewi")
    assert code == 0, err
    assert NIK not in said
    assert listed(merged, "--nik", NIK) == []
    assert merged.run("merge", "verify")[0] == 0
    assert NIK.encode() not in b"".join(p.read_bytes() for p in (merged.home / ".fhir-gateway").rglob("ledger.db*"))


@pytest.mark.parametrize("options", [(), ("--preview",)])
def test_an_erased_merge_cannot_be_undone_and_no_repeat_is_asked_for(merged, options):
    assert merged.run("merge", "erase", "--nik", NIK, "--reason", "asked for it", "--yes")[0] == 0
    code, _, err = merged.run("merge", "undo", "1", *options)
    assert code == 2
    assert "erased" in err


def test_erasing_needs_one_person(merged):
    assert merged.run("merge", "erase", "--reason", "x", "--yes")[0] == 2
    assert merged.run("merge", "erase", "--reason", "x", "--yes", "--patient", "p99")[0] == 2


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "no way\nn\n"])
def test_erasing_that_is_not_confirmed_erases_nothing_and_says_so(merged, monkeypatch, answer):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    code, _, err = merged.run("merge", "erase", "--nik", NIK, "--reason", "asked for it")
    assert code == 1
    assert "nothing was erased" in err
    assert "interrupted" not in err
    assert listed(merged, "--nik", NIK) == [1]


def test_erasing_that_is_confirmed_is_told_as_json(merged, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    told = merged.json("merge", "erase", "--nik", NIK, "--reason", "asked for it")
    assert (told["merges"], told["standing"]) == ([1], [1])
    assert told["entry"] == merged.json("merge", "verify")["entries"]


def test_checkpoints_keys_and_proofs_are_told_as_json(merged):
    checkpoint = merged.json("merge", "checkpoint")
    assert checkpoint["entries"] == merged.json("merge", "verify")["signed"]
    assert checkpoint["root"] == checkpoint["checkpoint"].splitlines()[2]
    key = merged.json("merge", "checkpoint", "--public-key")["public_key"]
    note, proof = merged.home / "note.txt", merged.home / "proof.json"
    note.write_text(checkpoint["checkpoint"])
    assert merged.json("merge", "prove", "1", "--out", proof)["proof"] == str(proof)
    command = [sys.executable, "-I", verify_history.__file__, proof, "--checkpoint", note, "--public-key", key]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_an_export_is_told_as_json(merged):
    exported = merged.home / "history.ndjson"
    assert merged.json("merge", "history", "--export", exported) == {"export": str(exported), "personal": False}
    assert exported.exists()
