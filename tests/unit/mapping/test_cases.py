from pathlib import Path

import pytest

from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.mapping.cases import read_cases, run_case, unread_columns
from fhir_gateway.sources.mapping_folders import find_mappings, load_found, read_text

SHIPPED = {found.name: found for found in find_mappings(Path("/nonexistent"))}
CASES = """\
today: 2026-01-15
cases:
  - name: one
    row: {Nama Lengkap: Laras, Tgl Lahir: 2024-02-09, Tgl Vaksin: 2024-11-20, Vaksin: MR}
    expect: {patient: {gender: female}, doses: [{status: completed}, {}]}
"""


def test_the_sources_of_the_contract_are_shipped():
    assert set(SHIPPED) >= {"simrs-khanza", "asik", "puskesmas"}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_shipped_case_passes(name, tmp_path):
    mapping = load_found(SHIPPED[name], tmp_path)
    cases = read_cases(read_text(SHIPPED[name].cases), "cases.yaml")
    assert cases
    assert {case.name: run_case(mapping, case).differences for case in cases} == {case.name: () for case in cases}


def test_a_case_that_fails_says_what_was_expected_and_found(tmp_path):
    (case,) = read_cases(CASES, "cases.yaml")
    differences = run_case(load_found(SHIPPED["puskesmas"], tmp_path), case).differences
    assert differences == ("patient.gender: 'female' expected, nothing found", "doses: 2 expected, 1 found")


def test_an_unexpected_rejection_is_a_failure(tmp_path):
    (case,) = read_cases(CASES.replace("2024-11-20", "2024-01-01"), "cases.yaml")
    assert any(
        "dose-before-birth" in difference
        for difference in run_case(load_found(SHIPPED["puskesmas"], tmp_path), case).differences
    )


def test_faults_of_cases_are_told_with_their_places():
    with pytest.raises(ConfigurationError) as caught:
        read_cases(CASES.replace("expect", "expects").replace("2026-01-15", "soon"), "cases.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "cases.yaml:1:8: today is the day on which the cases are run (write it as 2026-01-15)",
        "cases.yaml:3:5: the key 'expect' is missing",
        "cases.yaml:5:5: unknown key of a case 'expects' (did you mean 'expect'?)",
    ]


def test_columns_of_a_row_that_the_mapping_does_not_read_are_told_with_the_nearest_right_one(tmp_path):
    row = "{Nama Lengkpa: Laras, tgl lahir: 2024-02-09, Tgl Vaksin: 2024-11-20, Vaksin: MR, gateway_key: x, Serial: 1}"
    text = CASES.replace(CASES.splitlines()[3].strip(), f"row: {row}")
    (case,) = read_cases(text, "cases.yaml")
    assert [
        str(one) for one in unread_columns(case, load_found(SHIPPED["puskesmas"], tmp_path).layout, "cases.yaml")
    ] == [
        "cases.yaml:4:11: the mapping does not read the column 'Nama Lengkpa' (is it 'Nama Lengkap'?)",
        "cases.yaml:4:32: the mapping does not read the column 'tgl lahir' (is it 'Tgl Lahir'?)",
        "cases.yaml:4:107: the mapping does not read the column 'Serial'",
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("gender: female", "gendr: null", "5:23: Patient: unknown element gendr (did you mean gender?)"),
        (
            "{status: completed}",
            "{lotNumbr: null}",
            "5:49: Immunization: unknown element lotNumbr (did you mean lotNumber?)",
        ),
        ("{Nama Lengkap: Laras,", "{Nama Lengkap: [Laras],", "4:25: the cell of 'Nama Lengkap' is no text"),
        ("    row:", "    numeric: NIK\n    row:", "4:14: numeric is a list of columns"),
        (
            "    row:",
            "    numeric: [Vaksn]\n    row:",
            "4:15: unknown column of the row 'Vaksn' (did you mean 'Vaksin'?)",
        ),
        ("expect: {", "expect: nothing\ncases_of_old: {", "5:13: 'expect' needs keys, each with its value"),
    ],
)
def test_what_would_silently_ask_for_nothing_is_a_fault(right, wrong, told):
    with pytest.raises(ConfigurationError) as caught:
        read_cases(CASES.replace(right, wrong), "cases.yaml")
    assert f"cases.yaml:{told}" in map(str, caught.value.problems)
