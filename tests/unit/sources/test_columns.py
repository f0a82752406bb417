from dataclasses import replace

import pytest

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout
from fhir_gateway.sources.columns import best_header, fitting_headers, misfit, unread_columns

LAYOUT = Layout(
    "sheet", frozenset({"Nama Lengkap", "Tgl Lahir"}), frozenset({"Nama Lengkap", "Tgl Lahir", "L/P", "NIK"})
)


@pytest.mark.parametrize(
    "names",
    [
        ("nama_lengkap", "TGL. LAHIR", "l / p"),
        ("Nama  Lengkap", "Tgl-Lahir", "L/P"),
        ("Nama.Lengkap", "(Tgl Lahir)", "L P"),
    ],
)
def test_punctuation_in_a_column_name_does_not_matter(names):
    (header,) = fitting_headers([names], [LAYOUT])
    assert (header.keys, header.names, header.known) == (("Nama Lengkap", "Tgl Lahir", "L/P"), names, 3)


def test_a_name_to_the_letter_goes_before_one_but_for_punctuation():
    (header,) = fitting_headers([("Tgl Lahir", "Tgl. Lahir", "Nama Lengkap")], [LAYOUT])
    assert header.keys == ("Tgl Lahir", "Tgl. Lahir", "Nama Lengkap")
    assert best_header([header], "x.csv") is header


def test_two_names_but_for_punctuation_are_not_chosen_between():
    row = ("Tgl. Lahir", "Tgl_Lahir", "Nama_Lengkap")
    assert fitting_headers([row], [LAYOUT]) == []
    error = misfit("x.csv", [row], [LAYOUT])
    assert isinstance(error, SourceError)
    assert "lacks columns of mapping sheet: 'Tgl Lahir' (did you mean 'Tgl" in str(error)
    assert "Nama Lengkap" not in str(error)


def test_columns_that_are_not_read_are_told_with_what_they_may_be_meant_for():
    (header,) = fitting_headers([("No", "Nama Lengkap", "Tgl Lahir", "No NIK", "", "patient_id")], [LAYOUT])
    assert unread_columns(header) == ("'No'", "'No NIK' (is it 'NIK'?)", "'patient_id'")


def test_columns_of_a_report_are_not_told():
    row = ("Nama Lengkap", "Tgl Lahir", "gateway_row", "patient_id", "match_grade", "gateway_key")
    (header,) = fitting_headers([row], [LAYOUT])
    assert unread_columns(header) == ()


def test_a_missing_column_is_found_under_a_name_with_its_unit():
    error = misfit("x.csv", [("Nama Lengkap", "Tgl Lahir (dd/mm/yyyy)")], [LAYOUT])
    assert "'Tgl Lahir' (did you mean 'Tgl Lahir (dd/mm/yyyy)'?)" in str(error)


def test_an_alias_of_a_column_that_is_there_is_no_advice():
    layout = replace(LAYOUT, known=LAYOUT.known | {"Lahir Tgl"}, aliases=(("Tgl Lahir", ("Lahir Tgl",)),))
    (header,) = fitting_headers([("Nama Lengkap", "Tgl Lahir", "Lahir Tg")], [layout])
    assert unread_columns(header) == ("'Lahir Tg'",)
