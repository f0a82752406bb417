import csv
import gc
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from fhir_gateway.domain.errors import InterruptedRunError, ReportError
from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.reports import check_target, write_report
from fhir_gateway.reports.csv_report import harmless
from fhir_gateway.reports.rows import GATEWAY_COLUMNS, own_columns
from fhir_gateway.reports.xlsx_report import saved_book

LOADED = RowOutcome(1, Outcome.LOADED, "", "", "p1", ("i1", "i2"), "certain", "k1")
REJECTED = RowOutcome(2, Outcome.REJECTED, "no NIK", "=write it", key="k2")


def _read_csv(path: Path, delimiter: str = ";") -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=delimiter))


def test_csv_keeps_rows_order_and_delimiter_and_adds_the_contracts_columns(opened, tmp_path):
    source = opened("Judul\nNama;NIK;Desa\n\nAni;1;x\nBudi;;y\n")
    write_report(source, iter([LOADED, REJECTED]), tmp_path / "out.csv")
    assert _read_csv(tmp_path / "out.csv") == [
        ["Nama", "NIK", "Desa", *GATEWAY_COLUMNS],
        ["Ani", "1", "x", "1", "loaded", "", "", "p1", "i1 i2", "certain", "k1"],
        ["Budi", "", "y", "2", "rejected", "no NIK", "'=write it", "", "", "", "k2"],
    ]


@pytest.mark.parametrize(
    ("encoding", "marked"), [("utf-8", False), ("utf-8-sig", True), ("cp1252", True), ("utf-16", True)]
)
def test_csv_begins_with_a_mark_unless_the_input_was_utf8_without(opened, tmp_path, encoding, marked):
    source = opened("Nama;NIK\nRenée;1\n".encode(encoding))
    write_report(source, iter([LOADED]), tmp_path / "out.csv")
    content = (tmp_path / "out.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf") is marked
    assert "Renée" in content.decode()


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *[("=1+1", "'=1+1"), ("+62812", "'+62812"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx")],
        *[("-", "-"), ("", ""), ("a=1", "a=1"), ("'x", "'x")],
    ],
)
def test_cells_that_a_spreadsheet_would_run_get_an_apostrophe(cell, written):
    assert harmless(cell) == written


def test_unreadable_rows_stand_with_their_text_in_the_first_column(opened, tmp_path):
    source = opened(b"Des\xc3\xa9mber\nNama;NIK\nBu\xffdi;1\nAni\n=Citra;1;2\nDe\0wi;1\n")
    broken = [RowOutcome(row, Outcome.REJECTED, "unreadable") for row in range(1, 5)]
    write_report(source, iter(broken), tmp_path / "out.csv")
    first = [row[0] for row in _read_csv(tmp_path / "out.csv")[1:]]
    assert first == ["Bu�di;1", "Ani", "'=Citra;1;2", "De�wi;1"]


def test_rows_that_were_not_loaded_stand_without_a_status(opened, tmp_path):
    write_report(opened("Nama;NIK\nAni;1\nBudi;2\nCitra;3\n"), iter([REJECTED]), tmp_path / "out.csv")
    assert [row[2:4] for row in _read_csv(tmp_path / "out.csv")[1:]] == [["1", ""], ["2", "rejected"], ["3", ""]]


@pytest.mark.parametrize("extension", ["csv", "xlsx", "ndjson"])
def test_a_report_fed_back_keeps_its_key_and_gets_its_columns_only_once(opened, reopened, tmp_path, extension):
    source = opened("Nama;NIK;HP\n=Ani;0001;+62812\nBudi;2;-\n")
    first, second = tmp_path / f"first.{extension}", tmp_path / f"second.{extension}"
    write_report(source, iter([LOADED, REJECTED]), first)
    again = reopened(first)
    rows = list(again.records())
    assert [row.cells["gateway_key"] for row in rows] == ["k1", "k2"]
    assert [row.cells["HP"] for row in rows] == ["+62812", "-"]
    assert rows[0].cells["Nama"] == "=Ani"
    write_report(again, iter([LOADED, REJECTED]), second)
    assert reopened(second).header == again.header == ("Nama", "NIK", "HP", *GATEWAY_COLUMNS)
    assert [dict(row.cells) for row in reopened(second).records()] == [dict(row.cells) for row in rows]


def test_an_inputs_own_patient_id_is_no_column_of_a_report():
    assert own_columns(["Nama", "patient_id"]) == (0, 1)
    assert own_columns(["patient_id", "Nama", *GATEWAY_COLUMNS]) == (0, 1)
    assert own_columns(["Nama", "Gateway_Key", "match_grade"]) == (0,)


def test_xlsx_writes_everything_as_text(opened, tmp_path):
    source = opened("Nama;NIK;HP\n=SUM(A1);3303120101900001;0812\n")
    write_report(source, iter([LOADED]), tmp_path / "out.xlsx")
    row = list(load_workbook(tmp_path / "out.xlsx").active.rows)[1]
    assert [cell.value for cell in row[:3]] == ["=SUM(A1)", "3303120101900001", "0812"]
    assert {(cell.data_type, cell.number_format) for cell in row if cell.value is not None} == {("s", "@")}


def _workbook_with_numbers(nik: int) -> bytes:
    book = Workbook()
    book.active.append(["Nama", "NIK", "HP"])
    book.active.append(["Ani", nik, 81234567])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("nik", [3303120101900120, 3303120101900123])
