"""Whoever alters an export or a proof, or makes one of his own, is found out by the verifier; what is genuine passes."""

import base64
import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.fakes.merge_plans import NOW, group_plan, provenance

from fhir_gateway.audit import verify_history as vh
from fhir_gateway.audit.checkpoints import SigningKey, new_private_key, read_signing_key
from fhir_gateway.audit.merkle import Prover, root_of
from fhir_gateway.bootstrap.history import history_of
from fhir_gateway.ledger.store import Ledger

LATER = datetime(2026, 5, 1, tzinfo=UTC)


def merge(home, survivor, *, undone=False):
    with Ledger(f"sqlite:///{home}/.fhir-gateway/embedded/ledger.db") as ledger, ledger.transaction():
        plan = group_plan(survivor=survivor, replaced=(f"{survivor}x",))
        begun = ledger.merges.begin(1, plan, [provenance()], user="ani", at=NOW)
        ledger.merges.settle(begun.id, list(ledger.merges.changes(begun.id)))
        ledger.merges.finish(begun.id, at=NOW, remaining=[])
        if undone:
            ledger.merges.begin_undo(begun.id, user="budi", at=NOW, reason="twins")
            ledger.merges.finish_undo(begun.id, at=NOW, conflicts=[])


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """What a gateway gave away: early.txt, key.txt, export.ndjson, personal.ndjson, and proof.json of merge 2, undone."""
    home = tmp_path_factory.mktemp("gateway")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FHIR_GATEWAY_HOME", str(home))
        merge(home, "p1")
        with history_of("embedded") as history:
            early = history.checkpoint()
            (home / "early.txt").write_text(early, "utf-8")
            (home / "key.txt").write_text(history.public_key(), "utf-8")
        merge(home, "p4", undone=True)
        merge(home, "p7")
        with history_of("embedded") as history:
            (home / "proof.json").write_text(json.dumps(history.prove(2, earlier=early)), "utf-8")
            (home / "late.txt").write_text(history.checkpoint(), "utf-8")
            history.export(home / "export.ndjson", personal=False)
            history.export(home / "personal.ndjson", personal=True)
    return home


