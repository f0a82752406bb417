"""The list of merges as a file: JSON for programs, CSV for spreadsheets."""

import csv
import io
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response, StreamingResponse

from fhir_gateway.bootstrap.told_merges import told_record
from fhir_gateway.domain.history import MergeFilter, MergeRecord
from fhir_gateway.fhir import json_text
from fhir_gateway.reports.csv_report import harmless
from fhir_gateway.serving.environments import ServedEnvironment

_TOGETHER = 500
_COLUMNS = (
    "merge",
    "state",
    "nik",
    "survivor",
    "replaced",
    "rule",
    "grade",
    "run",
    "user",
    "via",
    "begun",
    "finished",
    "changed",
    "requests",
    "failed",
    "remaining",
    "undo_user",
    "undo_via",
    "undone",
    "undo_reason",
    "erased",
)


async def as_csv(environment: ServedEnvironment, wanted: MergeFilter) -> Response:
    """Return merges as CSV with a BOM; no cell is one that a spreadsheet would run."""

    def text(records: list[MergeRecord], *, first: bool) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out)
        if first:
            out.write("\ufeff")
            writer.writerow(_COLUMNS)
        for record in records:
            told = told_record(record)
            writer.writerow([harmless(_cell(told[column])) for column in _COLUMNS])
        return out.getvalue().encode()

    return _file(_pieces(environment, wanted, text), environment, "csv", "text/csv; charset=utf-8")


async def as_json(environment: ServedEnvironment, wanted: MergeFilter) -> Response:
    """Return merges as a JSON list."""

    def text(records: list[MergeRecord], *, first: bool) -> bytes:
        lines = b",\n".join(json_text.dump(told_record(record)) for record in records)
        return (b"[" if first else b",\n" * bool(records)) + lines

    async def whole() -> AsyncIterator[bytes]:
        async for piece in _pieces(environment, wanted, text):
            yield piece
        yield b"]\n"

    return _file(whole(), environment, "json", "application/json")


async def _pieces(
    environment: ServedEnvironment, wanted: MergeFilter, text: Callable[..., bytes]
) -> AsyncIterator[bytes]:
    """Yield the file piece by piece: memory stays flat, however many merges there are."""
    before: int | None = None
    while True:
        records = environment.merges.records(wanted, before=before, limit=_TOGETHER)
        yield text(records, first=before is None)
        if len(records) < _TOGETHER:
            return
        before = records[-1].merge.id


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _file(pieces: AsyncIterator[bytes], environment: ServedEnvironment, kind: str, media_type: str) -> Response:
    name = f"merges-{environment.name}.{kind}"
    return StreamingResponse(
        pieces, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
