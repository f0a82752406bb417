"""Write a table of the gateway's own as a workbook, columns as wide as what stands in them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from fhir_gateway.reports.xlsx_report import SheetCells, saved_book

_LAST_ROW = 1_048_576
_NARROWEST, _WIDEST = 10, 45


def write_sheet(
    columns: Sequence[str], rows: Iterable[Sequence[str]], path: Path, *, choices: Mapping[str, Sequence[str]]
) -> None:
    """Write the rows under their columns, all cells as text; `choices` are column → the words that it offers."""
    table = list(rows)
    with saved_book(path) as book:
        sheet = book.create_sheet("Sheet")
        sheet.freeze_panes = "A2"
        for place, name in enumerate(columns):
            longest = max((len(line) for row in table for line in row[place].split("\n")), default=0)
            letter = get_column_letter(place + 1)
            sheet.column_dimensions[letter].width = min(_WIDEST, max(_NARROWEST, len(name), longest)) + 2
            if name in choices:
                offered = DataValidation(type="list", formula1=f'"{",".join(choices[name])}"', allow_blank=True)
                offered.add(f"{letter}2:{letter}{_LAST_ROW}")
                sheet.data_validations.append(offered)
        cells = SheetCells(sheet)
        sheet.append(cells.texts(columns))
        for row in table:
            sheet.append(cells.texts(row))
