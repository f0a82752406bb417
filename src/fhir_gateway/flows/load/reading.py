"""The first leg: rows are read, converted, checked and spooled; what is known or wrong is settled at once."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice

from fhir_gateway.bundling.digests import DIGITS, content_digest, digest
from fhir_gateway.domain.outcomes import RIGHTLY_REJECTED, Outcome
from fhir_gateway.domain.records import (
    Converted,
    MissingDose,
    Problem,
    Rejected,
    SourceRecord,
    UnmappedValue,
    UnreadableRow,
)
from fhir_gateway.domain.runs import KnownKey, ReviewKind, Run, RunKind, Settlement, SpooledRecord
from fhir_gateway.flows.load.restoring import niks_restored, niks_to_remember, remember_niks
from fhir_gateway.flows.load.shared_keys import kept_apart
from fhir_gateway.flows.load.tools import LoadInput, LoadRequest, LoadTools
from fhir_gateway.flows.load.validating import converted, forget_valid
from fhir_gateway.identity.shared_niks import without_nik

WITNESSES = frozenset({"key-conflict"})
"""The reasons for which rows wait that tell who others of the same load are: their people are as good as anybody's."""
CHUNK = 250
"""Doses, and rows at most, in one transaction of the ledger."""

_OLDER = (
    "a newer export of this row has been loaded; this one is older by its file's modification time, it changes nothing"
)
_IF_NEWER = (
    "nothing, if this file is the older one; if it is really the newer one, `touch` it and load it again, or load the"
    " row from its report"
)
_REPLACED = "this very file was loaded before, and a later export has replaced what the row says: it changes nothing"
_IF_RIGHT = "nothing, if this export is the older one; if what it says holds again, load the row from its report"
_ONE_IS_WRONG = (
    "correct or remove the wrong row and load again; or `review create` to load the last of them;"
    " if they are two people's, load each from a file of its own"
)
_ONE_BY_ONE = (
    "if the files are exports of one source from different days, load them one by one, the oldest first: that settles it;"
    " else correct or remove the wrong row and load again"
)


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    file: int
    row: int
    result: Converted | Rejected
    person: str = ""
    """The digest of the Patient that it was converted to."""
    numeric: frozenset[str] = frozenset()
    """The columns whose cells were stored as numbers."""


@dataclass(frozen=True, slots=True)
class _Export:
    """When a file was written, and whether an earlier run read it already: then it is no newer for a new time stamp."""

    modified: datetime
    again: bool


