"""Tables of the gateway's own, as a spreadsheet program can open them."""

import csv

import pytest
from openpyxl import load_workbook

from fhir_gateway.reports import write_table

LONGEST = 32_767
"""UTF-16 units of a cell."""


def cells(path):
    if path.suffix == ".xlsx":
        return [list(row) for row in load_workbook(path).active.iter_rows(values_only=True)]
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("text", ["x" * 100_000, "=" * LONGEST, "x" + "😀" * 20_000])
def test_what_no_cell_can_hold_is_cut_off_and_says_so(tmp_path, kind, text):
    path = tmp_path / f"table.{kind}"
    write_table(("long", "after"), [(text, "whole")], path)
    _, (long, after) = cells(path)
    assert len(long.encode("utf-16-le")) // 2 <= LONGEST
    assert long.removeprefix("'").startswith(text[:16_000])
    assert (long.endswith("(cut off here)"), after) == (True, "whole")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_a_cell_can_hold_stays_whole(tmp_path, kind):
    path = tmp_path / f"table.{kind}"
    text = "x" * (LONGEST - 1)
    write_table(("long",), [(text,)], path)
    assert cells(path)[1] == [text]
