import pytest

from fhir_gateway.fhir.outcomes import LONGEST, describe_outcome


def outcome(*issues):
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def test_errors_come_before_warnings():
    issues = ({"severity": "warning", "diagnostics": "odd"}, {"severity": "error", "diagnostics": "wrong"})
    assert describe_outcome(outcome(*issues)) == "wrong"


def test_the_place_is_named():
    issue = {"severity": "error", "details": {"text": "must be given"}, "expression": ["Patient.birthDate"]}
    assert describe_outcome(outcome(issue)) == "must be given (at Patient.birthDate)"


def test_a_code_is_better_than_nothing():
    assert describe_outcome(outcome({"severity": "error", "code": "conflict"})) == "conflict"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('Invalid value "Contoh Rekaan" for name', "Rekaan"),
        ("Unknown code 'Perempuan'", "Perempuan"),
        ("duplicate 3201014101900001", "3201"),
        ("no match for identifier=https://a.example|ABC123", "ABC123"),
        ("phone 0811-0000-0001 is wrong", "0811"),
        ("born 1990-01-01", "1990"),
        ("«Contoh» is wrong", "Contoh"),
    ],
)
def test_what_could_be_a_patients_is_masked(text, secret):
    words = describe_outcome(outcome({"severity": "error", "diagnostics": text}))
    assert secret not in words
    assert "…" in words


def test_names_of_elements_and_types_stay():
    text = 'Element "Patient.birthDate" and "birthDate" of "Immunization"'
    assert describe_outcome(outcome({"severity": "error", "diagnostics": text})) == text


def test_the_words_are_bounded_and_on_one_line():
    words = describe_outcome(outcome({"severity": "error", "diagnostics": "very\nlong " * 500}))
    assert len(words) <= LONGEST
    assert "\n" not in words


@pytest.mark.parametrize(
    "thing",
    [
        None,
        [],
        "x",
        {},
        {"resourceType": "Patient"},
        outcome(),
        outcome(1),
        {"resourceType": "OperationOutcome", "issue": {}},
    ],
)
def test_what_is_no_outcome_has_no_words(thing):
    assert describe_outcome(thing) == ""
