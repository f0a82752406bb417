"""What an auditor takes away can be checked without the gateway: exports, checkpoints and proofs."""

import base64
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.merge_plans import NIK, NOW, group_plan

from fhir_gateway.audit import verify_history
from fhir_gateway.audit.checkpoints import new_private_key, origin, read_signing_key
from fhir_gateway.audit.verify_history import Checkpoint, PublicKey
from fhir_gateway.bootstrap.history import history_of
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.history import MergeFilter
from fhir_gateway.ledger.store import Ledger


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    return tmp_path


def merged(home, survivor="p1"):
    with Ledger(f"sqlite:///{home}/.fhir-gateway/embedded/ledger.db") as ledger, ledger.transaction():
        merge = ledger.merges.begin(
            1, group_plan(survivor=survivor, replaced=(f"{survivor}x",)), [], user="ani", at=NOW
        )
        ledger.merges.settle(merge.id, list(ledger.merges.changes(merge.id)))
        ledger.merges.finish(merge.id, at=NOW, remaining=[])


@pytest.fixture
def kept(home):
    """A checkpoint and its public key as files, taken before the second merge."""
    merged(home)
    with history_of("embedded") as history:
        (home / "early.txt").write_text(history.checkpoint(), encoding="utf-8")
        (home / "key.txt").write_text(history.public_key(), encoding="utf-8")
    merged(home, "p7")
    return ["--checkpoint", str(home / "early.txt"), "--public-key", str(home / "key.txt")]


@pytest.mark.parametrize("personal", [False, True])
def test_an_export_passes_and_no_changed_line_does(home, kept, personal, capsys):
    target = home / "history.ndjson"
    with history_of("embedded") as history:
        history.checkpoint()
        history.export(target, personal=personal)
    assert verify_history.main([str(target), *kept]) == 0
    assert (NIK in target.read_text("utf-8")) is False  # personal parts are compressed, and else left out
    lines = target.read_text("utf-8").splitlines(keepends=True)
    for n in range(1, len(lines)):
        for changed in ([*lines[:n], *lines[n + 1 :]], [*lines[:n], lines[n].replace("a", "b", 1), *lines[n + 1 :]]):
            target.write_text("".join(changed), encoding="utf-8")
            assert verify_history.main([str(target), *kept]) != 0
    capsys.readouterr()


@pytest.mark.parametrize(
    "change", [('"bodies":', '"bodiez":'), ('"salt":"', '"salt":"!'), ('="', '""'), ('"body":', '"bodx":')]
)
def test_what_an_export_holds_is_read_to_the_letter(home, kept, change, capsys):
    target = home / "history.ndjson"
    with history_of("embedded") as history:
        history.export(target, personal=True)
    header, *lines = target.read_text("utf-8").splitlines(keepends=True)
    changed = [line.replace(*change, 1) for line in lines]
    assert changed != lines
    target.write_text("".join((header, *changed)), encoding="utf-8")
    assert verify_history.main([str(target), *kept]) != 0
    capsys.readouterr()


def test_a_cut_end_shows_where_a_checkpoint_is_given(home, kept, capsys):
    target = home / "history.ndjson"
    with history_of("embedded") as history:
        history.export(target, personal=False)
    header, *lines = target.read_text("utf-8").splitlines()
    short = json.dumps({**json.loads(header), "size": 3, "checkpoints": []})
    target.write_text("\n".join([short, *lines[:3]]), encoding="utf-8")
    assert verify_history.main([str(target)]) == 0
    assert "cut off at its end" in capsys.readouterr().out
    assert verify_history.main([str(target), *kept]) == 3
    assert "the end of the history was cut off" in capsys.readouterr().out


def test_a_proof_holds_for_the_checkpoint_that_was_kept(home, kept, capsys):
    proof = home / "proof.json"
    with history_of("embedded") as history:
        body = history.prove(2, earlier=(home / "early.txt").read_text("utf-8"))
        with pytest.raises(UsageError, match="no merge 99"):
            history.prove(99)
    proof.write_text(json.dumps(body), encoding="utf-8")
    assert verify_history.main([str(proof), *kept]) == 0
    body["entries"][0]["entry"] = body["entries"][0]["entry"].replace("begun", "begut")
    proof.write_text(json.dumps(body), encoding="utf-8")
    assert verify_history.main([str(proof), *kept]) == 3
    capsys.readouterr()


