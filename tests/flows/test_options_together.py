"""Options of a load that meet: dry runs, limits, reports, JSON; what contradicts is wrong usage."""

import json

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN
from tests.flows.test_load import counts
from tests.flows.wrong_usage import refused


def test_a_dry_run_with_report_tells_what_would_become_of_every_row(place):
    out = place.home / "report.csv"
    summary = place.load(place.sheet(RATNA, VITAMIN, BAYU), "--dry-run", "--report", out)
    assert (counts(summary), summary["read"]) == ({"loaded": 2, "rejected": 1}, 3)
    assert [row["gateway_status"] for row in place.report(out)] == ["loaded", "rejected", "loaded"]
    assert place.content() == ({}, {})


def test_limit_and_dry_run_leave_the_other_rows_without_a_status(place):
    out = place.home / "report.csv"
    summary = place.load(place.sheet(RATNA, RATNA_POLIO, BAYU), "--limit", 2, "--dry-run", "--report", out)
    assert summary["read"] == 2
    rows = place.report(out)
    assert [row["gateway_status"] for row in rows] == ["loaded", "loaded", ""]
    assert rows[-1]["gateway_reason"].startswith("not read")


@pytest.mark.parametrize("command", [("load", "--dry-run"), ("convert", "--out", "out.ndjson")])
def test_the_summary_tells_of_rows_that_a_limit_left_unread(place, command):
    sheet = place.sheet(RATNA, RATNA_POLIO, BAYU)
    _, out, err = place.run(*command, sheet, "--limit", 2, "--report", "report.csv")
    assert "Only the first 2 rows were read (--limit); rows behind them stand in the report without a status." in out
    assert "--limit" not in err
    assert "Only the first 2 rows were read (--limit)." in place.run(*command, sheet, "--limit", 2, "--json")[2]
    assert "Only" not in place.run(*command, sheet, "--limit", 4)[1]


def test_another_encoding_than_utf8_is_told(place):
    sheet = place.sheet(RATNA)
    assert "was read as" not in place.run("load", "--dry-run", sheet)[1]
    sheet.write_bytes(sheet.read_text().replace("Ratna", "Ratn\u00e9").encode("cp1252"))
    assert "sheet.csv was read as CP1252." in place.run("load", "--dry-run", sheet)[1]
    assert "sheet.csv was read as CP1252." in place.run("load", "--dry-run", sheet, "--json")[2]


def test_limit_counts_over_all_files(place):
    first, second = place.sheet(RATNA, RATNA_POLIO), place.sheet(BAYU, VITAMIN, name="second.csv")
    assert place.load(first, second, "--limit", 3)["read"] == 3
    assert place.load(first, second, "--limit", 1)["read"] == 1


@pytest.mark.parametrize("arguments", [("--limit", "-1"), ("--limit", "two"), ("--nonsense",), ("--env",)])
def test_wrong_options_are_wrong_usage(place, arguments):
    refused(place, "load", place.sheet(RATNA), *arguments)


@pytest.mark.parametrize("clinic", ["../evil", "a\nb", "", "  ", "-x", "a  b", "x" * 64, "a/b"])
@pytest.mark.parametrize("command", [("load",), ("convert", "--out", "out.ndjson")])
def test_a_clinic_that_is_no_id_is_refused(place, clinic, command):
    assert "a clinic's id has letters" in refused(place, *command, place.sheet(BAYU), "--clinic", clinic)


def test_blanks_around_a_clinics_id_do_not_matter(place):
    assert counts(place.load(place.sheet(BAYU), "--clinic", "rs-a")) == {"loaded": 1}
    assert counts(place.load(place.sheet(BAYU), "--clinic", " rs-a ")) == {"unchanged": 1}
    (patient,) = place.server("Patient").values()
    assert patient["meta"]["source"].endswith(":rs-a:puskesmas")


def test_no_file_at_all_is_wrong_usage(place):
    refused(place, "load")
    refused(place, "convert")


def test_stdout_is_json_alone(place):
    code, out, err = place.run("load", place.sheet(RATNA, VITAMIN), "--json")
    summary = json.loads(out)
    assert code == 3
    assert {"run", "read", "reasons", "unmapped", "seconds", "loaded", "failed"} <= summary.keys()
    assert "puskesmas" in err
