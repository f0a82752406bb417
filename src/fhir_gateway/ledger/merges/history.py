"""The history of merges: entries that are only ever added, and the parts that stand beside them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from fhir_gateway.audit.entries import SALT_BYTES, entry_bytes, part_hash, read_entry, rows_hash
from fhir_gateway.audit.merkle import count_leaf, leaf_hash, root_of
from fhir_gateway.audit.verify_history import TreeHead
from fhir_gateway.domain.history import HistoryEntry, HistoryEvent, Part
from fhir_gateway.ledger import codec
from fhir_gateway.ledger.merges.tables import checkpoints, history, history_details

_PAGE = 500
_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Addition:
    """What is to be added to the history: `bodies` are parts that are stored as one text, JSON values.

    `lines` are parts that stand in rows of their own (see audit.entries.row_line).
    """

    event: HistoryEvent
    merge: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    bodies: Mapping[Part, Any] = field(default_factory=dict)
    lines: Mapping[Part, Sequence[bytes]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class History:
    """The history of one environment. Whoever adds to it commits, together with what the entry tells of."""

    def __init__(self, connection: Connection, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._connection = connection
        self.now = now

    def lock(self) -> None:
        """Let no other process add entries, nor begin merges, until this transaction ends."""
        # A statement that writes nothing takes SQLite's place for writing all the same.
        self._connection.execute(delete(history).where(history.c.number < 0))

    def add(self, addition: Addition, *, at: datetime | None = None) -> int:
        """Add an entry and return its number, which the rows of its parts carry; the first one names the ledger."""
        self.lock()
        if addition.event is not HistoryEvent.OPENED:
            self.open(at=at)
        number = self.size() + 1
        parts, rows = {}, []
        for part, body in {Part.FACTS: dict(addition.facts), **addition.bodies}.items():
            salt, packed = os.urandom(SALT_BYTES), codec.pack(body)
            parts[part] = part_hash(salt, packed)
            rows.append({"entry": number, "part": part, "salt": salt, "body": packed})
        for part, lines in addition.lines.items():
            salt = os.urandom(SALT_BYTES)
            parts[part] = rows_hash(salt, lines)
            rows.append({"entry": number, "part": part, "salt": salt, "body": b""})
        entry = HistoryEntry(number, addition.event, addition.merge, at or self.now(), parts, addition.notes)
        body = entry_bytes(entry)
        self._connection.execute(
            insert(history).values(number=number, merge=addition.merge, entry=body, leaf=leaf_hash(body))
        )
        self._connection.execute(insert(history_details), rows)
        return number

    def open(self, *, at: datetime | None = None) -> str:
        """Return the ledger's own id, which the first entry names; add that entry if there is none."""
        if not self.size():
            self.add(Addition(HistoryEvent.OPENED, notes={"ledger": os.urandom(_ID_BYTES).hex()}), at=at)
        return self.ledger_id()

    def size(self) -> int:
        """Return how many entries there are."""
        return self._connection.execute(select(func.max(history.c.number))).scalar() or 0

    def ledger_id(self) -> str:
        """Return the ledger's own id, "" before the first entry and where that is damaged."""
        first = self._connection.execute(select(history.c.entry).where(history.c.number == 1)).scalar()
        try:
            return str(read_entry(first).notes.get("ledger", "")) if first else ""
        except ValueError:
            return ""

    def raw(self, merge: int, *, size: int) -> list[tuple[int, bytes]]:
        """Return a merge's entries among the first `size` as (number, the bytes that are hashed), in order."""
        statement = select(history.c.number, history.c.entry).where(history.c.merge == merge, history.c.number <= size)
        return [(row.number, row.entry) for row in self._connection.execute(statement.order_by(history.c.number))]

    def head(self) -> TreeHead:
        """Return what a checkpoint over all entries says."""
        size = self.size()
        counts = self.count_leaves(size)
        return TreeHead(size, root_of(self.leaves(size)), len(counts), root_of(counts))

    def count_leaves(self, size: int) -> list[bytes]:
        """Return the leaves of the tree over how many of the first `size` entries each merge has, in the merges' order."""
        statement = (
            select(history.c.merge, func.count())
            .where(history.c.merge > 0, history.c.number <= size)
            .group_by(history.c.merge)
            .order_by(history.c.merge)
        )
        return [count_leaf(merge, entries) for merge, entries in self._connection.execute(statement)]

    def keep_checkpoint(self, note: str, head: TreeHead, *, at: datetime) -> None:
        """Keep a checkpoint over all entries that there are; an entry tells of it."""
        digest = hashlib.sha256(note.encode()).hexdigest()
        notes = {"size": head.size, "root": head.root.hex(), "note": digest}
        self.add(Addition(HistoryEvent.CHECKPOINT, notes=notes), at=at)
        self._connection.execute(insert(checkpoints).values(size=head.size, note=note))

    def newest_checkpoint(self) -> tuple[int, str] | None:
        """Return the newest checkpoint that was kept, as (size, note)."""
        row = self._connection.execute(select(checkpoints).order_by(checkpoints.c.size.desc())).first()
        return (row.size, row.note) if row else None

    def kept_checkpoints(self) -> list[str]:
        """Return the notes of all checkpoints that were kept, oldest first."""
        return list(self._connection.execute(select(checkpoints.c.note).order_by(checkpoints.c.size)).scalars())

    def leaves(self, size: int | None = None) -> Iterator[bytes]:
        """Yield the hashes of the first `size` entries (all if not given), in order."""
        last, end = 0, self.size() if size is None else size
        while last < end:
            statement = (
                select(history.c.number, history.c.leaf)
                .where(history.c.number > last, history.c.number <= end)
                .order_by(history.c.number)
                .limit(10_000)
            )
            rows = self._connection.execute(statement).all()
            if not rows:
                return
            yield from (row.leaf for row in rows)
            last = rows[-1].number

    def entries(self, *, merge: int | None = None, events: Iterable[HistoryEvent] = ()) -> Iterator[HistoryEntry]:
        """Yield entries in order, of one merge or of some events only where these are given.

        Raises ValueError at an entry that is damaged.
        """
        wanted, last = set(events), 0
        while True:
            statement = select(history.c.number, history.c.entry).where(history.c.number > last)
            if merge is not None:
                statement = statement.where(history.c.merge == merge)
            rows = self._connection.execute(statement.order_by(history.c.number).limit(_PAGE)).all()
            if not rows:
                return
            for row in rows:
                entry = read_entry(row.entry)
                if not wanted or entry.event in wanted:
                    yield entry
            last = rows[-1].number

    def part(self, entry: int, part: Part) -> Any:
        """Return what a part of an entry says, None where it has none or it was erased."""
        found = self.parts([entry], part)
        return found.get(entry)

    def parts(self, entries: Iterable[int], part: Part) -> dict[int, Any]:
        """Return entry → what its part says; entries without it are left out."""
        wanted, found = list(entries), {}
        table = history_details
        for n in range(0, len(wanted), _PAGE):
            statement = select(table.c.entry, table.c.body).where(
                table.c.part == part, table.c.entry.in_(wanted[n : n + _PAGE])
            )
            found.update({row.entry: codec.unpack(row.body) for row in self._connection.execute(statement)})
        return found