def test_the_verifier_runs_as_a_lone_file(home, kept):
    target, alone = home / "history.ndjson", home / "elsewhere"
    alone.mkdir()
    script = shutil.copy(Path(verify_history.__file__), alone)
    with history_of("embedded") as history:
        history.export(target, personal=True)
    done = subprocess.run([sys.executable, "-I", script, target, *kept], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("all checks passed\n")


def test_an_export_is_signed_to_its_last_entry(home, kept, capsys):
    target = home / "history.ndjson"
    with history_of("embedded") as history:
        history.export(target, personal=False)
    *lines, last = target.read_text("utf-8").splitlines()
    target.write_text("\n".join([*lines, last.replace('\\"at\\":\\"2', '\\"at\\":\\"3')]), "utf-8")
    assert verify_history.main([str(target), *kept[-2:]]) == 3
    header = json.loads(lines[0])
    header["checkpoints"].pop()
    target.write_text("\n".join([json.dumps(header), *lines[1:], last]), "utf-8")
    capsys.readouterr()
    assert verify_history.main([str(target)]) == 0
    assert "signed by nobody" in capsys.readouterr().out


def test_verifying_tells_how_many_entries_nobody_has_signed(home, kept):
    with history_of("embedded") as history:
        history.checkpoint()
        assert "signed by nobody" not in history.verify({}).caveats[0]
        history.erase(history.to_erase(patient="p1"), user="ani", reason="request 1")
        assert "the last 2 entries are signed by nobody" in history.verify({}).caveats[0]


def test_verifying_says_what_it_cannot_know_and_what_was_erased(home, kept):
    note = (home / "early.txt").read_text("utf-8")
    with history_of("embedded") as history:
        without, given = history.verify({}), history.verify({"early.txt": note})
        assert without.passed
        assert given.passed
        assert "cannot be known" in without.caveats[0]
        assert "nothing kept elsewhere for the" in given.caveats[0]
        what = history.to_erase(patient="p1")
        history.erase(what, user="ani", reason="request 1")
        assert history.verify({"early.txt": note}).erased == (1,)
        assert [record.erased for record in history.records(MergeFilter())] == [False, True]
        with pytest.raises(UsageError, match="no checkpoint"):
            history.verify({"x": "nonsense"})


def test_a_history_that_another_key_signed_is_altered_unless_that_key_is_trusted(home, kept):
    with history_of("embedded") as history:
        older = PublicKey.parse(history.public_key())
    (home / ".fhir-gateway/embedded/history-key.pem").write_text(new_private_key(), encoding="utf-8")
    with history_of("embedded") as history:
        assert "which only the history itself names" in history.verify({}).faults[0]
        assert history.verify({}, [older]).passed
        history.checkpoint()
        assert history.verify({"early.txt": (home / "early.txt").read_text("utf-8")}).passed
        assert not history.verify({}, [older]).passed
    (home / ".fhir-gateway/embedded/history-key.pem").unlink()
    with history_of("embedded") as history:
        assert "the gateway has no signing key" in history.verify({}).caveats[1]


def test_a_checkpoint_of_before_merges_were_counted_is_signed_anew(home, kept):
    pem = (home / ".fhir-gateway/embedded/history-key.pem").read_text("utf-8")
    with history_of("embedded") as history:
        journal = history._history
        key = read_signing_key(origin("embedded", journal.ledger_id()), pem)
        text = "".join(line for line in _note(journal, key).splitlines(keepends=True)[:4])
        signature = base64.b64encode(key.public.id + key._private.sign(text.encode())).decode()
        with history._ledger.transaction():
            old = f"{text}\n\u2014 {key.public.name} {signature}\n"
            journal.keep_checkpoint(old, journal.head(), at=NOW)
        assert history.verify({"old": old}).passed
        assert Checkpoint.parse(history.prove(2)["checkpoint"]).merges == 2
        assert history.verify({"old": old}).passed


@pytest.mark.parametrize("change", [("time 20", "time 19"), ("\n", "")])
def test_a_checkpoint_that_was_altered_in_the_ledger_stops_no_other_and_stays_a_fault(home, kept, change):
    with history_of("embedded") as history:
        size = Checkpoint.parse(history.checkpoint()).size
        connection = history._ledger._connection
        connection.exec_driver_sql("DROP TRIGGER checkpoints_unchanged")
        connection.exec_driver_sql("UPDATE checkpoints SET note = replace(note, ?, ?) WHERE size = ?", (*change, size))
        connection.commit()
        assert Checkpoint.parse(history.checkpoint()).size > size
        assert history.verify({}).faults == (f"checkpoints {size}: is not the checkpoint that the history tells of",)


def _note(journal, key):
    return key.sign(journal.head(), time=NOW)


def test_a_checkpoint_is_signed_anew_only_after_something_happened(home, kept):
    with history_of("embedded") as history:
        assert history.checkpoint() == history.checkpoint()
        assert history.public_key() == (home / "key.txt").read_text("utf-8")
    assert stat.S_IMODE((home / ".fhir-gateway/embedded/history-key.pem").stat().st_mode) == 0o600
