"""NIKs that a spreadsheet damages in a report are those of the ledger again when the report is loaded."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from fhir_gateway.domain.records import SourceRecord, UnreadableRow
from fhir_gateway.mapping.conversion import GATEWAY_KEY
from fhir_gateway.people.nik import NikStatus, may_be_made_of, read_nik
from fhir_gateway.ports import Ledger

_CHUNK = 250

_AS_NUMBER = "\x1fnumber"
"""Behind a column's name in the ledger: what stood there was stored as a number."""


def niks_restored(
    records: Iterable[SourceRecord | UnreadableRow], ledger: Ledger
) -> Iterator[SourceRecord | UnreadableRow]:
    """Yield the rows of a file as a load reads them, their NIKs restored where they come from a report."""
    rows = iter(records)
    while chunk := list(islice(rows, _CHUNK)):
        fed_back = [key for record in chunk if (key := _key(record))]
        niks = ledger.keys.niks(fed_back) if fed_back else {}
        for record in chunk:
            remembered = niks.get(_key(record))
            yield _restored(record, remembered) if remembered and isinstance(record, SourceRecord) else record


def remember_niks(cells: Sequence[tuple[str, str, str]], ledger: Ledger) -> None:
    """Keep (key, column, text) of rows' NIKs for when their report is read; what is damaged never replaces what is whole."""
    suspicious = {key for key, _, text in cells if read_nik(text).status is NikStatus.TRUNCATED}
    before = ledger.keys.niks(suspicious) if suspicious else {}

    def is_worse(key: str, column: str, text: str) -> bool:
        was = read_nik(before.get(key, {}).get(column, ""))
        now = read_nik(text)
        return was.writable and now.status is NikStatus.TRUNCATED and may_be_made_of(now, was.digits)

    ledger.keys.remember_niks([cell for cell in cells if not is_worse(*cell)])


def niks_to_remember(
    key: str, nik_cells: Iterable[tuple[str, str]], numeric: frozenset[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield (key, column, text) of a row's NIKs, by which its report is read again; `numeric` as in SourceRecord."""
    for column, text in nik_cells if key else ():
        nik = read_nik(text, numeric=column in numeric)
        if column in numeric and nik.status is NikStatus.TRUNCATED:
            yield key, f"{column}{_AS_NUMBER}", text
        elif nik.writable:
            yield key, column, text


def _key(record: SourceRecord | UnreadableRow) -> str:
    return record.cells.get(GATEWAY_KEY, "") if isinstance(record, SourceRecord) else ""


def _restored(record: SourceRecord, remembered: dict[str, str]) -> SourceRecord:
    """Return the record with NIKs restored that a spreadsheet has damaged since the report was written.

    A cell is restored only where what is left agrees with what the ledger remembers for the row's key. One
    that was a number at first is one again: a report as CSV knows no numbers, and must not make a whole NIK of it.
    """
    restored: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for remembered_as, text in remembered.items():
        column = remembered_as.removesuffix(_AS_NUMBER)
        cell = record.cells.get(column, "")
        now = read_nik(cell, numeric=column in record.numeric)
        if column != remembered_as:
            if (
                column not in remembered
                and column not in record.numeric
                and now.trusted
                and text.startswith(now.trusted)
            ):
                numbers[column] = text
            continue
        was = read_nik(text)
        altered = column in record.numeric or cell.strip() != text.strip()
        damaged = altered and now.status is NikStatus.TRUNCATED and now.trusted
        if damaged and was.writable and may_be_made_of(now, was.digits):
            restored[column] = text
    if not restored and not numbers:
        return record
    numeric = record.numeric.difference(restored).union(numbers)
    return record._replace(cells={**record.cells, **restored, **numbers}, numeric=numeric)
