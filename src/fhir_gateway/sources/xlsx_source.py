"""XLSX files: the sheet is named, or found by its header, which may stand below title rows; rows are streamed."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout, SourceRecord, SourceRef, UnreadableRow
from fhir_gateway.sources.columns import HEADER_WITHIN, Header, best_header, column_key, fitting_headers, misfit
from fhir_gateway.sources.csv_rows import BrokenRow
from fhir_gateway.sources.file_source import FileSource
from fhir_gateway.sources.xlsx_cells import EMPTY, Cell, as_counted_from_1900
from fhir_gateway.sources.xlsx_workbook import Sheet, Workbook


class XlsxSource(FileSource):
    """An opened sheet of a workbook; cells right of the header's last column are no part of the table."""

    def __init__(self, path: Path, header: Header, *, workbook: Workbook, sheet: Sheet) -> None:
        super().__init__(path, header)
        self._workbook = workbook
        self._sheet = sheet
        self._title_rows = header.row + 1
        self._dates = header.layout.dates if workbook.counts_from_1904 else frozenset()

    def position(self) -> int:
        """Return the number of the sheet's bytes read."""
        return self._workbook.position

    def extent(self) -> int:
        """Return the sheet's unpacked size."""
        return self._sheet.size

    def _rows(self) -> Iterator[SourceRecord | UnreadableRow]:
        width, number = len(self.keys), 0
        for row in itertools.islice(self._workbook.rows(self._sheet), self._title_rows, None):
            cells = row if isinstance(row, BrokenRow) else (row + [EMPTY] * (width - len(row)))[:width]
            if not isinstance(cells, BrokenRow) and not any(cell.lost or cell.text.strip() for cell in cells):
                continue
            number += 1
            yield self._record(SourceRef(self.path.name, number), cells)

    def _record(self, ref: SourceRef, cells: list[Cell] | BrokenRow) -> SourceRecord | UnreadableRow:
        if isinstance(cells, BrokenRow):
            return UnreadableRow(ref, cells.text, cells.problem)
        if self._dates:
            cells = [
                as_counted_from_1900(cell) if key in self._dates else cell
                for key, cell in zip(self.keys, cells, strict=True)
            ]
        keys = self.keys
        numeric = frozenset([key for key, cell in zip(keys, cells, strict=True) if cell.numeric])
        lost = frozenset([key for key, cell in zip(keys, cells, strict=True) if cell.lost])
        return SourceRecord(ref, {key: cell.text for key, cell in zip(keys, cells, strict=True)}, numeric, lost=lost)


@dataclass(frozen=True, slots=True)
class _Fit:
    header: Header
    sheet: Sheet
    has_data: bool

    @property
    def holds_doses(self) -> bool:
        """Whether its columns may hold doses."""
        doses = self.header.layout.doses
        return not doses or not doses.isdisjoint(self.header.keys)


def open_xlsx(path: Path, layouts: Sequence[Layout], *, sheet: str, others: Sequence[Layout]) -> XlsxSource:
    """Open a workbook; raises SourceError where no sheet fits a layout, or several do."""
    workbook = Workbook(path)
    sheets = _asked_for(path, workbook, sheet)
    fits: list[_Fit] = []
    widest: list[list[str]] = []
    for each in sheets:
        rows = _sample(workbook, each)
        named_here = [layout for layout in layouts if _may_use(layout, each, sheets)]
        fits.extend(_Fit(header, each, len(rows) > header.row + 1) for header in fitting_headers(rows, named_here))
        widest = max(widest, rows, key=lambda table: max(map(len, table), default=0))
    if not fits and not widest:
        raise SourceError(f"{path}: its sheets are empty" if sheets else f"{path}: has no sheet that can be read")
    if not fits:
        error = misfit(str(path), widest, layouts, others=others)
        hidden = "" if sheet else ", ".join(f"'{each.name}'" for each in workbook.sheets if each.hidden)
        raise SourceError(f"{error}; hidden, so not looked at: {hidden}") if hidden else error
    fit = _best(path, fits)
    return XlsxSource(path, fit.header, workbook=workbook, sheet=fit.sheet)


def _asked_for(path: Path, workbook: Workbook, name: str) -> list[Sheet]:
    if not name:
        return [sheet for sheet in workbook.sheets if not sheet.hidden]
    named = [sheet for sheet in workbook.sheets if column_key(sheet.name) == column_key(name)]
    if not named:
        raise SourceError(f"{path}: has no sheet '{name}', only {', '.join(sheet.name for sheet in workbook.sheets)}")
    return named


def _may_use(layout: Layout, sheet: Sheet, sheets: Sequence[Sheet]) -> bool:
    """Tell whether the layout's own sheet is this one, or not in the workbook at all (a report has but one sheet)."""
    wanted = column_key(layout.sheet)
    return column_key(sheet.name) == wanted or wanted not in {column_key(each.name) for each in sheets}


def _sample(workbook: Workbook, sheet: Sheet) -> list[list[str]]:
    rows = itertools.islice(workbook.rows(sheet), HEADER_WITHIN)
    return [[] if isinstance(row, BrokenRow) else [cell.text for cell in row] for row in rows]


def _best(path: Path, fits: Sequence[_Fit]) -> _Fit:
    """Return the best fit among the sheets with rows; raises SourceError where another sheet's rows would be passed over.

    Those of a sheet without a column for doses are no such rows: lists of persons stand beside many a cohort.
    """
    filled = [fit for fit in fits if fit.has_data] or fits
    header = best_header([fit.header for fit in filled], str(path))
    best = next(fit for fit in filled if fit.header is header)
    names = dict.fromkeys(fit.sheet.name for fit in filled if fit.holds_doses or not best.holds_doses)
    if best.has_data and len(names) > 1:
        listed = ", ".join(f"'{name}'" for name in names)
        raise SourceError(
            f"{path}: the sheets {listed} all hold rows that could be read, and one sheet of a file is: save each as a"
            " file of its own, or name one as the mapping's `sheet`"
        )
    return best