def test_an_identifier_that_was_a_number_is_text_with_all_its_digits(opened, reopened, tmp_path, nik):
    source = opened(_workbook_with_numbers(nik))
    write_report(source, iter([LOADED]), tmp_path / "out.xlsx")
    row = next(iter(reopened(tmp_path / "out.xlsx").records()))
    assert (row.cells["NIK"], row.cells["HP"], row.numeric) == (str(nik), "81234567", frozenset())
    write_report(source, iter([LOADED]), tmp_path / "out.csv")
    assert _read_csv(tmp_path / "out.csv", ",")[1][1:3] == [str(nik), "81234567"]


def test_ndjson_keeps_types_and_digits_of_an_ndjson_input(opened, tmp_path):
    line = '{"nama":"Ani","NIK":3303120101900123,"x":0.50,"y":[1,{"z":null}],"w":true}'
    write_report(opened(line + '\n{"Nama":\n', name="input.ndjson"), iter([LOADED]), tmp_path / "out.ndjson")
    first, second = (tmp_path / "out.ndjson").read_text().splitlines()
    assert first.startswith(line.removesuffix("}") + ',"gateway_row":1,"gateway_status":"loaded"')
    assert json.loads(second)["nama"] == '{"Nama":'


def test_ndjson_report_of_a_csv_names_every_column(opened, tmp_path):
    write_report(opened("Nama;;NIK;Desa;Desa\nAni;a;1;b;c\n"), iter([LOADED]), tmp_path / "out.ndjson")
    item = json.loads((tmp_path / "out.ndjson").read_text())
    assert list(item.items())[:5] == [
        ("Nama", "Ani"),
        ("column 2", "a"),
        ("NIK", "1"),
        ("Desa", "b"),
        ("Desa (5)", "c"),
    ]


TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=8)


@settings(
    derandomize=True,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(texts=TEXTS)
def test_any_text_is_read_back_from_a_csv_report(opened, reopened, tmp_path, texts):
    cell = texts if not texts.startswith("'") else "x"
    line = io.StringIO()
    csv.writer(line, delimiter=";").writerow(["Ani", "1", cell])
    source = opened("Nama;NIK;HP\r\n" + line.getvalue())
    write_report(source, iter([LOADED]), tmp_path / "out.csv")
    before, after = (next(iter(each.records())) for each in (source, reopened(tmp_path / "out.csv")))
    assert after.cells["HP"] == before.cells["HP"]


def test_outcomes_that_do_not_belong_to_the_rows_are_an_error_and_leave_no_report(opened, tmp_path):
    target = tmp_path / "out.csv"
    with pytest.raises(ReportError, match="has no row 2 any more"):
        write_report(opened("Nama;NIK\nAni;1\n"), iter([LOADED, REJECTED]), target)
    with pytest.raises(ReportError, match="more than one outcome"):
        write_report(opened("Nama;NIK\nAni;1\nBudi;2\n"), iter([LOADED, LOADED]), target)
    assert [path.name for path in tmp_path.iterdir()] == ["input.csv"]


def test_failing_write_keeps_the_old_report_and_can_be_repeated(opened, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def outcomes() -> Iterator[RowOutcome]:
        yield LOADED
        raise OSError(28, "No space left on device")

    with pytest.raises(InterruptedRunError, match="No space left on device; run the command again"):
        write_report(opened("Nama;NIK\nAni;1\nBudi;2\n"), outcomes(), target)
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_workbook_on_a_full_disk_leaves_nothing_for_the_garbage_collector_to_complain_of():
    def write():
        with saved_book(Path("/dev/full")) as book:
            sheet = book.create_sheet("Sheet")
            for _ in range(2000):
                sheet.append(["Ani"] * 20)

    with pytest.raises(OSError, match="No space left"):
        write()
    gc.collect()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("rows", [1, 20_000])
def test_a_full_disk_of_temporary_files_is_told_in_one_line(opened, tmp_path, monkeypatch, rows):
    monkeypatch.setattr("openpyxl.worksheet._writer.create_temporary_file", lambda: "/dev/full")
    outcomes = (LOADED._replace(row=number) for number in range(1, rows + 1))
    with pytest.raises(InterruptedRunError, match="the report could not be written: No space left on device"):
        write_report(opened("Nama;NIK\n" + "Ani;1\n" * rows), outcomes, tmp_path / "out.xlsx")
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["input.csv"]


def test_report_is_readable_by_its_owner_only(opened, tmp_path):
    write_report(opened("Nama;NIK\nAni;1\n"), iter([LOADED]), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600


def test_targets_that_cannot_be_are_told_before_the_run(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("x")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(source)
    for target, message in {
        "out.pdf": r"ends in \.csv, \.xlsx, \.ndjson",
        "none/out.csv": "there is no folder",
        "in.csv": "is the input itself",
        "link.csv": "is the input itself",
        "folder.csv": "is no file",
    }.items():
        with pytest.raises(ReportError, match=message):
            check_target(tmp_path / target, [source])
    check_target(tmp_path / "out.CSV", [source])


def test_what_xml_cannot_hold_is_left_out_of_a_workbook(opened, tmp_path):
    source = opened("Nama;NIK\nAni\ufffe \x0bBu\uffff;1\n")
    write_report(source, iter([LOADED]), tmp_path / "out.xlsx")
    _, row = load_workbook(tmp_path / "out.xlsx").active.rows
    assert row[0].value == "Ani Bu"
