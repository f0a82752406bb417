"""`convert`, wired: a file, its mapping, an NDJSON file and a report."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from struct import pack, unpack
from typing import BinaryIO

from fhir_gateway.bootstrap.collecting import no_collections
from fhir_gateway.bootstrap.inputs import open_inputs
from fhir_gateway.bootstrap.views import Summary
from fhir_gateway.domain.errors import InterruptedRunError, ReportError
from fhir_gateway.domain.outcomes import RowOutcome
from fhir_gateway.flows.convert import Claim, ConversionBooks, convert
from fhir_gateway.flows.load import LoadInput
from fhir_gateway.mapping.concept_maps import by_spelling
from fhir_gateway.ports import Progress, Source
from fhir_gateway.reports import check_target, check_writable, is_same_file, unwritten, whole_file, write_report
from fhir_gateway.settings import EMBEDDED, home, load_environment

_RESOURCES = "the resources"
_ROWS_BETWEEN_NEWS = 1000
_MARKS = 1 << 24
_STORED_AT_ONCE = 4096
_STORE = """
    WITH RECURSIVE place (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM place WHERE (n + 1) * 16 < length(:ids))
    INSERT INTO seen SELECT substr(:ids, n * 16 + 1, 16), substr(:contents, n * 8 + 1, 8) FROM place
"""
"""Ids of 16 bytes, and 8 of each one's content, from values that hold them all: a third of the time of a statement for each."""

_WRITTEN_AT_ONCE = 1 << 18
"""Bytes."""


class Conversion:
    """One file to convert; of the environment only the time zone and the clinics are used."""

    def __init__(self, file: Path, *, mapping: str, clinic: str, limit: int, environment: str = EMBEDDED) -> None:
        settings = load_environment(environment, home())
        inputs = open_inputs([file], mapping=mapping, clinic=clinic, environment=settings, now=datetime.now(UTC))
        self._entry: LoadInput = inputs[0]
        self._limit = limit

    @property
    def mapping(self) -> str:
        """The mapping's name."""
        return self._entry.mapping

    @property
    def source(self) -> Source:
        """The opened file."""
        return self._entry.source

    def run(self, out: Path, report: Path | None, progress: Progress) -> ConversionBooks:
        """Write the resources to `out` and the rows' outcomes to `report`; raises ReportError where it cannot, InterruptedRunError where the disk is full."""
        source = self._entry.source
        check_writable(out, [source.path])
        if report:
            check_target(report, [source.path])
        if report and is_same_file(report, out):
            raise ReportError(f"{report}: is where the resources go: name another file")
        books = ConversionBooks()
        progress.phase(f"converting {source.path.name}")
        try:
            with (
                no_collections(),
                whole_file(out, _RESOURCES) as part,
                part.open("wb", buffering=_WRITTEN_AT_ONCE) as file,
                closing(_Seen()) as seen,
            ):

                def write(resources: Sequence[bytes]) -> None:
                    try:
                        file.write(b"\n".join([*resources, b""]))
                    except OSError as error:
                        raise unwritten(out, _RESOURCES, error) from error

                outcomes = convert(self._entry, write, take=seen.take, books=books, limit=self._limit)
                told = self._telling(outcomes, progress)
                if report:
                    write_report(source, self._when_flushed(told, file, out), report)
                for _ in told:
                    pass
        except sqlite3.Error as error:
            raise InterruptedRunError(f"the ids that were written cannot be remembered: {error}") from error
        return books

    @staticmethod
    def _when_flushed(outcomes: Iterator[RowOutcome], file: BinaryIO, out: Path) -> Iterator[RowOutcome]:
        """Yield the outcomes, and end only when the resources are written: no report tells of others."""
        yield from outcomes
        try:
            file.flush()
        except OSError as error:
            raise unwritten(out, _RESOURCES, error) from error

    @staticmethod
    def summary(books: ConversionBooks, seconds: float) -> Summary:
        """Return the books with the reasons and the unmapped values in order, the most frequent first."""
        reasons = dict(sorted(books.reasons.items(), key=lambda item: (-item[1], item[0])))
        unmapped = by_spelling(books.unmapped.items())
        return Summary(0, books.read, books.outcomes, reasons, books.texts, unmapped, seconds)

    def _telling(self, outcomes: Iterator[RowOutcome], progress: Progress) -> Iterator[RowOutcome]:
        for number, outcome in enumerate(outcomes, start=1):
            yield outcome
            if number % _ROWS_BETWEEN_NEWS == 0:
                of_limit = number / self._limit if self._limit else 0.0
                progress.advance(number, max(self._entry.source.progress(), of_limit))


class _Seen:
    """Remembers millions of ids with what stands for their contents on disk, in a temporary file that goes with it.

    Nearly all ids are new, and marks in memory say so without asking the file: an id whose mark is not set was never
    given. New ids are stored many at a time, so that not every row drives its own code out of the processor's caches.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("PRAGMA cache_size=-8000")
        self._database.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID")
        self._database.execute("BEGIN")
        self._marks = bytearray(_MARKS // 8)
        self._waiting: dict[str, int] = {}

    def take(self, claims: Iterable[Claim]) -> tuple[set[str], set[Claim]]:
        """Return the ids (32 hex digits) that are given for the first time, and claims of one that has another content."""
        marks, count, waiting = self._marks, _MARKS, self._waiting
        new: set[str] = set()
        conflicts: set[Claim] = set()
        for claim in claims:
            each, content = claim
            mark = hash(each) % count
            place, bit = mark >> 3, 1 << (mark & 7)
            if marks[place] & bit:
                known = waiting.get(each)
                if known is None:
                    known = self._stored(each)
                if known is not None:
                    if known != content:
                        conflicts.add(claim)
                    continue
            marks[place] |= bit
            waiting[each] = content
            new.add(each)
        if len(waiting) >= _STORED_AT_ONCE:
            self._store()
        return new, conflicts

    def _stored(self, each: str) -> int | None:
        found = self._database.execute("SELECT content FROM seen WHERE id = ?", (bytes.fromhex(each),)).fetchone()
        return int(unpack(">q", found[0])[0]) if found else None

    def _store(self) -> None:
        ids = sorted(self._waiting)
        contents = pack(f">{len(ids)}q", *map(self._waiting.__getitem__, ids))
        self._database.execute(_STORE, {"ids": bytes.fromhex("".join(ids)), "contents": contents})
        self._waiting.clear()

    def close(self) -> None:
        self._database.close()
