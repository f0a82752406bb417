"""Verifies an exported history of merges, or a proof, without the gateway: python verify_history.py FILE --checkpoint NOTE.

This file stands alone: it needs Python 3.11 and, to check signatures, the package `cryptography`. The gateway's own
`merge verify` runs the same checks on the ledger. Exit code 0: all checks passed, 3: some failed, 2: cannot be read.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HISTORY_FORMAT = "fhir-gateway-history"
PROOF_FORMAT = "fhir-gateway-inclusion-proof"
FACTS, CHANGES, STEPS = "facts", "changes", "steps"
_ED25519 = b"\x01"
_MOST_FAULTS = 100


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree (RFC 9162, 2.1) that grows leaf by leaf and holds no more than one hash for each of its levels."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []
        """The roots of the perfect subtrees, the largest first: one for each bit that is set in `size`."""

    def add(self, leaf: bytes) -> None:
        """Append a leaf's hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far."""
        if not self._peaks:
            return hashlib.sha256().digest()
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node


def verifies_inclusion(*, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether the leaf's hash stands at `index`, counted from 0, of the tree with this root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(step, node)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, step)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def verifies_consistency(*, earlier: int, earlier_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether the tree of `earlier` leaves is the beginning of the one of `size` (2.1.4.2)."""
    if not 0 < earlier <= size:
        return False
    if earlier == size:
        return not path and earlier_root == root
    steps = [earlier_root, *path] if earlier & (earlier - 1) == 0 else list(path)
    if not steps:
        return False
    place, last = earlier - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, step)
        place, last = place >> 1, last >> 1
    return last == 0 and old == earlier_root and new == root


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key as https://c2sp.org/signed-note writes it: NAME+ID+KEY."""

    name: str
    id: bytes
    raw: bytes

    @classmethod
    def of(cls, name: str, raw: bytes) -> "PublicKey":
        """Return the key with its id."""
        return cls(name, hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4], raw)

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read a key; raises ValueError where it is none."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        body = base64.b64decode(encoded, validate=True)
        key = cls.of(name, body[1:])
        if not name or body[:1] != _ED25519 or len(key.raw) != 32 or key.id.hex() != key_id:
            raise ValueError("this is no public key of a history (NAME+ID+KEY)")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed checkpoint (https://c2sp.org/tlog-checkpoint): so many entries had this root at that time.

    `signatures` are (name, key id, signature).
    """

    origin: str
    size: int
    root: bytes
    time: str
    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> "Checkpoint":
        """Read a checkpoint; raises ValueError where it is none."""
        text, gap, tail = note.replace("\r\n", "\n").partition("\n\n")
        lines = text.split("\n")
        if not gap or len(lines) < 3 or not lines[1].isascii() or not lines[1].isdigit():
            raise ValueError("this is no checkpoint of a history")
        signatures = []
        for line in tail.splitlines():
            dash, _, rest = line.partition(" ")
            name, _, encoded = rest.partition(" ")
            signature = base64.b64decode(encoded, validate=True)
            if dash != "\u2014" or not name or len(signature) < 5:
                raise ValueError("the checkpoint has a line that is no signature")
            signatures.append((name, signature[:4], signature[4:]))
        root = base64.b64decode(lines[2], validate=True)
        time = next((line.removeprefix("time ") for line in lines[3:] if line.startswith("time ")), "")
        return cls(lines[0], int(lines[1]), root, time, text + "\n", tuple(signatures))

    def signers(self, keys: Iterable[PublicKey]) -> list[PublicKey]:
        """Return those of the keys whose signature it bears; raises ValueError at one that is false."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - hashes can be checked without it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        found = []
        for key in dict.fromkeys(keys):
            for name, key_id, signature in self.signatures:
                if (name, key_id) == (key.name, key.id):
                    try:
                        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, self.text.encode())
                    except InvalidSignature as error:
                        raise ValueError(f"the signature of key {key.id.hex()} is false") from error
                    found.append(key)
        return found


@dataclass(frozen=True, slots=True)
class Fault:
    """A check that failed: which row of which table, and how."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What stands beside an entry: a salted text, or rows (their `lines`); without `salt` its own row is missing."""

    salt: bytes | None = None
    body: bytes = b""
    lines: Sequence[bytes] = ()

    def hash(self) -> str:
        """Return the salted SHA-256 in hex."""
        digest = hashlib.sha256((self.salt or b"") + self.body)
        if self.lines:
            digest.update(b"\n".join((*self.lines, b"")))
        return digest.hexdigest()


