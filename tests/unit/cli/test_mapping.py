import json
import re

import jsonschema_rs
import pytest
import yaml

from fhir_gateway.cli.app import run
from fhir_gateway.sources.mapping_folders import find_mapping, find_mappings, load_found, shipped_mappings

SAMPLES = shipped_mappings()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _own_mapping(home, name, change=lambda text: text):
    folder = home / "mappings" / name
    folder.mkdir(parents=True)
    text = (SAMPLES / "puskesmas" / "mapping.yaml").read_text(encoding="utf-8")
    text = text.replace("mapping: puskesmas", f"mapping: {name}")
    (folder / "mapping.yaml").write_text(change(text), encoding="utf-8")
    return folder


def test_list_names_the_shipped_mappings(capsys):
    assert run(["mapping", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(entry["name"], entry["origin"]) for entry in listed] == [
        ("asik", "shipped"),
        ("puskesmas", "shipped"),
        ("simrs-khanza", "shipped"),
    ]


def test_a_mapping_of_the_working_folder_hides_the_shipped_one(home, capsys):
    _own_mapping(home, "puskesmas", lambda text: text.replace("title: Puskesmas", "title: Our own"))
    assert run(["mapping", "list"]) == 0
    out = capsys.readouterr().out
    assert "Our own" in out
    assert "working folder" in out


def test_a_mapping_with_faults_does_not_hide_the_others(home, capsys):
    _own_mapping(home, "ours", lambda text: text.replace("through: gender", "through: gendre"))
    assert run(["mapping", "list", "--json"]) == 0
    listed = {each["name"]: each["problems"] for each in json.loads(capsys.readouterr().out)}
    assert listed["puskesmas"] == []
    assert "unknown function 'gendre'" in listed["ours"][0]
    assert run(["mapping", "list"]) == 0
    assert "unknown function 'gendre'" in capsys.readouterr().out


def test_check_finds_no_fault_in_what_is_shipped(capsys):
    assert run(["mapping", "check"]) == 0
    assert capsys.readouterr().out.count("no faults") == 3


def test_check_tells_every_fault_with_its_place(home, capsys):
    folder = _own_mapping(
        home,
        "ours",
        lambda text: text.replace("through: gender", "through: gendre").replace("  birthDate:", "  birthdate:"),
    )
    assert run(["mapping", "check", "ours"]) == 2
    error = capsys.readouterr().err
    assert f"{folder}/mapping.yaml:" in error
    assert "unknown function 'gendre' (did you mean 'gender'?)" in error
    assert "Patient has no element 'birthdate' in FHIR R4 (did you mean 'birthDate'?)" in error


def test_check_tells_constants_that_are_no_codes(home, capsys):
    _own_mapping(
        home,
        "ours",
        lambda text: text.replace("status: {columns: [Dosis Ke, Vaksin, Batch], through: dose_status}", "status: done"),
    )
    assert run(["mapping", "check", "ours", "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["message"] == "Immunization.status has no code 'done' in FHIR R4"


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ("primarySource: maybe", "primarySource is true or false in FHIR R4, not 'maybe'"),
        ('primarySource: "true"', "primarySource is true or false in FHIR R4, not 'true'"),
        ("protocolApplied: [{doseNumberPositiveInt: 0}]", "is a whole number from 1 on in FHIR R4, not '0'"),
        ("protocolApplied: [{doseNumberPositiveInt: true}]", "is a whole number from 1 on in FHIR R4, not 'true'"),
    ],
)
def test_check_tells_constants_of_another_type(home, capsys, constant, message):
    _own_mapping(
        home, "ours", lambda text: re.sub(rf"    {constant.split(':')[0]}:.*\n(      .*\n)*", f"    {constant}\n", text)
    )
    assert run(["mapping", "check", "ours", "--json"]) == 2
    assert any(message in problem["message"] for problem in json.loads(capsys.readouterr().out)["problems"])


def test_check_tells_elements_that_fhir_does_not_have(home, capsys):
    _own_mapping(home, "ours", lambda text: text.replace("  birthDate:", "  birthdate:"))
    assert run(["mapping", "check", "ours", "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["message"], problem["suggestion"]) == (
        "Patient has no element 'birthdate' in FHIR R4",
        "did you mean 'birthDate'?",
    )


def test_a_mapping_that_is_not_there_is_told_with_the_nearest(capsys):
    assert run(["mapping", "check", "puskesmass"]) == 2
    assert "did you mean 'puskesmas'?" in capsys.readouterr().err


def test_a_mapping_and_its_folder_have_one_name(home, capsys):
    _own_mapping(home, "ours", lambda text: text.replace("mapping: ours", "mapping: theirs"))
    assert run(["mapping", "check", "ours"]) == 2
    assert "the mapping calls itself 'theirs', its folder 'ours'" in capsys.readouterr().err


def test_the_shipped_cases_pass(capsys):
    assert run(["mapping", "test"]) == 0
    assert " 0 failed" in capsys.readouterr().out


def test_a_case_that_fails_is_exit_code_3(home, capsys):
    folder = _own_mapping(home, "ours")
    (folder / "cases.yaml").write_text(
        "today: 2026-01-15\ncases:\n  - name: wrong\n    row: {Nama Lengkap: L}\n    expect: {doses: [{}]}\n",
        encoding="utf-8",
    )
    assert run(["mapping", "test", "ours"]) == 3
    assert "cases.yaml:3: wrong" in capsys.readouterr().out
    assert run(["mapping", "test", "ours", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)[0]["passed"] is False


def test_preview_shows_rows_and_what_they_become(capsys):
    assert run(["mapping", "preview", str(SAMPLES / "puskesmas" / "sample.csv"), "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert "read with the mapping puskesmas" in out
    assert '"resourceType": "Patient"' in out


def test_preview_of_a_row_as_json(capsys):
    sample = str(SAMPLES / "simrs-khanza" / "sample-rs-a.csv")
    assert run(["mapping", "preview", sample, "--clinic", "rs-a", "--row", "2", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["row"] == 2
    assert shown["immunizations"][0]["meta"]["source"] == "urn:fhir-gateway:source:rs-a:simrs-khanza"


def test_preview_of_a_row_that_is_not_there(capsys):
    assert run(["mapping", "preview", str(SAMPLES / "puskesmas" / "sample.csv"), "--row", "9999"]) == 2
    assert "there is no such row" in capsys.readouterr().err


def test_the_schema_fits_every_shipped_mapping_and_no_faulty_one(capsys):
    assert run(["mapping", "schema"]) == 0
    validator = jsonschema_rs.Draft202012Validator(json.loads(capsys.readouterr().out))
    for found in find_mappings(SAMPLES):
        assert [str(error) for error in validator.iter_errors(_loaded(found.file))] == []
    faulty = {**_loaded(SAMPLES / "asik" / "mapping.yaml"), "keys": []}
    assert not validator.is_valid(faulty)


def _loaded(file):
    return json.loads(json.dumps(yaml.safe_load(file.read_text(encoding="utf-8")), default=str))


def test_a_sites_concept_map_goes_over_the_shipped_one(home):
    folder = home / "mappings" / "concept_maps"
    folder.mkdir(parents=True)
    (folder / "vaccine.csv").write_text("Vaksin Kembang,10\n", encoding="utf-8")
    load_found(find_mapping("puskesmas", home), home)
    (folder / "vaccine.csv").write_text("Vaksin Kembang,?\n", encoding="utf-8")
    assert run(["mapping", "check", "puskesmas"]) == 2


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"mapping: [", b""])
def test_a_file_that_is_no_mapping_is_told(home, content, capsys):
    folder = home / "mappings" / "bad"
    folder.mkdir(parents=True)
    (folder / "mapping.yaml").write_bytes(content)
    assert run(["mapping", "check", "bad"]) == 2
    assert "bad/mapping.yaml" in capsys.readouterr().err


def test_preview_passes_over_a_mapping_with_faults_as_a_load_does(home, capsys):
    _own_mapping(home, "ours", lambda text: text.replace("through: gender", "through: gendre"))
    assert run(["mapping", "preview", str(SAMPLES / "puskesmas" / "sample.csv"), "--limit", "1"]) == 0
    assert "read with the mapping puskesmas" in capsys.readouterr().out


def test_preview_shows_as_rejected_what_a_load_would_reject(home, capsys):
    _own_mapping(home, "ours", lambda text: text.replace("primarySource: true", "doseQuantity: {value: some}"))
    sample = str(SAMPLES / "puskesmas" / "sample.csv")
    assert run(["mapping", "preview", sample, "--mapping", "ours", "--row", "2", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in shown["rejected"]] == ["fhir-decimal"]


def test_preview_names_the_mapping_that_would_fit(capsys):
    assert run(["mapping", "preview", str(SAMPLES / "puskesmas" / "sample.csv"), "--mapping", "asik"]) == 2
    assert "--mapping puskesmas" in capsys.readouterr().err
