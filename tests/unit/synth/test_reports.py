import json

import openpyxl
import pytest

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.synth.reports import ReportedRow, read_report

HEADER = ["Nama", "gateway_row", "gateway_status", "gateway_reason", "patient_id", "immunization_ids", "match_grade"]
ROWS = [["Ani", "1", "loaded", "", "12", "i1 i2", "certain"], ["", "2", "review", "doubtful", "", "", "possible"]]
EXPECTED = [
    ReportedRow(1, "loaded", "12", ("i1", "i2"), "certain", ""),
    ReportedRow(2, "review", "", (), "possible", "doubtful"),
]


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8")])
def test_csv_is_read_with_its_delimiter(tmp_path, delimiter, encoding):
    path = tmp_path / "report.csv"
    path.write_text("\n".join(delimiter.join(row) for row in [HEADER, *ROWS]), encoding=encoding)
    assert list(read_report(path)) == EXPECTED


def test_ndjson_is_read(tmp_path):
    path = tmp_path / "report.ndjson"
    lines = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    lines[0]["gateway_row"], lines[0]["immunization_ids"] = 1, ["i1", "i2"]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert list(read_report(path)) == EXPECTED


def test_xlsx_is_read_below_its_title_rows(tmp_path):
    path = tmp_path / "report.xlsx"
    book = openpyxl.Workbook()
    for row in [["KOHORT"], [], HEADER, *ROWS]:
        book.active.append(row)
    book.active.cell(row=4, column=2).value = 1
    book.save(path)
    assert list(read_report(path)) == EXPECTED


def test_a_row_of_a_workbook_ends_with_its_last_filled_cell(tmp_path):
    path = tmp_path / "report.xlsx"
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in [HEADER, ["Ani", "1", "rejected", "broken"]]:
        sheet.append(row)
    book.save(path)
    assert list(read_report(path)) == [ReportedRow(1, "rejected", reason="broken")]


@pytest.mark.parametrize("rows", [[], [["a", "b"], ["1", "2"]]])
def test_a_workbook_without_the_gateways_columns_is_no_report(tmp_path, rows):
    path = tmp_path / "export.xlsx"
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    with pytest.raises(SourceError, match="no column gateway_row"):
        list(read_report(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column gateway_row"),
        ("a,b\n", "no column gateway_row"),
        ("a,b\n1,2\n", "no column gateway_row"),
        (",".join(HEADER) + "\nAni,²,loaded,,1,,\n", "must be a number"),
        (",".join(HEADER) + "\nAni,x,loaded,,1,,\n", "must be a number"),
        (",".join(HEADER) + "\nAni,1,done,,1,,\n", "one of loaded"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, message):
    path = tmp_path / "report.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=message):
        list(read_report(path))


@pytest.mark.parametrize("name", ["report.csv", "report.xlsx", "report.ndjson"])
def test_a_missing_report_is_named(tmp_path, name):
    with pytest.raises(SourceError, match=name):
        list(read_report(tmp_path / name))


def test_a_damaged_workbook_is_refused(tmp_path):
    path = tmp_path / "report.xlsx"
    path.write_bytes(b"no archive")
    with pytest.raises(SourceError, match="XLSX"):
        list(read_report(path))