@pytest.fixture
def judged(genuine, tmp_path, capsys):
    """Return a function that verifies a text and returns (exit code, what was said)."""

    def verify(text, *, key=True, checkpoint=""):
        file = tmp_path / "file"
        file.write_text(text, "utf-8")
        options = ["--public-key", str(genuine / "key.txt")] * key
        options += ["--checkpoint", str(genuine / checkpoint)] * bool(checkpoint)
        code = vh.main([str(file), *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return verify


@pytest.fixture
def proof(genuine):
    return json.loads((genuine / "proof.json").read_text("utf-8"))


@pytest.fixture
def export(genuine):
    return [json.loads(line) for line in (genuine / "export.ndjson").read_text("utf-8").splitlines()]


@pytest.fixture
def personal(genuine):
    return [json.loads(line) for line in (genuine / "personal.ndjson").read_text("utf-8").splitlines()]


def ndjson(lines):
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("file", ["export.ndjson", "personal.ndjson", "proof.json"])
@pytest.mark.parametrize("checkpoint", ["", "early.txt", "late.txt"])
def test_what_is_genuine_passes(genuine, judged, file, checkpoint):
    code, said = judged((genuine / file).read_text("utf-8"), checkpoint=checkpoint)
    assert (code, said.splitlines()[-1]) == (0, "all checks passed")


# Proofs


def test_a_proof_tells_of_which_merge_and_until_when_it_is(proof, judged):
    said = judged(json.dumps(proof))[1]
    size = vh.Checkpoint.parse(proof["checkpoint"]).size
    assert said.startswith("the proof of fhir-gateway/embedded/")
    assert f"of its first {size} entries" in said
    assert "5 are of merge 2" in said
    assert "begun, settled, applied, undo-begun, undone\n" in said
    assert f"what was written of it after these {size} entries is not shown" in said


def without(*places):
    return lambda proof: [proof["entries"].pop(place) for place in sorted(places, reverse=True)]


def changed(**fields):
    return lambda proof: proof.update(fields)


def entry(change):
    return lambda proof: change(proof["entries"])


PROOF_FORGERIES = {
    "another merge's number": changed(merge=42),
    "a neighbour's number": changed(merge=1),
    "no merge": changed(merge=0),
    "a merge that is true": changed(merge=True),
    "no entries": changed(entries=[]),
    "the undoing left out": without(3, 4),
    "an entry in the middle left out": without(1),
    "the first entry left out": without(0),
    "an entry twice": entry(lambda entries: entries.append(entries[-1])),
    "an entry twice for one left out": entry(lambda entries: entries.__setitem__(1, entries[0])),
    "entries in another order": entry(list.reverse),
    "an index that is off by one": entry(lambda entries: entries[0].update(index=entries[0]["index"] + 1)),
    "an index with a point": entry(lambda entries: entries[0].update(index=float(entries[0]["index"]))),
    "a huge index": entry(lambda entries: entries[0].update(index=10**30)),
    "a negative index": entry(lambda entries: entries[0].update(index=-1)),
    "another time": entry(lambda entries: entries[0].update(entry=entries[0]["entry"].replace("2026", "2025"))),
    "blanks in an entry": entry(lambda entries: entries[0].update(entry=entries[0]["entry"].replace(":", ": "))),
    "a path that is cut": entry(lambda entries: entries[0]["path"].pop()),
    "a path's step in capitals": entry(
        lambda entries: entries[0]["path"].__setitem__(0, entries[0]["path"][0].upper())
    ),
    "a path's step that is longer": entry(lambda entries: entries[0]["path"].__setitem__(0, "00" * 33)),
    "no path of the count": changed(count_path=[]),
    "an unknown field": changed(survivor="Patient/p9"),
    "an unknown field of an entry": entry(lambda entries: entries[0].update(user="Dewi")),
    "a missing field": lambda proof: proof.pop("count_path"),
    "an older version": changed(version=1),
    "a version to come": changed(version=3),
    "an earlier checkpoint with a broken path": lambda proof: proof["earlier"][0]["path"].pop(),
}


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("forge", PROOF_FORGERIES.values(), ids=PROOF_FORGERIES)
def test_a_forged_proof_is_found_out_with_and_without_a_key(proof, judged, forge, key):
    forge(proof)
    assert judged(json.dumps(proof), key=key, checkpoint="late.txt")[0] in (2, 3)


def test_entries_of_another_merge_are_no_proof_for_this_one(genuine, proof, judged, monkeypatch):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(genuine))
    with history_of("embedded") as history:
        other = history.prove(1)
    forged = {**proof, "entries": other["entries"], "checkpoint": other["checkpoint"], "earlier": []}
    code, said = judged(json.dumps(forged))
    assert code == 3
    assert "is of merge 1, not of merge 2" in said
    code, said = judged(json.dumps({**forged, "merge": 1, "entries": [*other["entries"], *proof["entries"]]}))
    assert code == 3


def test_a_name_that_stands_twice_is_refused(proof, judged):
    text = json.dumps(proof).replace('"merge": 2', '"merge": 42, "merge": 2', 1)
    assert judged(text) == (2, "cannot be read: a name stands twice in one object\n")


def own_key(origin):
    return read_signing_key(origin, new_private_key())


def broken_signature(note):
    head, _, signature = note.rstrip("\n").rpartition(" ")
    body = bytearray(base64.b64decode(signature))
    body[-1] ^= 1
    return f"{head} {base64.b64encode(body).decode()}\n"


def test_a_broken_signature_of_a_proof_fails_or_is_said_to_be_unchecked(proof, judged):
    proof["checkpoint"] = broken_signature(proof["checkpoint"])
    code, said = judged(json.dumps(proof))
    assert code == 3
    assert "not signed by a key that was given" in said
    for checkpoint in ("", "early.txt"):
        said = judged(json.dumps(proof), key=False, checkpoint=checkpoint)[1]
        assert "no signature was checked" in said
        assert "all checks passed" not in said
    assert "anybody could have written this file" in judged(json.dumps(proof), key=False)[1]


def test_without_a_key_it_is_said_how_far_the_given_checkpoint_reaches(genuine, proof, judged):
    size = vh.Checkpoint.parse((genuine / "early.txt").read_text("utf-8")).size
    assert f"vouches for entries up to {size};" in judged(json.dumps(proof), key=False, checkpoint="early.txt")[1]
    assert "vouches for" not in judged(json.dumps(proof), key=False, checkpoint="late.txt")[1]


def own_history(proof, *, renumbered=True):
    """Return a proof out of a history of one's own, signed with one's own key: the merge's undoing was never in it."""
    own = vh.Checkpoint.parse(proof["checkpoint"])
    bodies = []
    for number, each in enumerate(proof["entries"][:3], start=9):
        told = b'"number":%d' % (each["index"] + 1)
        bodies.append(each["entry"].encode().replace(told, b'"number":%d' % number if renumbered else told))
    leaves = [*map(vh.leaf_hash, [*(b"%d" % n for n in range(8)), *bodies])]
    counts = [vh.count_leaf(1, 3), vh.count_leaf(2, 3)]
    head = vh.TreeHead(len(leaves), root_of(leaves), 2, root_of(counts))
    prover = Prover(leaves)
    return {
        **proof,
        "checkpoint": own_key(own.origin).sign(head, time=LATER),
        "entries": [
            {"entry": body.decode(), "index": n, "path": [step.hex() for step in prover.inclusion(n)]}
            for n, body in enumerate(bodies, start=8)
        ],
        "count_path": [step.hex() for step in Prover(counts).inclusion(1)],
        "earlier": [],
    }


def test_a_proof_that_somebody_else_signed_is_none(proof, judged):
    forged = json.dumps(own_history(proof))
    assert judged(forged, key=False)[0] == 0  # whoever has neither key nor checkpoint is told what that means
    code, said = judged(forged)
    assert (code, said.count("\nits checkpoint is not signed by a key that was given")) == (3, 1)
    assert judged(forged, key=False, checkpoint="early.txt")[0] == 3


def test_a_given_checkpoint_that_somebody_else_signed_is_none(genuine, proof, export, judged):
    own = vh.Checkpoint.parse(proof["checkpoint"])
    head = vh.TreeHead(own.size, own.root, own.merges, own.counts)
    (genuine / "signed.txt").write_text(own_key(own.origin).sign(head, time=LATER), "utf-8")
    code, said = judged(json.dumps(proof), checkpoint="signed.txt")
    assert code == 3
    assert f"the given checkpoint over {own.size} entries is not signed by a key that was given" in said
    code, said = judged(ndjson(export), checkpoint="signed.txt")
    assert code == 3
    assert f"the given checkpoint over {own.size} entries: is not signed by any key that is known" in said


def test_an_earlier_checkpoint_of_a_proof_was_signed_as_well(proof, judged):
    note = proof["earlier"][0]["checkpoint"]
    proof["earlier"][0]["checkpoint"] = note.replace("time 2", "time 1")
    code, said = judged(json.dumps(proof))
    assert code == 3
    assert "the earlier checkpoint over 5 entries is not signed by a key that was given" in said


def test_a_proof_without_entries_is_told_as_such(proof, judged):
    assert "it has no entries" in judged(json.dumps({**proof, "entries": []}))[1]


def test_an_entry_does_not_stand_at_another_number_than_its_own(proof, judged):
    code, said = judged(json.dumps(own_history(proof, renumbered=False)), key=False)
    assert code == 3
    assert "is no entry, or not the one of this number" in said


def test_a_checkpoint_without_counts_does_not_show_that_nothing_was_left_out(genuine, proof, monkeypatch, judged):
    pem = (genuine / ".fhir-gateway/embedded/history-key.pem").read_text("utf-8")
    own = vh.Checkpoint.parse(proof["checkpoint"])
    key = read_signing_key(own.origin, pem)
    text = "".join(line + "\n" for line in own.text.splitlines() if not line.startswith("merges "))
    signature = base64.b64encode(key.public.id + key._private.sign(text.encode())).decode()
    note = f"{text}\n\u2014 {own.origin} {signature}\n"
    code, said = judged(json.dumps({**proof, "checkpoint": note, "earlier": []}))
    assert code == 3
    assert "does not say how many entries a merge has" in said


def test_a_proof_that_is_older_than_the_given_checkpoint_does_not_pass(genuine, judged, monkeypatch, tmp_path):
    old = json.loads((genuine / "proof.json").read_text("utf-8"))
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    newer = vh.Checkpoint.parse(old["checkpoint"])
    pem = (genuine / ".fhir-gateway/embedded/history-key.pem").read_text("utf-8")
    note = read_signing_key(newer.origin, pem).sign(vh.TreeHead(newer.size + 3, bytes(32), 4, bytes(32)), time=LATER)
    (genuine / "newer.txt").write_text(note, "utf-8")
    code, said = judged(json.dumps(old), checkpoint="newer.txt")
    assert code == 3
    assert "nothing shows that the given checkpoint" in said


# Exports


def rewritten(lines, change, *, key=None, pretend=None):
    """Return an export whose entries were changed, with hashes and checkpoints to match, signed with another key.

    `pretend` is the public key that the history names for it; that of the forger if not given.
    """
    header, *rows = copy.deepcopy(lines)
    origin = vh.Checkpoint.parse(header["checkpoints"][-1]).origin
    key = key or own_key(origin)
    tree, counts, notes = vh.Tree(), vh.MergeCounts(), []
    for row in rows:
        entry = json.loads(row["entry"])
        change(entry)
        if entry["event"] == "key":
            entry["notes"]["key"] = str(pretend or key.public)
        if entry["event"] == "checkpoint":
            note = signed(key, tree, counts)
            notes.append(note)
            entry["notes"] |= {"root": tree.root().hex(), "note": hashlib.sha256(note.encode()).hexdigest()}
        row["entry"] = json.dumps(entry, separators=(",", ":"), sort_keys=True)
        tree.add(vh.leaf_hash(row["entry"].encode()))
        if entry["merge"]:
            counts.add(entry["merge"])
    notes.append(signed(key, tree, counts))
    return [{**header, "exported": LATER.isoformat(), "checkpoints": notes}, *rows]


def signed(key: SigningKey, tree, counts):
    return key.sign(vh.TreeHead(tree.size, tree.root(), len(counts), counts.root()), time=LATER)


def backdated(entry):
    entry["at"] = entry["at"].replace("2026", "2020")


def test_an_export_that_was_forged_whole_with_another_key_fails_when_the_real_one_is_given(export, judged):
    forged = ndjson(rewritten(export, backdated))
    code, said = judged(forged)
    assert code == 3
    assert "entries are not signed by a key that was given" in said
    code, said = judged(forged, key=False)
    assert code == 0
    assert "keys that the file itself names" in said
    assert "all checks passed" not in said
    assert judged(forged, key=False, checkpoint="early.txt")[0] == 3


def test_a_forged_export_that_names_the_real_key_fails_too(genuine, export, judged):
    real = vh.PublicKey.parse((genuine / "key.txt").read_text("utf-8"))
    forged = ndjson(rewritten(export, backdated, pretend=real))
    assert judged(forged)[0] == 3
    assert judged(forged, key=False)[0] == 3


def test_no_key_vouches_for_what_another_has_signed_after_it(export, genuine, judged):
    """Genuine up to the early checkpoint, then a new key and a new end that it signs."""
    header, *rows = copy.deepcopy(export)
    early = (genuine / "early.txt").read_text("utf-8")
    size = vh.Checkpoint.parse(early).size
    key = own_key(vh.Checkpoint.parse(early).origin)
    told = json.loads(rows[size]["entry"])
    assert told["event"] == "checkpoint"
    named = {**told, "event": "key", "number": size + 2, "notes": {"key": str(key.public)}}
    rows = [*rows[: size + 1], {**rows[size], "number": size + 2, "entry": json.dumps(named, separators=(",", ":"))}]
    tree, counts = vh.Tree(), vh.MergeCounts()
    for row in rows:
        tree.add(vh.leaf_hash(row["entry"].encode()))
        if merge := json.loads(row["entry"])["merge"]:
            counts.add(merge)
    header |= {"size": len(rows), "exported": LATER.isoformat(), "checkpoints": [early, signed(key, tree, counts)]}
    forged = ndjson([header, *rows])
    assert judged(forged, key=False)[0] == 0
    code, said = judged(forged)
    assert code == 3
    assert "which only the history itself names" in said


def test_what_an_earlier_key_signed_counts_where_the_given_one_signed_later(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    merge(tmp_path, "p1")
    keys = []
    for _ in range(2):
        with history_of("embedded") as history:
            (tmp_path / "first.txt").write_text(history.checkpoint(), "utf-8") if not keys else None
            keys.append(history.public_key())
            history.export(tmp_path / f"{len(keys)}.ndjson", personal=False)
        (tmp_path / ".fhir-gateway/embedded/history-key.pem").unlink()
    older, newer = (["--public-key", key] for key in keys)
    first = ["--checkpoint", str(tmp_path / "first.txt")]
    assert vh.main([str(tmp_path / "1.ndjson"), *older]) == 0
    assert vh.main([str(tmp_path / "2.ndjson"), *newer, *first]) == 0
    assert vh.main([str(tmp_path / "2.ndjson"), *older, *newer]) == 0
    capsys.readouterr()
    assert vh.main([str(tmp_path / "2.ndjson"), *older]) == 3
    assert "which only the history itself names" in capsys.readouterr().out
    assert vh.main([str(tmp_path / "1.ndjson"), *newer]) == 3


def test_a_signer_who_lies_of_the_counts_is_found_out_by_whoever_has_all_entries(genuine, export, judged):
    pem = (genuine / ".fhir-gateway/embedded/history-key.pem").read_text("utf-8")
    own = vh.Checkpoint.parse(export[0]["checkpoints"].pop())
    lie = vh.TreeHead(own.size, own.root, own.merges, bytes(32))
    export[0]["checkpoints"].append(read_signing_key(own.origin, pem).sign(lie, time=LATER))
    code, said = judged(ndjson(export))
    assert code == 3
    assert "it tells of other numbers of entries of the merges" in said


def test_a_checkpoint_s_entry_tells_its_own_size(export, judged):
    code, said = judged(ndjson(rewritten(export, lambda entry: entry["notes"].pop("size", None))), key=False)
    assert code == 3
    assert "its root is not that of the entries before it" in said


def test_a_history_names_its_ledger(export):
    entry = json.loads(export[1]["entry"]) | {"notes": {}, "parts": {}}
    check = vh.HistoryCheck()
    check.add(1, json.dumps(entry, separators=(",", ":"), sort_keys=True).encode(), {})
    assert [str(fault) for fault in check.faults] == ["history 1: names no ledger"]


@pytest.mark.parametrize(
    "change",
    [
        (b'"merge":0', b'"merge":1,"merge":0'),
        (b'"merge":0', b'"merge": 0'),
        (b'"merge":0', b'"merge":false'),
        (b'"merge":0', b'"merge":0.0'),
        (b'"number":1', b'"number":true'),
        (b'"event":"opened"', b'"event":"\\u006fpened"'),
        (b'"ledger":"', b'"of":true,"ledger":"'),
    ],
)
def test_an_entry_is_written_in_one_way_only(export, change):
    body = export[1]["entry"].encode()
    assert change[0] in body
    check = vh.HistoryCheck()
    check.add(1, body.replace(*change), {})
    assert [str(fault) for fault in check.faults] == ["history 1: is no entry of a history"]


def header(**fields):
    return lambda lines: lines[0].update(fields)


def row(number, change):
    return lambda lines: change(lines[number])


def part(change):
    return lambda lines: change(lines[2]["parts"]["facts"])


def moved_into_the_salt(part):
    salt, body = base64.b64decode(part["salt"]), base64.b64decode(part["body"])
    part.update(salt=base64.b64encode(salt + body[:4]).decode(), body=base64.b64encode(body[4:]).decode())


EXPORT_FORGERIES = {
    "no checkpoints": header(checkpoints=[]),
    "the newest checkpoint left out": lambda lines: lines[0]["checkpoints"].pop(),
    "an earlier checkpoint left out": lambda lines: lines[0]["checkpoints"].pop(0),
    "a broken signature": lambda lines: lines[0]["checkpoints"].append(broken_signature(lines[0]["checkpoints"].pop())),
    "another environment": header(environment="north"),
    "another ledger": header(ledger="00ff"),
    "another size": header(size=3),
    "another time": lambda lines: lines[0].update(exported=lines[0]["exported"].replace("20", "19", 1)),
    "a size with a point": lambda lines: lines[0].update(size=float(lines[0]["size"])),
    "personal that is no truth value": header(personal=0),
    "personal parts said to be here": header(personal=True),
    "an unknown field": header(signed_by="Dewi"),
    "a version to come": header(version=2),
    "a changed entry": row(3, lambda row: row.update(entry=row["entry"].replace("2026", "2025"))),
    "a number as text": row(3, lambda row: row.update(number="3")),
    "a number that is true": row(1, lambda row: row.update(number=True)),
    "an unknown field of an entry": row(3, lambda row: row.update(user="Dewi")),
    "entries that changed places": lambda lines: lines.__setitem__(slice(3, 5), [lines[4], lines[3]]),
    "an entry twice": lambda lines: lines.insert(3, lines[3]),
    "an entry left out": lambda lines: lines.pop(3),
    "the end cut off": lambda lines: lines[0].update(size=len(lines[:-4]) - 1) or lines.__delitem__(slice(-4, None)),
    "salts that changed places": lambda lines: lines[2]["parts"]["facts"].update(
        salt=lines[3]["parts"]["facts"]["salt"]
    ),
    "a part moved partly into its salt": part(moved_into_the_salt),
    "a part as a row": part(lambda part: part.update(body="", rows=[base64.b64decode(part["body"]).hex()])),
    "an unknown field of a part": part(lambda part: part.update(user="Dewi")),
    "no facts": row(2, lambda row: row["parts"].pop("facts")),
}


@pytest.mark.parametrize("forge", EXPORT_FORGERIES.values(), ids=EXPORT_FORGERIES)
def test_a_forged_export_is_found_out(export, judged, forge):
    forge(export)
    assert judged(ndjson(export))[0] in (2, 3)


def test_rows_of_an_export_cannot_move_to_where_the_hash_is_the_same(personal, judged):
    (line,) = [line for line in personal[1:] if json.loads(line["entry"])["event"] == "settled"][:1]
    steps = line["parts"]["steps"]
    rows = steps["rows"]
    for moved in (
        {"body": base64.b64encode("".join(f"{each}\n" for each in rows).encode()).decode(), "rows": []},
        {"body": "", "rows": ["\n".join(rows)]},
    ):
        line["parts"]["steps"] = {**steps, **moved}
        code, said = judged(ndjson(personal))
        assert code == 3, moved
        assert "bytes stand elsewhere than they were hashed" in said


def test_personal_parts_do_not_stand_in_an_export_that_says_it_has_none(personal, judged):
    personal[0]["personal"] = False
    assert judged(ndjson(personal))[0] == 3


def test_a_checkpoint_of_another_ledger_is_none_of_this_one(genuine, export, proof, judged):
    pem = (genuine / ".fhir-gateway/embedded/history-key.pem").read_text("utf-8")
    stands = vh.Checkpoint.parse((genuine / "late.txt").read_text("utf-8"))
    head = vh.TreeHead(stands.size, stands.root, stands.merges, stands.counts)
    note = read_signing_key("fhir-gateway/embedded/00ff", pem).sign(head, time=LATER + timedelta(days=1))
    (genuine / "other.txt").write_text(note, "utf-8")
    for text in (ndjson(export), json.dumps({**proof, "earlier": []})):
        assert judged(text, checkpoint="other.txt")[0] == 3
        assert judged(text, key=False, checkpoint="other.txt")[0] == 3


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format":"fhir-gateway-history"}', "null", "", '{"size":NaN}'])
def test_what_is_no_file_of_ours_cannot_be_read(judged, text):
    assert judged(text)[0] == 2


def test_no_word_of_a_file_reaches_the_terminal_as_a_command(export, judged):
    export[2]["parts"]["\x1b[2J\nall checks passed"] = {"salt": "", "body": ""}
    code, said = judged(ndjson(export))
    assert code == 3
    assert "\x1b" not in said
    assert "\nall checks passed" not in said


def test_a_file_without_keys_is_not_taken_for_no_key(genuine, judged, tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n", "utf-8")
    assert vh.main([str(genuine / "export.ndjson"), "--public-key", str(tmp_path / "empty.txt")]) == 2
    assert "no public key" in capsys.readouterr().err
