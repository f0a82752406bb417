"""Verifies an exported history of merges, or a proof, without the gateway: python verify_history.py FILE --checkpoint NOTE.

This file stands alone: it needs Python 3.11 and, to check signatures, the package `cryptography`. The gateway's own
`merge verify` runs the same checks on the ledger. Exit code 0: no check failed, 3: some did, 2: cannot be read. Without
--public-key nobody's signature is known to be the gateway's, and the last line says so.
"""

import argparse
import base64
import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

HISTORY_FORMAT = "fhir-gateway-history"
PROOF_FORMAT = "fhir-gateway-inclusion-proof"
EXPORT_VERSION = 1
PROOF_VERSION = 2
FACTS, CHANGES, STEPS = "facts", "changes", "steps"
SALT_BYTES = 32
_SECONDS = len("2026-03-04T05:06:07")
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


def count_leaf(merge: int, entries: int) -> bytes:
    """Return the hash that says how many entries a merge has: the leaf of that merge in the tree of counts."""
    return leaf_hash(f"merge {merge} entries {entries}".encode())


class MergeCounts:
    """How many entries each merge has, as a tree (RFC 9162, 2.1) of one leaf (see count_leaf) for each merge from 1 on."""

    __slots__ = ("_counts", "_levels", "_stale")

    def __init__(self) -> None:
        self._counts = array("Q")
        self._levels: list[list[bytes]] = [[]]
        """The leaves' hashes, then level by level the nodes above them; a last one without a neighbour moves up as it is."""
        self._stale: set[int] = set()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, merge: int) -> None:
        """Count an entry of a merge."""
        for new in range(len(self._counts), merge):
            self._counts.append(0)
            self._stale.add(new)
        self._counts[merge - 1] += 1
        self._stale.add(merge - 1)

    def root(self) -> bytes:
        """Return the root over all merges so far; only what was counted since the last one is computed anew."""
        size, stale, level = len(self._counts), self._stale, 0
        nodes = self._levels[0]
        nodes.extend(b"" for _ in range(size - len(nodes)))
        for place in stale:
            nodes[place] = count_leaf(place + 1, self._counts[place])
        while size > 1:
            below, stale, level = nodes, {place >> 1 for place in stale}, level + 1
            if level == len(self._levels):
                self._levels.append([])
            nodes = self._levels[level]
            nodes.extend(b"" for _ in range((size + 1) // 2 - len(nodes)))
            for place in stale:
                left, right = 2 * place, 2 * place + 1
                nodes[place] = node_hash(below[left], below[right]) if right < size else below[left]
            size = (size + 1) // 2
        self._stale = set()
        return nodes[0] if nodes else hashlib.sha256().digest()


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a history is told by: so many entries with this root, of so many merges with the root over their counts."""

    size: int
    root: bytes
    merges: int
    counts: bytes


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

    `merges` and `counts` are those of a TreeHead, None in checkpoints of before these were signed. `signatures` are
    (name, key id, signature).
    """

    origin: str
    size: int
    root: bytes
    time: str
    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]
    merges: int | None = None
    counts: bytes = b""

    @classmethod
    def parse(cls, note: str) -> "Checkpoint":
        """Read a checkpoint; raises ValueError where it is none."""
        text, gap, tail = note.replace("\r\n", "\n").partition("\n\n")
        lines = text.split("\n")
        if not gap or len(lines) < 3 or not _is_count(lines[1]) or lines[1] == "0":
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
        told = dict(line.split(" ", 1) for line in lines[3:] if " " in line)
        merges, _, counts = told.get("merges", "").partition(" ")
        if merges and not _is_count(merges):
            raise ValueError("the checkpoint has a count of merges that is none")
        return cls(
            origin=lines[0],
            size=int(lines[1]),
            root=root,
            time=told.get("time", ""),
            text=text + "\n",
            signatures=tuple(signatures),
            merges=int(merges) if merges else None,
            counts=base64.b64decode(counts, validate=True),
        )

    @property
    def ledger(self) -> str:
        """The id of the ledger whose history it is of."""
        return self.origin.rpartition("/")[2]

    def signers(self, keys: Iterable[PublicKey]) -> list[PublicKey]:
        """Return those of the keys, of its origin, whose signature it bears; raises ValueError at one that is false."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - hashes can be checked without it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        found = []
        for key in dict.fromkeys(key for key in keys if key.name == self.origin):
            for name, key_id, signature in self.signatures:
                if (name, key_id) == (key.name, key.id):
                    try:
                        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, self.text.encode())
                    except InvalidSignature as error:
                        raise ValueError(f"the signature of key {key.id.hex()} is false") from error
                    found.append(key)
        return found


def _is_count(text: str) -> bool:
    """Return whether this is a number as a checkpoint writes it: digits, without leading zeros."""
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


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

    def is_formed(self, name: str) -> bool:
        """Return whether each byte stands where a part of this name has it: the hash alone would not show a move."""
        rows = name in (CHANGES, STEPS)
        split = any(b"\n" in line for line in self.lines)
        return len(self.salt or b"") == SALT_BYTES and not (self.body if rows else self.lines) and not split

    def hash(self) -> str:
        """Return the salted SHA-256 in hex."""
        digest = hashlib.sha256((self.salt or b"") + self.body)
        if self.lines:
            digest.update(b"\n".join((*self.lines, b"")))
        return digest.hexdigest()


@dataclass(slots=True)
class HistoryCheck:
    """Checks a history entry by entry; `sizes` are those at which its head is wanted.

    `partial` says that personal parts were left out on purpose. Fields: `faults` (the first hundred), `heads` by size,
    `keys` that the history names, `signed` (how many entries a checkpoint that fits, of a trusted key, vouches for),
    `checkpoints` that it tells of (size → SHA-256 of the note), `erased` (merge, or minus the entry's number where it
    belongs to none → number of the entry that tells of its erasing).
    """

    sizes: frozenset[int] = frozenset()
    partial: bool = False
    tree: Tree = field(default_factory=Tree)
    counts: MergeCounts = field(default_factory=MergeCounts)
    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    ledger: str = ""
    merges: int = 0
    left_out: int = 0
    heads: dict[int, TreeHead] = field(default_factory=dict)
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
            self.heads[self.tree.size] = self._head()
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

    def judge(self, checkpoints: Iterable[tuple[str, Checkpoint]], keys: Sequence[PublicKey]) -> None:
        """Hold checkpoints, with their names, against the history, whose heads at their sizes were asked for.

        `keys` are trusted; without any, those that the history itself names are. What another key has signed counts
        where the history names that key and a trusted one has signed as many entries: it retired that key, and knew.
        """
        named = self._named_keys()
        trusted = {*keys, *(key for key in named if _is_renamed(key, keys))} if keys else {*named}
        others = []
        for name, checkpoint in checkpoints:
            fits = self._fits(checkpoint, name)
            try:
                signers = checkpoint.signers([*trusted, *named])
            except ValueError as error:
                self.fault(name, str(error))
                continue
            if trusted.isdisjoint(signers):
                others.append((name, checkpoint.size, signers))
            elif fits:
                self.signed = max(self.signed, checkpoint.size)
        for name, size, signers in others:
            if not signers:
                self.fault(name, "is not signed by any key that is known")
            elif size > self.signed:
                words = (
                    "is signed by key {}, which only the history itself names: trust it as well if it is the gateway's"
                )
                self.fault(name, words.format(signers[0].id.hex()))

    def _head(self) -> TreeHead:
        return TreeHead(self.tree.size, self.tree.root(), len(self.counts), self.counts.root())

    def _fits(self, checkpoint: Checkpoint, name: str) -> bool:
        head, wrong = self.heads.get(checkpoint.size), ""
        if checkpoint.ledger != self.ledger:
            wrong = "is a checkpoint of another ledger"
        elif checkpoint.size > self.tree.size:
            words = "vouches for {} entries, but there are {}: the end of the history was cut off"
            wrong = words.format(checkpoint.size, self.tree.size)
        elif head is None or checkpoint.root != head.root:
            wrong = f"does not fit: an entry among the first {checkpoint.size} was changed, added or removed"
        elif checkpoint.merges is not None and (checkpoint.merges, checkpoint.counts) != (head.merges, head.counts):
            wrong = "does not fit: it tells of other numbers of entries of the merges"
        if wrong:
            self.fault(name, wrong)
        return not wrong

    def _named_keys(self) -> list[PublicKey]:
        named = []
        for key in self.keys:
            try:
                named.append(PublicKey.parse(key))
            except ValueError as error:
                self.fault("history", f"names a key that is none: {error}")
        return named

    def _follow(self, entry: Mapping[str, Any], place: str) -> None:
        event, notes, number = entry["event"], entry["notes"], entry["number"]
        if (event == "opened") != (number == 1):
            self.fault(place, "a history begins with the entry 'opened', and only once")
        if event == "opened":
            self.ledger = str(notes.get("ledger", ""))
            if not self.ledger:
                self.fault(place, "names no ledger")
        elif event == "key":
            self.keys.append(str(notes.get("key", "")))
        elif event == "erased":
            self.erased |= dict.fromkeys(_erased_keys(notes), number)
        elif event == "checkpoint":
            self.checkpoints[number - 1] = str(notes.get("note", ""))
            if (notes.get("size"), notes.get("root")) != (number - 1, self.tree.root().hex()):
                self.fault(place, "its root is not that of the entries before it")
        self._count(event, entry["merge"], place)

    def _count(self, event: str, merge: int, place: str) -> None:
        if event == "begun":
            self.merges += 1
            if merge != self.merges:
                self.fault(place, f"begins merge {merge} where merge {self.merges} was to begin")
        if not 0 <= merge <= self.merges:
            self.fault(place, f"belongs to merge {merge}, which was not begun")
        elif merge:
            self.counts.add(merge)

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
            elif not part.is_formed(name):
                wrong = "was changed: bytes stand elsewhere than they were hashed"
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


def _is_renamed(key: PublicKey, keys: Iterable[PublicKey]) -> bool:
    """Return whether this is one of the keys, of the same ledger, from when its environment had another name."""
    return any(key.raw == one.raw and key.name.rpartition("/")[2] == one.name.rpartition("/")[2] for one in keys)


_ENTRY = {"at": str, "event": str, "merge": int, "notes": dict, "number": int, "parts": dict}
_HEADER = {
    "format": str,
    "version": int,
    "environment": str,
    "ledger": str,
    "size": int,
    "personal": bool,
    "exported": str,
    "checkpoints": list,
}
_ROW = {"number": int, "entry": str, "parts": dict}
_PROOF = {
    "format": str,
    "version": int,
    "merge": int,
    "checkpoint": str,
    "entries": list,
    "count_path": list,
    "earlier": list,
}
_PROVED = {"entry": str, "index": int, "path": list}
_BRIDGE = {"checkpoint": str, "path": list}


def _has_fields(value: Any, kinds: Mapping[str, type]) -> bool:
    """Return whether this is an object of exactly these fields; true and 1.0 are no numbers here."""
    return (
        isinstance(value, dict)
        and value.keys() == kinds.keys()
        and all(type(value[name]) is kind for name, kind in kinds.items())
    )


def _checked(value: Any, kinds: Mapping[str, type], what: str) -> dict[str, Any]:
    """Return the object; raises ValueError unless it has exactly these fields: what nothing checks proves nothing."""
    if not _has_fields(value, kinds):
        raise ValueError(f"{what} does not have exactly the fields {', '.join(kinds)}, each of its kind")
    return dict(value)


def _read_json(text: str) -> Any:
    """Read JSON that every reader reads alike; raises ValueError at a name that stands twice in one object."""
    return _DECODER.decode(text)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
"""Writes what entries are made of, texts and whole numbers, as RFC 8785 does."""


def _parsed(body: bytes) -> dict[str, Any]:
    """Return the entry, {} unless it is written exactly as entries are (RFC 8785; texts, whole numbers and lists of these)."""
    try:
        entry = json.loads(body.decode())
        if not _has_fields(entry, _ENTRY) or not all(map(_is_note, entry["notes"].values())):
            return {}
        written = _CANONICAL.encode(entry)
    except (ValueError, RecursionError):
        return {}
    return entry if written.encode() == body else {}


def _is_note(value: Any) -> bool:
    return type(value) in (str, int) or (isinstance(value, list) and all(type(one) is int for one in value))


def verify_export(lines: Iterable[str], checkpoints: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> HistoryCheck:
    """Check an exported history; raises ValueError, LookupError or TypeError where this is none.

    With `keys`, every entry has to be signed by one of them.
    """
    rest = iter(lines)
    header = _read_json(next(rest, "null"))
    if not isinstance(header, dict) or header.get("format") != HISTORY_FORMAT:
        raise ValueError("this is no exported history")
    _check_version(header, EXPORT_VERSION)
    header = _checked(header, _HEADER, "the first line")
    stored = [Checkpoint.parse(note) for note in header["checkpoints"]]
    check = HistoryCheck(frozenset(c.size for c in (*stored, *checkpoints)), partial=not header["personal"])
    for line in rest:
        if line.strip():
            row = _checked(_read_json(line), _ROW, f"line {check.tree.size + 2}")
            check.add(row["number"], row["entry"].encode(), dict(_exported_parts(row, check)))
    check.finish()
    _check_header(check, header, stored)
    named = [(f"the own checkpoint over {one.size} entries", one) for one in stored]
    named += [(f"the given checkpoint over {one.size} entries", one) for one in checkpoints]
    check.judge(named, keys)
    if keys and check.signed < check.tree.size:
        left = check.tree.size - check.signed
        check.fault("the export", f"its last {left} entries are not signed by a key that was given")
    return check


def _check_version(value: Mapping[str, Any], known: int) -> None:
    if value.get("version") != known:
        words = "it is of version {}, not {}: have it written anew, or take the verifier of the gateway that wrote it"
        raise ValueError(words.format(value.get("version"), known))


def _check_header(check: HistoryCheck, header: Mapping[str, Any], stored: Sequence[Checkpoint]) -> None:
    """Hold what the first line says, which no hash covers, against the entries and the checkpoints."""
    if check.tree.size != header["size"]:
        check.fault("the export", f"has {check.tree.size} of {header['size']} entries")
    newest = max(stored, key=lambda one: one.size, default=None)
    origin = newest.origin.split("/")[-2:] if newest else [header["environment"], check.ledger]
    if [header["environment"], header["ledger"]] != origin or header["ledger"] != check.ledger:
        check.fault("the export", "names another environment or ledger than its history")
    second, zone = header["exported"][:_SECONDS], header["exported"][-len("+00:00") :]
    if newest and (f"{second}Z", zone) != (newest.time, "+00:00"):
        check.fault("the export", "was not written when its newest checkpoint was signed")
    present = {
        (one.size, hashlib.sha256(note.encode()).hexdigest())
        for one, note in zip(stored, header["checkpoints"], strict=True)
    }
    for size, digest in check.checkpoints.items():
        if (size, digest) not in present:
            check.fault(
                f"the own checkpoint over {size} entries", "is missing, or not the one that the history tells of"
            )


def _exported_parts(row: Mapping[str, Any], check: HistoryCheck) -> Iterator[tuple[str, StoredPart]]:
    for name, part in row["parts"].items():
        lines = [line.encode() for line in part.get("rows", ())]
        resources = part.get("bodies", ())
        if part.keys() - {"salt", "body", "rows", "bodies"} or len(resources) != len(lines) * (name == CHANGES):
            check.fault(f"{_TABLES.get(name, 'history_details')} {row['number']}", "is not as it was exported")
        if check.partial and name != FACTS:
            check.fault(
                f"{_TABLES.get(name, 'history_details')} {row['number']}",
                "stands here although the export says that it has no such parts",
            )
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


def verify_proof(proof: Mapping[str, Any], checkpoints: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> list[str]:
    """Check a proof that these are a merge's entries, all that the history of its checkpoint has of it.

    Return what is wrong with it. Raises ValueError, LookupError or TypeError where this is none.
    """
    _check_version(proof, PROOF_VERSION)
    proof = _checked(proof, _PROOF, "the proof")
    own, wrong = Checkpoint.parse(proof["checkpoint"]), []
    if keys and not _is_signed(own, keys):
        wrong.append("its checkpoint is not signed by a key that was given")
    wrong += _wrong_entries(proof, own)
    bridges = [_checked(one, _BRIDGE, "an earlier checkpoint of the proof") for one in proof["earlier"]]
    paths = {Checkpoint.parse(one["checkpoint"]): _hashes(one["path"]) for one in bridges}
    for earlier in {**paths, **dict.fromkeys(checkpoints)}:
        given = earlier in checkpoints
        path = next((steps for bridge, steps in paths.items() if bridge.text == earlier.text), [])
        name = f"the {'given' if given else 'earlier'} checkpoint over {earlier.size} entries"
        if keys and not _is_signed(earlier, keys):
            wrong.append(f"{name} is not signed by a key that was given")
        if earlier.text != own.text and not _continues(own, earlier, path):
            hint = (
                "" if path else "; `merge prove MERGE --checkpoint` with this checkpoint writes a proof that shows it"
            )
            wrong.append(f"nothing shows that {name} is of the same history{hint}")
    return wrong


def _wrong_entries(proof: Mapping[str, Any], own: Checkpoint) -> Iterator[str]:
    merge, numbers = proof["merge"], []
    for one in proof["entries"]:
        each = _checked(one, _PROVED, "an entry of the proof")
        number, body = each["index"] + 1, each["entry"].encode()
        entry = _parsed(body)
        if not entry or entry["number"] != number:
            yield f"entry {number} is no entry, or not the one of this number"
        elif entry["merge"] != merge:
            yield f"entry {number} is of merge {entry['merge']}, not of merge {merge}"
        leaf, path = leaf_hash(body), _hashes(each["path"])
        if not verifies_inclusion(leaf=leaf, index=number - 1, size=own.size, path=path, root=own.root):
            yield f"entry {number} does not stand in the history of its checkpoint"
        numbers.append(number)
    if not numbers or numbers != sorted(set(numbers)):
        yield "it has no entries, or some twice, or out of order"
    leaf, path = count_leaf(merge, len(numbers)), _hashes(proof["count_path"])
    if own.merges is None:
        yield "its checkpoint does not say how many entries a merge has: some may have been left out"
    elif not verifies_inclusion(leaf=leaf, index=merge - 1, size=own.merges, path=path, root=own.counts):
        yield f"its checkpoint does not say that merge {merge} has {len(numbers)} entries: some were left out or put in"


def _is_signed(checkpoint: Checkpoint, keys: Sequence[PublicKey]) -> bool:
    try:
        return bool(checkpoint.signers(keys))
    except ValueError:
        return False


def _continues(own: Checkpoint, earlier: Checkpoint, path: Sequence[bytes]) -> bool:
    return own.ledger == earlier.ledger and verifies_consistency(
        earlier=earlier.size, earlier_root=earlier.root, size=own.size, root=own.root, path=path
    )


def _hashes(path: Sequence[str]) -> list[bytes]:
    found = [bytes.fromhex(step) for step in path]
    if [step.hex() for step in found] != path:
        raise ValueError("a path has a step that is not written as a proof writes it")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line names and say what was found; return the exit code."""
    parser = argparse.ArgumentParser(description="Verifies an exported history of merges, or a proof.")
    parser.add_argument("file", type=Path, help="the export (NDJSON) or the proof (JSON)")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a checkpoint kept elsewhere")
    parser.add_argument("--public-key", action="append", default=[], help="NAME+ID+KEY, or a file with such lines")
    options = parser.parse_args(arguments)
    try:
        keys = [key for text in options.public_key for key in read_keys(text)]
        given = [Checkpoint.parse(path.read_text("utf-8")) for path in options.checkpoint]
        told, faults = _verify(options.file, given, keys)
    except ModuleNotFoundError as error:
        return _end(2, [f"signatures cannot be checked: {error}; pip install cryptography"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return _end(2, [f"cannot be read: {error}"])
    passed = "all checks passed" if keys else "passed as far as can be checked without --public-key"
    more = [f"and {len(faults) - _MOST_FAULTS} faults more"] if len(faults) > _MOST_FAULTS else []
    return _end(3 if faults else 0, [*told, *faults[:_MOST_FAULTS], *more, "FAILED" if faults else passed])


def _verify(file: Path, given: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> tuple[list[str], list[str]]:
    """Return what there is to tell, and what is wrong."""
    with file.open(encoding="utf-8") as lines:
        first = lines.readline()
        if f'"{PROOF_FORMAT}"' in first:
            proof = _read_json(first + lines.read())
            wrong = verify_proof(proof, given, keys)
            return list(_proof_words(proof, given, keys)), wrong
        lines.seek(0)
        check = verify_export(lines, given, keys)
    return list(_export_words(check, given, keys)), [str(fault) for fault in check.faults]


def _export_words(check: HistoryCheck, given: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> Iterator[str]:
    yield f"{check.tree.size} entries, {check.merges} merges, root {base64.b64encode(check.tree.root()).decode()}"
    for key, number in sorted(check.erased.items()):
        if key > 0:
            yield f"merge {key} was erased (entry {number})"
    if check.partial:
        yield f"{check.left_out} parts with personal data are not in this export: their hashes are"
    if check.signed < check.tree.size and not keys:
        left = check.tree.size - check.signed
        yield f"the last {left} entries are signed by nobody: they could have been changed"
    if check.signed and not keys:
        yield "signatures were checked by keys that the file itself names: whoever wrote it anew could have named others"
    if not given:
        yield "no checkpoint was given: a history that was cut off at its end, or written anew, would look the same"


def _proof_words(proof: Mapping[str, Any], given: Sequence[Checkpoint], keys: Sequence[PublicKey]) -> Iterator[str]:
    own, entries = Checkpoint.parse(proof["checkpoint"]), len(proof["entries"])
    yield f"the proof of {own.origin} says: of its first {own.size} entries ({own.time}), {entries} are of merge {proof['merge']}"
    told = [entry for each in proof["entries"] if (entry := _parsed(each["entry"].encode()))]
    groups = [(event, len([*entries])) for event, entries in groupby(told, key=lambda entry: entry["event"])]
    words = ", ".join(f"{event} ({count} times)" if count > 1 else str(event) for event, count in groups)
    yield f"they tell, from {told[0]['at']} to {told[-1]['at']}: {words}" if told else "none of them can be read"
    yield f"what was written of it after these {own.size} entries is not shown"
    if keys:
        return
    yield "no signature was checked: a proof names no key"
    if not given:
        yield "no checkpoint was given either: anybody could have written this file"
    elif own.text not in {one.text for one in given}:
        most = max(one.size for one in given)
        yield f"the given checkpoint vouches for entries up to {most}; for later ones, and for how many there are, nobody does"


def read_keys(text: str) -> list[PublicKey]:
    """Return the keys that are given as NAME+ID+KEY or in a file of such lines; raises OSError, or ValueError for none."""
    lines = text.splitlines() if "+" in text and not Path(text).exists() else Path(text).read_text("utf-8").splitlines()
    keys = [PublicKey.parse(line) for line in lines if line.strip()]
    if not keys:
        raise ValueError("no public key stands in what --public-key names")
    return keys


def _end(code: int, lines: Sequence[str]) -> int:
    """Print the lines, whatever a file may have brought into them in place of plain characters, and return the code."""
    plain = ("".join(sign if " " <= sign <= "~" else "?" for sign in line) for line in lines)
    (sys.stdout if code != 2 else sys.stderr).write("".join(f"{line}\n" for line in plain))
    return code


if __name__ == "__main__":
    sys.exit(main())
