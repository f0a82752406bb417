import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.people.phones import read_phones


@pytest.mark.parametrize(
    "text",
    [
        "0812-0011-7523",
        "81200117523",
        "6281200117523",
        "+62 (0)81200117523",
        "006281200117523",
        "081200117523.0",
        "'081200117523",
        "0812 0011 7523",
    ],
)
def test_a_number_is_normalised_from_every_spelling(text):
    read = read_phones(text)
    assert read.numbers == ("+6281200117523",)
    assert read.as_written == ""


@pytest.mark.parametrize(
    "text",
    [
        *("081200117523/085700123456", "081200117523, 0857-0012-3456", "081200117523 atau 085700123456"),
        *("081200117523 085700123456", "0812 0011 7523 0857 0012 3456", "081200117523 (ibu) 085700123456 (ayah)"),
    ],
)
def test_every_number_of_a_cell_is_taken(text):
    assert read_phones(text).numbers == ("+6281200117523", "+6285700123456")


def test_a_remark_is_not_dialled_but_kept():
    read = read_phones("081200117523 (ibu)")
    assert (read.numbers, read.as_written) == (("+6281200117523",), "081200117523 (ibu)")


@pytest.mark.parametrize("text", ["O81200117523", "081200ab", "081234567 (ibu)", "8.12E+11", "rumah"])
def test_what_is_no_number_is_kept_as_written(text):
    read = read_phones(text)
    assert (read.numbers, read.as_written) == ((), text)


@pytest.mark.parametrize("text", ["", "-", "0", "081111111111", "000000000000"])
def test_fillers_are_no_numbers(text):
    assert read_phones(text).numbers == ()
    assert read_phones(text).as_written == ""


def test_a_landline_and_a_foreign_number_are_numbers():
    assert read_phones("(0281) 891234").numbers == ("+62281891234",)
    assert read_phones("+44 20 7946 0958").numbers == ("+442079460958",)


@settings(derandomize=True)
@given(st.integers(min_value=8_000_000, max_value=8_999_999_999_999))
def test_the_short_way_agrees_with_phonenumbers(number):
    read = read_phones(f"0{number}")
    parsed = phonenumbers.parse(f"0{number}", "ID")
    expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if read.numbers:
        assert phonenumbers.is_valid_number(parsed)
        assert read.numbers == (expected,)
    elif read.as_written:
        assert not phonenumbers.is_valid_number(parsed)


@settings(derandomize=True)
@given(st.text(max_size=40))
def test_no_text_makes_the_reader_fail(text):
    assert all(number.startswith("+") and number[1:].isdigit() for number in read_phones(text).numbers)
