"""A person as a screen shows it."""

import pytest

from fhir_gateway.cli.persons import doses_in_words, person_columns, side_by_side

REPLACED = {"active": False, "link": [{"other": {"reference": "Patient/b"}, "type": "replaced-by"}]}


@pytest.mark.parametrize(
    ("patient", "told"),
    [
        ({"active": False}, "no (active: false)"),
        (REPLACED, "no, replaced by Patient b"),
        ({**REPLACED, "active": True}, "no, replaced by Patient b"),
    ],
)
def test_a_patient_out_of_use_is_told_with_who_replaced_it(patient, told):
    assert person_columns(patient, reveal=False)["in use"] == told


def test_the_line_of_who_is_out_of_use_stands_only_where_somebody_is():
    assert not any(line[0] == "in use" for line in side_by_side([{}, {"active": True}], reveal=True))
    assert ("in use", "", "no (active: false)") in side_by_side([{}, {"active": False}], reveal=True)


@pytest.mark.parametrize(
    ("date", "covered"),
    [("2019-03-05", "2019-••-••"), ("2019-03", "2019-••"), ("2019", "2019"), ("", ""), ("5 Maret", "• M••••")],
)
def test_of_a_covered_birth_date_the_year_is_shown(date, covered):
    assert person_columns({"birthDate": date}, reveal=False)["born"] == covered
    assert person_columns({"birthDate": date}, reveal=True)["born"] == date


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("2019-03-05", "2019-••-••"),
        ("2019-03-06", "2019-••-•• (another day)"),
        ("2019-04-05", "2019-••-•• (another month)"),
        ("2019-04-06", "2019-••-•• (another month and day)"),
        ("2019-05-03", "2019-••-•• (day and month exchanged)"),
        ("2018-03-05", "2018-••-••"),
        ("2018-03-06", "2018-••-•• (another day)"),
        ("2019", "2019"),
    ],
)
def test_where_birth_dates_differ_in_what_is_covered_it_is_told_in_which_part(date, told):
    first, other = {"birthDate": "2019-03-05"}, {"birthDate": date}
    assert ("born", "", "2019-••-••", told) in side_by_side([{}, first, other], reveal=False)
    assert ("born", "", "2019-03-05", date) in side_by_side([{}, first, other], reveal=True)


@pytest.mark.parametrize("reveal", [True, False])
def test_what_is_too_long_to_be_read_is_cut_off(reveal):
    patient = {
        "name": [{"text": "Sari " * 30_000}],
        "address": [{"text": "x" * 100_000}, {"line": ["y" * 100_000]}],
        "identifier": [{"system": f"https://example.org/{'s' * 9_000}", "value": "1" * 9_000}],
        "telecom": [{"value": f"08{number}"} for number in range(5_000)],
        "gender": "g" * 9_000,
    }
    columns = person_columns(patient, reveal=reveal)
    assert all(len(text) < 1_000 for text in columns.values())
    assert columns["phone"].endswith("; … and 4980 more")
    assert len(doses_in_words([{"lotNumber": "l" * 9_000, "vaccineCode": {"text": "v" * 9_000}}])) < 1_000


def test_a_dose_that_is_told_several_times_stands_once() -> None:
    bcg = {"occurrenceDateTime": "2023-04-01", "vaccineCode": {"text": "BCG"}, "status": "completed"}
    polio = {"occurrenceDateTime": "2023-03-02", "vaccineCode": {"text": "POLIO"}, "status": "not-done"}

    assert doses_in_words([bcg, polio, bcg]) == "2023-03-02 POLIO not-done\n2023-04-01 BCG (2 times)"
