"""Source files that are wrong: told before anything is begun, with what to do; broken rows are rejected and shift nobody."""

import io
import os
import zipfile

import pytest
from openpyxl import Workbook
from tests.flows.conftest import BAYU, HEADER, RATNA, RATNA_POLIO
from tests.flows.wrong_usage import refused

from fhir_gateway.sources.csv_source import CsvSource

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def workbook(*rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


SHEET = "xl/worksheets/sheet1.xml"

GOOD_BOOK = workbook(HEADER.split(";"), RATNA.split(";"))


def edited(part, edit):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD_BOOK)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, edit(old.read(name)) if name == part else old.read(name))
    return buffer.getvalue()


def with_entity(xml):
    return xml.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet', 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty"),
        ("blank.csv", b"\n \n\n", "blanks"),
        ("export.csv", b"%PDF-1.7\n" + bytes(range(256)), "PDF"),
        ("export.xlsx", b"%PDF-1.7\n" + bytes(range(256)), "PDF"),
        ("binary.csv", bytes(range(256)) * 40, "binary"),
        ("old.xls", OLE + bytes(5000), "save it as XLSX or CSV"),
        ("secret.xlsx", OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("page.xls", b"<html><table><tr><td>Nama</td></tr></table></html>", "HTML"),
        ("login.csv", b"<!DOCTYPE html><html><body>Session expired</body></html>", "HTML"),
        ("cut.xlsx", GOOD_BOOK[: len(GOOD_BOOK) // 2], "damaged"),
        ("entity.xlsx", edited(SHEET, with_entity), "entities"),
        ("bomb.xlsx", edited("xl/styles.xml", lambda _: bytes(100 << 20)), "would unpack"),
        ("list.json", b'[{"Nama": 1}]', "NDJSON"),
        ("prose.csv", b"Dear colleague,\nplease find the export attached.\n", "needs the columns"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(place, name, content, words):
    path = place.home / name
    path.write_bytes(content)
    for command in (("load", path), ("load", path, "--mapping", "puskesmas"), ("convert", path, "--out", "o.ndjson")):
        err = refused(place, *command)
        assert words in err
        assert name in err
    assert not (place.home / "o.ndjson").exists()
    assert place.json("runs", "list") == []


def test_a_missing_file_and_a_folder_are_told(place):
    assert "no such file" in refused(place, "load", place.home / "missing.csv")
    (place.home / "circle.csv").symlink_to("circle.csv")
    assert "no such file" in refused(place, "load", place.home / "circle.csv")
    assert "folder" in refused(place, "load", place.home)


def test_one_bad_file_of_several_stops_all_before_anything_is_begun(place):
    good = place.sheet(RATNA)
    bad = place.home / "bad.csv"
    bad.write_bytes(b"")
    assert "bad.csv" in refused(place, "load", good, bad)
    assert place.json("runs", "list") == []


def test_a_file_that_is_refused_behind_its_last_row_leaves_no_run_behind(place, monkeypatch):
    good = place.sheet(RATNA)
    sexes = place.sheet(RATNA.replace(";P;", ";W;"), RATNA_POLIO, BAYU.replace(";L;", ";P;"), name="sexes.csv")
    dates = place.sheet(*(BAYU.replace("20/08/2019", f"08/{day}/2019") for day in (20, 21, 22)), name="dates.csv")
    for files, words in (([sexes], "P and W"), ([good, dates], "writes the month first")):
        for options in ([], ["--dry-run"]):
            assert words in refused(place, "load", *files, *options)
            assert place.json("runs", "list") == []
    records = CsvSource.records

    def changed(source):
        yield from records(source)
        os.utime(source.path, (0, 0))
        yield from records(source)

    with monkeypatch.context() as patched:
        patched.setattr(CsvSource, "records", changed)
        assert "has changed since it was opened" in refused(place, "load", good)
    assert place.json("runs", "list") == []
    assert place.load(good)["run"] == 1


def test_a_file_named_twice_is_told(place):
    path = place.sheet(RATNA)
    assert "twice" in refused(place, "load", path, path.parent / "." / path.name)


def test_wrong_columns_name_what_lacks_and_the_mapping_that_would_fit(place):
    err = refused(place, "load", place.sheet(RATNA), "--mapping", "asik")
    assert "asik" in err
    assert "--mapping puskesmas" in err
    lacking = place.home / "lacking.csv"
    lacking.write_text("Nama Lengkap;Tanggal Lahir;Tgl Vaksin;Vaksin\na;b;c;d\n")
    err = refused(place, "load", lacking, "--mapping", "puskesmas")
    assert "'Tgl Lahir'" in err


def test_columns_that_the_mapping_does_not_read_are_told(place):
    sheet = place.sheet(BAYU)
    sheet.write_text(sheet.read_text().replace("NIK", "No NIK"))
    for command in (("load", sheet), ("convert", sheet, "--out", "out.ndjson")):
        assert "sheet.csv: not read: 'Nomor', 'No NIK' (is it 'NIK'?)" in place.run(*command)[2]


COHORT = "Nama Anak,Tanggal Lahir Anak,Nama Orang Tua"


def test_a_wide_sheet_without_a_dose_column_is_told(place):
    sheet = place.home / "cohort.csv"
    sheet.write_text(f"{COHORT},Usia Anak\nLaras Ayu,2024-02-09,Dewi,1\n")
    for command in (("load", sheet), ("convert", sheet, "--out", "out.ndjson")):
        assert "cohort.csv: no column holds doses (as 'Tanggal Imunisasi BCG 1' would)" in place.run(*command)[2]
    sheet.write_text(f"{COHORT},Tanggal Imunisasi HB0\nLaras Ayu,2024-02-09,Dewi,\n")
    assert "no column holds doses" not in place.run("load", sheet)[2]


@pytest.mark.parametrize("column", ["HB0", "bcg-1", "Imunisasi POLIO 2"])
def test_a_wide_sheet_that_names_its_doses_otherwise_is_refused(place, column):
    """As where the antigens stand in a header row above "Tanggal": all rows would be loaded, and no dose missed."""
    sheet = place.home / "cohort.csv"
    sheet.write_text(f"{COHORT},{column}\nLaras Ayu,2024-02-09,Dewi,2024-02-09\n")
    assert f"'{column}' names a dose" in refused(place, "load", sheet)
    assert f"'{column}' names a dose" in refused(place, "convert", sheet, "--out", "out.ndjson")


def test_a_header_without_rows_is_a_finished_load_of_nothing(place):
    code, out, err = place.run("load", place.sheet())
    assert (code, out.splitlines()[-1]) == (
        0,
        "read 0 = loaded 0 + unchanged 0 + review 0 + rejected 0 + failed 0",
    )
    assert "sheet.csv: no row stands below its header" in err
    assert "no row stands below" not in place.run("load", place.sheet(BAYU))[2]
    book = place.home / "empty.xlsx"
    book.write_bytes(workbook(HEADER.split(";")))
    assert place.load(book)["read"] == 0
    assert place.json("convert", book, "--out", "out.ndjson")["read"] == 0
    assert (place.home / "out.ndjson").read_bytes() == b""


def test_broken_rows_are_rejected_and_shift_nobody(place):
    path = place.home / "broken.csv"
    rows = [RATNA, "only;three;cells", BAYU.replace("Endah", "En\0dah"), RATNA_POLIO]
    path.write_bytes("\n".join((HEADER, *rows)).encode())
    out = place.home / "report.csv"
    code, text, _ = place.run("load", path, "--report", out)
    assert (code, text.splitlines()[-1][:17]) == (3, "read 4 = loaded 2")
    assert [row["gateway_status"] for row in place.report(out)] == ["loaded", "rejected", "rejected", "loaded"]
    assert [row["gateway_row"] for row in place.report(out)] == ["1", "2", "3", "4"]