@dataclass(slots=True)
class HistoryCheck:
    """Checks a history entry by entry; `sizes` are those at which the root is wanted.

    `partial` says that personal parts were left out on purpose. Fields: `faults` (the first hundred), `roots` by size,
    `keys` that the history names, `signed` (how many entries a checkpoint that fits vouches for), `checkpoints` that it tells of (size → SHA-256 of the note), `erased` (merge, or
    minus the entry's number where it belongs to none → number of the entry that tells of its erasing).
    """

    sizes: frozenset[int] = frozenset()
    partial: bool = False
    tree: Tree = field(default_factory=Tree)
    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    ledger: str = ""
    merges: int = 0
    left_out: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    signed: int = 0
    checkpoints: dict[int, str] = field(default_factory=dict)
    erased: dict[int, int] = field(default_factory=dict)
    _absent: dict[int, int] = field(default_factory=dict)
    _present: dict[int, int] = field(default_factory=dict)

    def fault(self, place: str, text: str) -> None:
        """Note that a check failed."""
        self.fault_count += 1
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(place, text))

    def add(self, number: int, body: bytes, parts: Mapping[str, StoredPart]) -> dict[str, Any]:
        """Check the next entry with what stands beside it; return what it says, {} where it cannot be read."""
        place, expected = f"history {number}", self.tree.size + 1
        if number != expected:
            self.fault(place, f"entry {expected} should stand here: entries are missing or out of order")
        entry = _parsed(body)
        if not entry:
            self.fault(place, "is no entry of a history")
        elif entry["number"] != number:
            self.fault(place, f"says of itself that it is entry {entry['number']}")
        else:
            self._follow(entry, place)
            self._check_parts(entry, parts)
        self.tree.add(leaf_hash(body))
        if self.tree.size in self.sizes:
            self.roots[self.tree.size] = self.tree.root()
        return entry

    def finish(self) -> None:
        """Check what can be told at the end only: that nothing is missing but what was erased."""
        for key, number in self._absent.items():
            if self.erased.get(key, 0) <= number:
                self.fault(
                    f"history_details {number}", "a part is missing, and no later entry tells that it was erased"
                )
        for key, number in self._present.items():
            if number < self.erased.get(key, 0):
                self.fault(f"history_details {number}", f"stands here although entry {self.erased[key]} says erased")

    def check(self, checkpoint: Checkpoint, name: str) -> None:
        """Hold a checkpoint, whose size was asked for, against the history."""
        if self.ledger and checkpoint.origin.rpartition("/")[2] != self.ledger:
            self.fault(name, "is a checkpoint of another ledger")
        elif checkpoint.size > self.tree.size:
            self.fault(
                name,
                f"vouches for {checkpoint.size} entries, but there are {self.tree.size}: the end of the history was"
                " cut off",
            )
        elif checkpoint.size and self.roots.get(checkpoint.size) != checkpoint.root:
            self.fault(name, f"does not fit: an entry among the first {checkpoint.size} was changed, added or removed")
        else:
            self.signed = max(self.signed, checkpoint.size)

    def _follow(self, entry: Mapping[str, Any], place: str) -> None:
        event, notes, number = entry["event"], entry["notes"], entry["number"]
        if (event == "opened") != (number == 1):
            self.fault(place, "a history begins with the entry 'opened', and only once")
        if event == "opened":
            self.ledger = str(notes.get("ledger", ""))
        elif event == "begun":
            self.merges += 1
            if entry["merge"] != self.merges:
                self.fault(place, f"begins merge {entry['merge']} where merge {self.merges} was to begin")
        elif event == "key":
            self.keys.append(str(notes.get("key", "")))
        elif event == "erased":
            self.erased |= dict.fromkeys(_erased_keys(notes), number)
        elif event == "checkpoint":
            self.checkpoints[number - 1] = str(notes.get("note", ""))
            if notes.get("root") != self.tree.root().hex():
                self.fault(place, "its root is not that of the entries before it")

    def _check_parts(self, entry: Mapping[str, Any], parts: Mapping[str, StoredPart]) -> None:
        number, key = entry["number"], entry["merge"] or -entry["number"]
        names = entry["parts"] if parts.keys() == entry["parts"].keys() else sorted({*parts, *entry["parts"]})
        for name in names:
            part, wanted = parts.get(name), entry["parts"].get(name)
            wrong = ""
            if wanted is None:
                wrong = "the entry knows of no such part"
            elif part is None and self.partial and name != FACTS:
                self.left_out += 1
            elif part is None and name != FACTS:
                self._absent[key] = number
            elif part is None or part.salt is None:
                wrong = "the part, or its salt, is missing"
            elif part.hash() != wanted:
                wrong = "was changed: it does not have the hash that the entry holds"
            if part is not None and name != FACTS:
                self._present.setdefault(key, number)
            if wrong:
                self.fault(f"{_TABLES.get(name, 'history_details')} {number} {name}", wrong)


