from pathlib import Path

import pytest

from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.mapping.cases import read_cases, run_case
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
