"""The history's entries as canonical JSON (RFC 8785), and the salted hashes of what stands beside them."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
import rfc8785

from fhir_gateway.audit.verify_history import SALT_BYTES
from fhir_gateway.domain.history import HistoryEntry, HistoryEvent, Part

__all__ = ["SALT_BYTES", "entry_bytes", "part_hash", "read_entry", "row_line", "rows_hash", "written_time"]


def entry_bytes(entry: HistoryEntry) -> bytes:
    """Return the canonical JSON of an entry: the bytes of its leaf."""
    return rfc8785.dumps(
        {
            "at": written_time(entry.at),
            "event": str(entry.event),
            "merge": entry.merge,
            "notes": dict(entry.notes),
            "number": entry.number,
            "parts": {str(part): digest for part, digest in entry.parts.items()},
        }
    )


def read_entry(body: bytes) -> HistoryEntry:
    """Return the entry that these bytes are; raises ValueError where they are none."""
    try:
        value: dict[str, Any] = orjson.loads(body)
        return HistoryEntry(
            number=int(value["number"]),
            event=HistoryEvent(value["event"]),
            merge=int(value["merge"]),
            at=datetime.fromisoformat(value["at"]),
            parts={Part(part): str(digest) for part, digest in value["parts"].items()},
            notes=dict(value["notes"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("is no entry of a history") from error


def part_hash(salt: bytes, body: bytes) -> str:
    """Return the salted SHA-256 of a part's exact bytes, in hex."""
    return hashlib.sha256(salt + body).hexdigest()


def rows_hash(salt: bytes, lines: Iterable[bytes]) -> str:
    """Return the salted SHA-256 of rows, in hex: of their lines (see row_line), each ended by a line feed."""
    digest = hashlib.sha256(salt)
    for line in lines:
        digest.update(line)
        digest.update(b"\n")
    return digest.hexdigest()


def row_line(*values: str | int | bytes) -> bytes:
    """Return a row as it is hashed: a JSON array of its columns, bytes as the hex of their SHA-256.

    Raises ValueError where a text is no Unicode (a lone surrogate).
    """
    shown = [hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value for value in values]
    try:
        return orjson.dumps(shown)
    except TypeError as error:
        raise ValueError("holds text that is no Unicode") from error


def written_time(moment: datetime) -> str:
    """Return a time as entries and columns hold it: UTC, so that texts sort as times do."""
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:  # of the first or the last day that there is
        utc = moment.replace(tzinfo=UTC)
    return utc.isoformat(timespec="microseconds")
