from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.people.nik import (
    PROVINCES,
    NikStatus,
    decoded_birth_date,
    is_parents_nik,
    may_be_made_of,
    read_nik,
)

VALID = "3303125204190001"
TODAY = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (VALID, NikStatus.VALID),
        (f"'{VALID}", NikStatus.VALID),
        (" 33.0312.520419.0001 ", NikStatus.VALID),
        ("330312-520419-0001", NikStatus.VALID),
        ("3303125204190001.0", NikStatus.VALID),
        ("3303125204190001,00", NikStatus.VALID),
        ("9601015204190001", NikStatus.VALID),
        ("3303990504190001", NikStatus.VALID),
        ("", NikStatus.MISSING),
        ("   ", NikStatus.MISSING),
        ("-", NikStatus.PLACEHOLDER),
        ("0", NikStatus.PLACEHOLDER),
        ("2", NikStatus.PLACEHOLDER),
        ("tidak ada", NikStatus.PLACEHOLDER),
        ("0000000000000000", NikStatus.PLACEHOLDER),
        ("1111111111111111", NikStatus.PLACEHOLDER),
        ("1234567890123456", NikStatus.PLACEHOLDER),
        ("0303125204190001", NikStatus.PLACEHOLDER),
        ("330312520419000", NikStatus.IMPLAUSIBLE),
        ("3303125204190", NikStatus.IMPLAUSIBLE),
        ("33031252041900011", NikStatus.IMPLAUSIBLE),
        ("9903125204190001", NikStatus.IMPLAUSIBLE),
        ("3303123204190001", NikStatus.IMPLAUSIBLE),
        ("3303127204190001", NikStatus.IMPLAUSIBLE),
        ("3303121213190001", NikStatus.IMPLAUSIBLE),
        ("3303122902190001", NikStatus.IMPLAUSIBLE),
        ("33031252041900O1", NikStatus.IMPLAUSIBLE),
        ("3.30312E+15", NikStatus.TRUNCATED),
        ("3,30312E+15", NikStatus.TRUNCATED),
        ("3.30312520419000e15", NikStatus.TRUNCATED),
        ("3303125204190000", NikStatus.TRUNCATED),
        ("3303120000000000", NikStatus.TRUNCATED),
        ("3303125204190010", NikStatus.TRUNCATED),
    ],
)
def test_status_tells_how_far_a_nik_can_be_trusted(text, status):
    assert read_nik(text).status is status


def test_leap_day_of_a_leap_year_is_valid():
    assert read_nik("3303122902200001").status is NikStatus.VALID


def test_number_of_sixteen_digits_in_a_numeric_cell_is_truncated():
    nik = read_nik("3303125204190010", numeric=True)
    assert (nik.status, nik.trusted, nik.writable) == (NikStatus.TRUNCATED, "330312520419001", False)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("3303125204190017", NikStatus.VALID),  # as programs write whole numbers
        ("3.303125204190017E15", NikStatus.TRUNCATED),
        (
            "9203125204190018",
            NikStatus.TRUNCATED,
        ),  # beyond 2**53 a floating-point number may have altered the last digit
    ],
)
def test_number_that_no_spreadsheet_has_cut_is_as_good_as_text(text, status):
    assert read_nik(text, numeric=True).status is status


@pytest.mark.parametrize(
    ("text", "writable"),
    [(VALID, True), ("3303125204190010", True), ("3303125204190000", False), ("3.30312E+15", False), ("0", False)],
)
def test_only_whole_niks_are_written_as_identifiers(text, writable):
    assert read_nik(text).writable is writable


def test_rounded_number_loses_its_last_shown_digit_as_well():
    assert read_nik("3.30313E+15").trusted == "33031"


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("3303015203200010", True),  # cut off after fifteen digits
        ("3303015203200020", True),  # rounded to fifteen
        ("3.30301520320002E+15", True),
        ("3.30302E+15", True),  # rounded to six
        ("3.3030E+15", True),
        ("3303015203200017", True),
        ("3303015203200030", False),
        ("3303015203200019", False),
        ("3.30303E+15", False),
        ("330301520320001", False),
    ],
)
def test_a_spreadsheet_may_have_cut_a_nik_off_or_rounded_it(written, made):
    assert may_be_made_of(read_nik(written), "3303015203200017") is made


def test_parts_are_decoded():
    nik = read_nik(VALID)
    assert (nik.birth_day, nik.birth_month, nik.birth_year, nik.gender) == (12, 4, 19, "female")
    assert (nik.province, nik.regency, nik.district) == ("33", "3303", "330312")


def test_truncated_nik_still_tells_the_birth_date():
    assert decoded_birth_date(read_nik("3303125204190010"), near=None, today=TODAY) == date(2019, 4, 12)


def test_there_are_38_provinces():
    assert len(PROVINCES) == 38


@pytest.mark.parametrize(
    ("digits", "near", "expected"),
    [
        ("3303125204190001", None, date(2019, 4, 12)),
        ("3303125204600001", None, date(1960, 4, 12)),
        ("3303125204190001", date(1921, 1, 1), date(1919, 4, 12)),
        ("3303125204300001", date(2029, 1, 1), date(1930, 4, 12)),
        ("3303122902000001", None, date(2000, 2, 29)),
    ],
)
def test_century_is_the_plausible_one(digits, near, expected):
    assert decoded_birth_date(read_nik(digits), near=near, today=TODAY) == expected


def test_nik_without_a_date_tells_none():
    assert decoded_birth_date(read_nik("3.30312E+15"), near=None, today=TODAY) is None


@pytest.mark.parametrize(
    ("digits", "born", "newborn", "expected"),
    [
        ("3303124502950001", date(2024, 3, 5), False, True),
        ("3303124502950001", date(2024, 3, 5), True, True),
        ("3303124502950001", None, True, True),
        ("3303124502950001", None, False, False),
        ("3303120503240001", date(2024, 3, 5), True, False),
        ("9104224606000005", date(2004, 8, 21), False, False),
        ("9204014804000002", date(1989, 11, 3), False, False),
        ("3303120503850001", date(2015, 3, 5), False, False),
    ],
)
def test_parents_nik_is_told_by_its_birth_date(digits, born, newborn, expected):
    assert is_parents_nik(read_nik(digits), birth_date=born, newborn=newborn) is expected


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=40), st.booleans())
def test_reading_never_raises_and_trusts_only_digits_that_were_written(text, numeric):
    nik = read_nik(text, numeric=numeric)
    assert nik.digits.startswith(nik.trusted)
    assert not (numeric and nik.status is NikStatus.VALID and nik.digits.endswith("0"))


@settings(derandomize=True, deadline=None)
@given(
    st.sampled_from(sorted(PROVINCES)),
    st.dates(min_value=date(1920, 1, 1), max_value=date(2025, 12, 31)),
    st.booleans(),
    st.integers(min_value=1, max_value=9999),
)
def test_every_nik_of_the_form_is_valid_or_ends_in_zero(province, born, female, serial):
    day = born.day + 40 * female
    digits = f"{province}0101{day:02}{born:%m%y}{serial:04}"
    nik = read_nik(digits)
    assert nik.status is (NikStatus.TRUNCATED if digits.endswith("0") else NikStatus.VALID)
    assert decoded_birth_date(nik, near=born, today=TODAY) == born
