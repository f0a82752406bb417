"""Reports: where they cannot be written is told before the run; one for each file; fed back, they keep their keys."""

import os

import pytest
from tests.flows.conftest import BAYU, RATNA, VITAMIN
from tests.flows.test_load import counts
from tests.flows.wrong_usage import refused


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("report.pdf", ".csv, .xlsx, .ndjson"),
        ("report", ".csv, .xlsx, .ndjson"),
        ("missing/report.csv", "no folder"),
        ("sheet.csv", "input itself"),
        ("folder.csv", "is no file"),
    ],
)
def test_a_report_that_cannot_be_written_is_told_before_the_run(place, target, words):
    path = place.sheet(RATNA)
    (place.home / "folder.csv").mkdir()
    before = path.read_bytes()
    assert words in refused(place, "load", path, "--report", target)
    assert place.json("runs", "list") == []
    assert path.read_bytes() == before
    assert words in refused(place, "convert", path, "--out", "o.ndjson", "--report", target)


@pytest.mark.parametrize("target", ["sheet.csv", "missing/o.ndjson", "folder.csv"])
def test_resources_that_cannot_be_written_are_told_before_the_conversion(place, target):
    path = place.sheet(RATNA)
    (place.home / "folder.csv").mkdir()
    before = path.read_bytes()
    refused(place, "convert", path, "--out", target)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "words"),
    [("", "is no file"), ("pipe", "is no file"), ("missing/p.json", "no folder"), ("n" * 300, "too long")],
)
@pytest.mark.parametrize("command", [("merge", "plan", "p1", "p2"), ("merge", "prove", "1")])
def test_a_plan_or_proof_that_cannot_be_written_is_told_first_and_replaces_nothing(place, command, target, words):
    os.mkfifo(place.home / "pipe")
    assert words in refused(place, *command, "--out", target)
    assert (place.home / "pipe").is_fifo()


def test_report_and_resources_may_not_be_one_file(place):
    options = ("--out", "o.ndjson", "--report", "o.ndjson")
    assert "is where the resources go" in refused(place, "convert", place.sheet(RATNA), *options)


def test_several_files_need_a_folder_and_get_a_report_each(place):
    first, second = place.sheet(RATNA), place.sheet(BAYU, VITAMIN, name="second.csv")
    assert "folder" in refused(place, "load", first, second, "--report", "both.csv")
    code, _, _ = place.run("load", first, second, "--report", "reports")
    assert code == 3
    assert [row["gateway_status"] for row in place.report(place.home / "reports" / "sheet.csv")] == ["loaded"]
    statuses = [row["gateway_status"] for row in place.report(place.home / "reports" / "second.csv")]
    assert statuses == ["loaded", "rejected"]


def test_reports_go_into_a_folder_that_is_there_whatever_the_inputs_names_end_in(place):
    (place.home / "reports.d").mkdir()
    first, second = place.sheet(RATNA, name="export.txt"), place.sheet(BAYU, name="plain")
    code, _, err = place.run("load", first, second, "--report", "reports.d")
    assert code == 0, err
    assert sorted(path.name for path in (place.home / "reports.d").iterdir()) == ["export.txt.csv", "plain.csv"]


def test_the_report_folder_may_not_be_that_of_the_inputs(place):
    first, second = place.sheet(RATNA), place.sheet(BAYU, name="second.csv")
    assert "input itself" in refused(place, "load", first, second, "--report", place.home)


def test_a_csv_reports_as_workbook_and_is_loaded_from_there(place):
    code, _, _ = place.run("load", place.sheet(RATNA, VITAMIN), "--report", "report.xlsx")
    assert code == 3
    assert counts(place.load(place.home / "report.xlsx")) == {"unchanged": 1, "rejected": 1}


def test_a_nik_that_a_spreadsheet_damaged_in_the_report_is_restored(place):
    path = place.sheet(RATNA, VITAMIN)
    out = place.home / "report.csv"
    place.run("load", path, "--report", out)
    text = out.read_text(encoding="utf-8-sig")
    damaged = text.replace("3303015203200003", "3.30302E+15").replace("3303020502210005", "3,30302E+15")
    fixed = place.home / "fixed.csv"
    fixed.write_text(damaged.replace("3.30302E+15", "3.30301520320E+15").replace("Vitamin A", "BCG"), "utf-8-sig")
    assert counts(place.load(fixed)) == {"loaded": 1, "unchanged": 1}
    niks = {i["value"] for p in place.content()[0].values() for i in p["identifier"] if i["system"].endswith("/nik")}
    assert niks == {"3303015203200003", "3303020502210005"}
