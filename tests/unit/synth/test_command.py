import json

import pytest

from fhir_gateway.cli.app import run
from fhir_gateway.synth.generate import FILES
from fhir_gateway.synth.truth import read_truth


@pytest.fixture
def region(tmp_path, capsys):
    assert run(["synth", str(tmp_path), "--persons", "40", "--seed", "4"]) == 0
    assert "40 persons" in capsys.readouterr().out
    return tmp_path


def perfect_report(region, source):
    path = region / f"{source}.report.csv"
    header = "gateway_row,gateway_status,patient_id,immunization_ids,match_grade"
    rows = [row for row in read_truth(region) if row.source == source]
    lines = [header, *(f"{row.row},loaded,{row.person},{' '.join(row.doses)},certain" for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"{source}={path}"


def test_a_perfect_report_scores_one(region, capsys):
    words = [f"--report={perfect_report(region, source)}" for source in ("asik", "puskesmas", "simrs-khanza")]
    assert run(["synth", "score", "--truth", str(region), *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["links"]["precision"] == result["links"]["recall"] == 1
    assert result["doses"]["once"] == result["doses"]["given"] > 100
    assert result["merged"] == {}


def test_the_score_is_a_table_without_json(region, capsys):
    assert run(["synth", "score", "--truth", str(region), "--report", perfect_report(region, "asik")]) == 0
    assert "B-cubed" in capsys.readouterr().out


def own_report(region, source, name):
    """Write a report with the export's own columns, as `load` does, and return how --report names it."""
    path = region / "report.csv"
    header, *lines = [line for line in (region / name).read_text("latin-1").splitlines() if line]
    sign = ";" if ";" in header else ","
    added = [f"{number}{sign}review{sign}{sign}" for number in range(1, len(lines) + 1)]
    header += "".join(
        f"{sign}{column}" for column in ("gateway_row", "gateway_status", "patient_id", "immunization_ids")
    )
    path.write_text("\n".join([header, *map(sign.join, zip(lines, added, strict=True))]), encoding="utf-8-sig")
    return f"--report={source}={path}"


@pytest.mark.parametrize("source", ["puskesmas", "simrs-khanza"])
def test_a_report_of_another_region_is_refused(region, capsys, source):
    other = region / "other"
    assert run(["synth", str(other), "--persons", "40", "--seed", "5"]) == 0
    word = own_report(region, source, FILES[source])
    assert run(["synth", "score", "--truth", str(region), word]) == 0
    assert "it cannot be told" not in capsys.readouterr().err
    assert run(["synth", "score", "--truth", str(other), word]) == 2
    told = capsys.readouterr().err
    assert f"report.csv: this is no report of {other / FILES[source]}: row 1 of it says other things" in told
    assert "with --truth the folder of the file that was loaded" in told


def test_a_report_that_cannot_be_held_against_its_export_is_told(region, capsys):
    words = ["synth", "score", "--truth", str(region), "--report", perfect_report(region, "asik")]
    assert run(words) == 0
    assert "asik.report.csv: it cannot be told whether it is of" in capsys.readouterr().err


@pytest.mark.parametrize("report", ["asik", "asik=", "hospital=x.csv"])
def test_a_report_without_its_source_is_wrong_usage(tmp_path, capsys, report):
    assert run(["synth", "score", "--truth", str(tmp_path), "--report", report]) == 2
    assert "SOURCE=FILE" in capsys.readouterr().err


def test_an_unknown_population_is_wrong_usage(tmp_path, capsys):
    assert run(["synth", str(tmp_path), "--persons", "3", "--seed", "1", "--population", "Z"]) == 2
    assert "mixed, A, B" in capsys.readouterr().err


def test_the_rates_are_printed_to_be_edited(tmp_path, capsys):
    assert run(["synth", "rates"]) == 0
    path = tmp_path / "rates.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run(["synth", str(tmp_path / "x"), "--persons", "3", "--seed", "1", "--rates", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["persons"] == 3


def test_help_names_the_commands(capsys):
    assert run(["synth", "--help"]) == 0
    text = capsys.readouterr().out
    assert "score" in text
    assert "write" in text


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert run(["synth", str(tmp_path / "file"), "--persons", "3", "--seed", "1"]) == 2
    assert "another folder" in capsys.readouterr().err
