"""A person as a screen shows it."""

import pytest

from fhir_gateway.cli.persons import person_columns, side_by_side

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
