"""Writes the history out for verification elsewhere (see audit.verify_history)."""

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, select

from fhir_gateway.audit.entries import written_time
from fhir_gateway.audit.verify_history import EXPORT_VERSION, HISTORY_FORMAT, TreeHead
from fhir_gateway.domain.history import Part
from fhir_gateway.ledger.merges.beside import PAGE, ROWS, Beside, snapshot
from fhir_gateway.ledger.merges.history import History
from fhir_gateway.ledger.merges.tables import history, history_details

Sign = Callable[[TreeHead], str]
"""Returns a signed checkpoint over a history with this head."""


def export_lines(
    connection: Connection, *, environment: str, personal: bool, at: datetime, sign: Sign
) -> Iterator[bytes]:
    """Yield the lines of an export, NDJSON: a header, then every entry with what stands beside it.

    `sign` vouches for the whole of it, the entries after the newest checkpoint included.

    Without `personal` only the entries and their facts are told: hashes stand for everything that is personal.
    """
    with snapshot(connection):
        known = History(connection)
        head = known.head()
        header = {
            "format": HISTORY_FORMAT,
            "version": EXPORT_VERSION,
            "environment": environment,
            "ledger": known.ledger_id(),
            "size": head.size,
            "personal": personal,
            "exported": written_time(at),
            "checkpoints": [*known.kept_checkpoints(), sign(head)],
        }
        yield _line(header)
        details = Beside(connection, history_details)
        rows = [(part, Beside(connection, table), line) for part, table, line in ROWS]
        for entry in connection.execution_options(yield_per=PAGE).execute(select(history).order_by(history.c.number)):
            parts: dict[str, dict[str, Any]] = {
                detail["part"]: {"salt": _text(detail["salt"]), "body": _text(detail["body"])}
                for detail in details.of(entry.number)
                if personal or detail["part"] == Part.FACTS
            }
            for part, beside, line in rows:
                found = beside.of(entry.number)
                if part in parts:
                    parts[part]["rows"] = [line(row).decode() for row in found]
                    if part is Part.CHANGES:
                        parts[part]["bodies"] = [_text(row["bodies"]) for row in found]
            yield _line({"number": entry.number, "entry": entry.entry.decode(), "parts": parts})


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _line(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
