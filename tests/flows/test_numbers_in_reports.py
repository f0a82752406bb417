"""Numbers that a sheet holds as such, or that a spreadsheet makes of a report's cells, and the report that comes back."""

import json

import pytest
from openpyxl import Workbook, load_workbook
from tests.flows.conftest import RATNA
from tests.flows.test_load import counts


@pytest.mark.parametrize("kind", ["csv", "xlsx", "ndjson"])
@pytest.mark.parametrize(("number", "whole"), [(3303015203200003, ["3303015203200003"]), (3303015203200010, [])])
def test_a_nik_that_was_a_number_is_as_whole_in_the_report_that_comes_back(place, number, whole, kind):
    book = Workbook()
    book.active.append(["Nama Lengkap", "NIK", "L/P", "Tgl Lahir", "Tgl Vaksin", "Vaksin"])
    book.active.append(["Ratna Fiktif", number, "P", "12/03/2020", "15/06/2020", "BCG"])
    book.save(place.home / "numbers.xlsx")
    report, second = place.home / f"report.{kind}", place.home / f"second.{kind}"
    assert place.run("load", place.home / "numbers.xlsx", "--report", report)[0] == 0
    assert counts(place.load(report, "--report", second)) == {"unchanged": 1}
    assert counts(place.load(second)) == {"unchanged": 1}
    (patient,) = place.content()[0].values()
    assert [i["value"] for i in patient["identifier"] if i["system"].endswith("/nik")] == whole


@pytest.mark.parametrize("damaged", ["3.30302E+15", "3303015203200000"])
def test_a_nik_that_was_restored_stands_whole_in_the_next_report(place, damaged):
    first, second = place.home / "first.csv", place.home / "second.csv"
    assert place.run("load", place.sheet(RATNA), "--report", first)[0] == 0
    assert "3303015203200003" in first.read_text("utf-8-sig")
    first.write_text(first.read_text("utf-8-sig").replace("3303015203200003", damaged), "utf-8")
    assert counts(place.load(first, "--report", second)) == {"unchanged": 1}
    assert place.report(second)[0]["NIK"] == "3303015203200003"


@pytest.mark.parametrize("damaged", ["3303015203200020", "3.30301520320002E+15", "3303015203200010", "3.30302E+15"])
def test_a_nik_may_have_been_rounded_or_cut_off_and_neither_is_remembered(place, damaged):
    first, again, second = place.home / "first.csv", place.home / "again.csv", place.home / "second.csv"
    assert place.run("load", place.sheet(RATNA.replace("0003;", "0017;")), "--report", first)[0] == 0
    whole = first.read_text("utf-8-sig")
    again.write_text(whole.replace("3303015203200017", "3303015203200020"), "utf-8")
    assert counts(place.load(again)) == {"unchanged": 1}
    next_export = place.sheet(RATNA.replace("0003;", "0020;"))  # damaged itself
    assert counts(place.load(next_export)) == {"loaded": 1}
    place.run("load", place.sheet(RATNA.replace("0003;", "0099;")), "--dry-run")
    first.write_text(whole.replace("3303015203200017", damaged), "utf-8")
    assert counts(place.load(first, "--report", second)) == {"loaded": 1}
    assert place.report(second)[0]["NIK"] == "3303015203200017"
    (patient,) = place.content()[0].values()
    assert [i["value"] for i in patient["identifier"] if i["system"].endswith("/nik")] == ["3303015203200017"]


@pytest.mark.parametrize("damaged", ['"3.30302E+15"', "3.30302E+15", "3303015203200000"])
def test_a_nik_that_was_restored_stands_whole_in_the_next_report_as_ndjson(place, damaged):
    first, second = place.home / "first.ndjson", place.home / "second.ndjson"
    assert place.run("load", place.sheet(RATNA), "--report", first)[0] == 0
    assert '"3303015203200003"' in first.read_text("utf-8")
    first.write_text(first.read_text("utf-8").replace('"3303015203200003"', damaged), "utf-8")
    assert counts(place.load(first, "--report", second)) == {"unchanged": 1}
    assert json.loads(second.read_text("utf-8"))["NIK"] == "3303015203200003"


def test_a_nik_that_really_ends_in_0_is_whole_again_after_a_spreadsheet_has_made_a_number_of_it(place):
    report = place.home / "report.xlsx"
    assert place.run("load", place.sheet(RATNA.replace("0003;", "0010;")), "--report", report)[0] == 0
    book = load_workbook(report)
    cells = {name.value: cell for name, cell in zip(book.active[1], book.active[2], strict=True)}
    cells["NIK"].value, cells["NIK"].number_format = 3303015203200010, "General"
    book.save(report)
    assert counts(place.load(report)) == {"unchanged": 1}


@pytest.mark.parametrize("kind", ["csv", "xlsx", "ndjson"])
def test_a_line_break_in_a_cell_is_no_change_however_the_report_writes_it(place, kind):
    sheet, report = place.sheet(), place.home / f"report.{kind}"
    sheet.write_bytes(sheet.read_bytes() + RATNA.replace("Bukateja", '"RT 1\r\nBukateja"').encode() + b"\r\n")
    assert place.run("load", sheet, "--report", report)[0] == 0
    assert counts(place.load(report)) == {"unchanged": 1}