_TABLES = {CHANGES: "merge_changes", STEPS: "merge_steps"}
"""Parts that stand in a table of their own."""


def _erased_keys(notes: Mapping[str, Any]) -> list[int]:
    merges, entries = notes.get("merges"), notes.get("entries")
    return [
        *(merges if isinstance(merges, list) else ()),
        *(-number for number in (entries if isinstance(entries, list) else ())),
    ]


_KINDS = {"at": str, "event": str, "merge": int, "notes": dict, "number": int, "parts": dict}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(body.decode())
    except ValueError:
        return {}
    if not isinstance(entry, dict) or entry.keys() != _KINDS.keys():
        return {}
    for name, kind in _KINDS.items():
        if not isinstance(entry[name], kind):
            return {}
    return entry if all(map(_is_note, entry["notes"].values())) else {}


def _is_note(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, list) and all(isinstance(one, int) for one in value))


def verify_export(lines: Iterable[str], checkpoints: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> HistoryCheck:
    """Check an exported history; raises ValueError or KeyError where this is none."""
    rest = iter(lines)
    header = json.loads(next(rest, "null"))
    if not isinstance(header, dict) or header.get("format") != HISTORY_FORMAT:
        raise ValueError("this is no exported history")
    stored = [Checkpoint.parse(note) for note in header["checkpoints"]]
    check = HistoryCheck(frozenset(c.size for c in (*stored, *checkpoints)), partial=not header["personal"])
    for line in rest:
        if line.strip():
            row = json.loads(line)
            check.add(int(row["number"]), row["entry"].encode(), dict(_exported_parts(row, check)))
    check.finish()
    if check.tree.size != header["size"]:
        check.fault("the export", f"has {check.tree.size} of {header['size']} entries")
    _check_checkpoints(check, stored, checkpoints, keys)
    return check


def _exported_parts(row: Mapping[str, Any], check: HistoryCheck) -> Iterator[tuple[str, StoredPart]]:
    for name, part in row["parts"].items():
        lines = [line.encode() for line in part.get("rows", ())]
        resources = part.get("bodies", ())
        if part.keys() - {"salt", "body", "rows", "bodies"} or len(resources) != len(lines) * (name == CHANGES):
            check.fault(f"{_TABLES.get(name, 'history_details')} {row['number']}", "is not as it was exported")
        for line, resource in zip(lines, resources, strict=False):
            if json.loads(line)[-1] != hashlib.sha256(_decoded(resource)).hexdigest():
                check.fault(f"merge_changes {row['number']}", "a resource was changed: it does not have its row's hash")
        yield name, StoredPart(_decoded(part["salt"]), _decoded(part.get("body", "")), lines)


def _decoded(text: str) -> bytes:
    """Return what base64 stands for; raises ValueError where it is not written as an export writes it."""
    body = base64.b64decode(text, validate=True)
    if base64.b64encode(body).decode() != text:
        raise ValueError("base64 that is not written as it was exported")
    return body


def _check_checkpoints(
    check: HistoryCheck, stored: Sequence[Checkpoint], given: Sequence[Checkpoint], keys: Sequence[PublicKey]
) -> None:
    try:
        known = [*keys, *(PublicKey.parse(key) for key in check.keys)]
    except ValueError as error:
        check.fault("history", f"names a key that is none: {error}")
        known = list(keys)
    for kind, trusted, checkpoints in (("own", known, stored), ("given", keys or known, given)):
        for checkpoint in checkpoints:
            name = f"the {kind} checkpoint over {checkpoint.size} entries"
            check.check(checkpoint, name)
            try:
                if not checkpoint.signers(trusted):
                    check.fault(name, "is not signed by any key that is known")
            except ValueError as error:
                check.fault(name, str(error))


def verify_proof(proof: Mapping[str, Any], checkpoints: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> list[str]:
    """Check a proof that entries stand in the history; return what is wrong with it."""
    own = Checkpoint.parse(proof["checkpoint"])
    wrong = [] if not keys or own.signers(keys) else ["its checkpoint is not signed by the given public key"]
    for each in proof["entries"]:
        path = [bytes.fromhex(step) for step in each["path"]]
        leaf = leaf_hash(each["entry"].encode())
        if not verifies_inclusion(leaf=leaf, index=each["index"], size=own.size, path=path, root=own.root):
            wrong.append(f"entry {each['index'] + 1} does not stand in the history of its checkpoint")
    bridges = {Checkpoint.parse(one["checkpoint"]).text: one["path"] for one in proof.get("earlier", ())}
    for given in checkpoints:
        path = [bytes.fromhex(step) for step in bridges.get(given.text, ())]
        if keys and not given.signers(keys):
            wrong.append("the given checkpoint is not signed by the given public key")
        if given.text != own.text and not verifies_consistency(
            earlier=given.size, earlier_root=given.root, size=own.size, root=own.root, path=path
        ):
            hint = (
                ""
                if path
                else "; have the proof written anew with `merge prove MERGE --checkpoint` and this checkpoint"
            )
            words = f"nothing shows that the given checkpoint over {given.size} entries is of the same history"
            wrong.append(words + hint)
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line names and say what was found; return the exit code."""
    parser = argparse.ArgumentParser(description="Verifies an exported history of merges, or a proof.")
    parser.add_argument("file", type=Path, help="the export (NDJSON) or the proof (JSON)")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a checkpoint kept elsewhere")
    parser.add_argument("--public-key", action="append", default=[], help="NAME+ID+KEY, or a file with such lines")
    options = parser.parse_args(arguments)
    try:
        keys = [key for text in options.public_key for key in _keys(text)]
        given = [Checkpoint.parse(path.read_text("utf-8")) for path in options.checkpoint]
        told, faults = _verify(options.file, given, keys)
    except ModuleNotFoundError as error:
        return _end(2, [f"signatures cannot be checked: {error}; pip install cryptography"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _end(2, [f"cannot be read: {error}"])
    if not keys:
        told.append("signatures were checked by keys that the file itself names: give --public-key")
    return _end(3 if faults else 0, [*told, *faults, "FAILED" if faults else "all checks passed"])


def _verify(file: Path, given: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> tuple[list[str], list[str]]:
    """Return what there is to tell, and what is wrong."""
    with file.open(encoding="utf-8") as lines:
        first = lines.readline()
        if f'"{PROOF_FORMAT}"' in first:
            return _proof_words(json.loads(first + lines.read()), given, keys)
        lines.seek(0)
        check = verify_export(lines, given, keys)
    told = [f"{check.tree.size} entries, {check.merges} merges, root {base64.b64encode(check.tree.root()).decode()}"]
    told += [f"merge {key} was erased (entry {n})" for key, n in sorted(check.erased.items()) if key > 0]
    if check.partial:
        told.append(f"{check.left_out} parts with personal data are not in this export: their hashes are")
    if check.signed < check.tree.size:
        told.append(
            f"the last {check.tree.size - check.signed} entries are signed by nobody: they could have been changed"
        )
    if not given:
        told.append(
            "no checkpoint was given: a history that was cut off at its end, or written anew, would look the same"
        )
    return told, [str(fault) for fault in check.faults]


def _proof_words(
    proof: Mapping[str, Any], given: Sequence[Checkpoint], keys: Sequence[PublicKey]
) -> tuple[list[str], list[str]]:
    told = [f"a proof for {len(proof['entries'])} entries of merge {proof['merge']}"]
    if not given:
        told.append("no checkpoint was given: the proof is held against its own")
    return told, verify_proof(proof, given, keys)


def _keys(text: str) -> list[PublicKey]:
    lines = text.splitlines() if "+" in text and not Path(text).exists() else Path(text).read_text("utf-8").splitlines()
    return [PublicKey.parse(line) for line in lines if line.strip()]


def _end(code: int, lines: Sequence[str]) -> int:
    (sys.stdout if code != 2 else sys.stderr).write("".join(f"{line}\n" for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