async def read_into_spool(run: Run, request: LoadRequest, tools: LoadTools) -> None:
    """Read every input into the spool; a run that was cut off here begins again, nothing has been posted yet."""
    with tools.ledger.transaction():
        tools.ledger.runs.clear(run)
    number = 0
    for file, entry in enumerate(request.inputs):
        tools.progress.phase(f"reading {entry.source.path.name}")
        before = number
        export = _Export(entry.source.modified, tools.ledger.runs.has_read(run, entry.source.fingerprint()))
        records: Iterator[SourceRecord | UnreadableRow] = entry.source.records()
        if request.limit:
            records = islice(records, max(0, request.limit - number))
        size = max(1, CHUNK // 10)
        while chunk := list(islice(records, size)):
            rows = _convert(chunk, entry, tools, file=file, first=number + 1)
            with tools.ledger.transaction():
                _spool(run, rows, tools, export=export)
            size = _rows_together(rows)
            number += len(chunk)
            of_limit = number / request.limit if request.limit else 0.0
            tools.progress.advance(number - before, max(entry.source.progress(), of_limit))
            await asyncio.sleep(0)  # where Ctrl-C takes effect
        entry.convert.forget()
    forget_valid()
    tools.tidy()
    with tools.ledger.transaction():
        _park_conflicts(run, tools)


def _rows_together(rows: Sequence[_Row]) -> int:
    """Return how many rows like these have as many doses as are taken together; a wide row has a dozen."""
    doses = sum(len(row.result.doses) for row in rows if isinstance(row.result, Converted))
    return max(1, min(CHUNK, CHUNK * len(rows) // max(1, doses)))


def _convert(
    chunk: Sequence[SourceRecord | UnreadableRow], entry: LoadInput, tools: LoadTools, *, file: int, first: int
) -> list[_Row]:
    restored = list(niks_restored(chunk, tools.ledger))
    nobodys = tools.ledger.verdicts.nobodys_niks()
    rows = []
    for number, record, read in zip(count(first), restored, converted(restored, entry.convert), strict=False):
        numeric = record.numeric if isinstance(record, SourceRecord) else frozenset()
        result = _without_nobodys(read, nobodys) if nobodys else read
        rows.append(_Row(number, file, record.ref.row, result, _person(result), numeric))
    return rows


def _without_nobodys(result: Converted | Rejected, niks: frozenset[str]) -> Converted | Rejected:
    """Return a row without the NIKs of which an operator said that they are nobody's."""
    if isinstance(result, Rejected):
        return result
    patient = without_nik(result.patient, niks)
    return result if patient is result.patient else result._replace(patient=patient, fingerprint="")


def _person(result: Converted | Rejected) -> str:
    """Return the digest of a record's Patient, as of all its rows; who was rejected has none."""
    if isinstance(result, Rejected):
        return ""
    return result.fingerprint[:DIGITS] or digest(result.patient)


def _spool(run: Run, rows: Sequence[_Row], tools: LoadTools, *, export: _Export) -> None:
    ledger = tools.ledger
    people = {row.person: row.result.patient for row in rows if isinstance(row.result, Converted)}
    numbers = ledger.spool.people(run, people)
    read = [_record(row, numbers) for row in rows]
    known = ledger.keys.known(record.key for record in read if record.key)
    records = kept_apart(read, known, ledger)
    known |= ledger.keys.known({record.key for record in records} - {record.key for record in read})
    refused = ledger.verdicts.rejections(record.key for record in records if record.key)
    spooled: list[tuple[SpooledRecord, Settlement | None]] = []
    unmapped: list[UnmappedValue] = []
    niks: list[tuple[str, str, str]] = []
    for row, record in zip(rows, records, strict=True):
        settled = (
            rejection(row.number, row.result.problems)
            if isinstance(row.result, Rejected)
            else _settled_already(record, known.get(record.key), refused, export)
        )
        spooled.append((record, settled))
        unmapped.extend(row.result.unmapped)
        niks.extend(niks_to_remember(record.key, row.result.nik_cells, row.numeric))
    ledger.spool.add(run, spooled)
    ledger.runs.count_unmapped(run, unmapped)
    if run.kind is not RunKind.DRY_RUN:
        remember_niks(niks, ledger)


def _record(row: _Row, numbers: dict[str, int]) -> SpooledRecord:
    result = row.result
    if isinstance(result, Rejected):
        return SpooledRecord(row.number, row.file, row.row, result.key, "", "", 0, {}, (), ())
    return SpooledRecord(
        row.number,
        row.file,
        row.row,
        result.key,
        result.clinic,
        content_digest(result.patient, result.doses, result.missing),
        numbers[row.person],
        result.patient,
        result.doses,
        result.missing,
        result.corrected,
    )


def rejection(number: int, problems: Sequence[Problem]) -> Settlement:
    """Return the settlement of a row with these problems: all texts, each once."""
    return Settlement(
        number=number,
        outcome=Outcome.REJECTED,
        code=leading_code(problems),
        reason="; ".join(dict.fromkeys(_told(problem) for problem in problems)),
        suggestion="; ".join(dict.fromkeys(problem.suggestion for problem in problems if problem.suggestion)),
    )


def leading_code(problems: Sequence[Problem]) -> str:
    """Return the code under which a row is counted: the first of a problem about which something has to be done."""
    return min(problems, key=lambda problem: problem.code in RIGHTLY_REJECTED).code


def missing_text(dose: MissingDose) -> str:
    """Return the reason why a dose of a wide row is missing, naming the dose."""
    return f"{dose.name}: {dose.problem.text}" if dose.name else dose.problem.text


def _told(problem: Problem) -> str:
    return f"{problem.column}: {problem.text}" if problem.column else problem.text


def _settled_already(
    record: SpooledRecord, known: KnownKey | None, refused: dict[tuple[str, str], str], export: _Export
) -> Settlement | None:
    if (record.key, record.content) in refused:
        reason = refused[record.key, record.content]
        return Settlement(record.number, Outcome.REJECTED, "operator-rejected", f"an operator rejected it: {reason}")
    if known is None or not (known.content or known.doses):
        return None
    ids = tuple(known.doses.values())
    if known.content == record.content:
        return Settlement(record.number, Outcome.UNCHANGED, "", "", "", known.patient_id, ids)
    replaced = export.again and record.content in known.earlier
    if (replaced or export.modified < known.exported) and not record.corrected:
        told = (_REPLACED, _IF_RIGHT) if replaced else (_OLDER, _IF_NEWER)
        return Settlement(record.number, Outcome.UNCHANGED, "older-export", *told, known.patient_id, ids)
    return None


def _park_conflicts(run: Run, tools: LoadTools) -> None:
    conflicting = iter(tools.ledger.spool.conflicts(run))
    while keys := list(islice(conflicting, CHUNK)):
        found: dict[str, list[SpooledRecord]] = {key: [] for key in keys}
        for record in tools.ledger.spool.records_with(run, keys):
            found[record.key].append(record)
        for records in filter(None, found.values()):
            _park_conflict(run, records, tools)


def _of_several_exports(records: Sequence[SpooledRecord]) -> bool:
    """Return whether each file has one content only of a key's rows that differ: then a later one may correct an earlier one."""
    files = {record.file for record in records}
    return len(files) > 1 and len({(record.file, record.content) for record in records}) == len(files)


def _park_conflict(run: Run, records: Sequence[SpooledRecord], tools: LoadTools) -> None:
    text = "the same record stands in this load more than once, with different contents"
    suggestion = _ONE_BY_ONE if _of_several_exports(records) else _ONE_IS_WRONG
    tools.ledger.spool.settle(
        run, [Settlement(r.number, Outcome.REVIEW, "key-conflict", text, suggestion) for r in records]
    )
    tools.ledger.reviews.ask(
        run,
        records,
        kind=ReviewKind.KEY,
        code="key-conflict",
        text=text,
        suggestion=suggestion,
        opened=tools.clock.now(),
    )
