from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.people.dates import (
    FORMATS,
    DateFault,
    format_name,
    make_instant,
    read_clock,
    read_date,
    written_offset,
)

TODAY = date(2026, 1, 15)
JAKARTA = ZoneInfo("Asia/Jakarta")
USUAL = ("yyyy-mm-dd", "dd-mm-yyyy", "dd-mm-yy", "dd-month-yyyy", "excel-serial")


def _read(text, formats=USUAL, **options):
    return read_date(text, formats, today=TODAY, zone=JAKARTA, **options)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-01-12", "2024-01-12"),
        ("2024-01-12 00:00:00", "2024-01-12"),
        ("12/01/2024", "2024-01-12"),
        ("12-1-24", "2024-01-12"),
        ("12.01.2024", "2024-01-12"),
        ("12 Januari 2024", "2024-01-12"),
        ("Jumat, 12 Januari 2024", "2024-01-12"),
        ("12-Agt-2023", "2023-08-12"),
        ("3 Nopember 2021", "2021-11-03"),
        ("12 Jan 24", "2024-01-12"),
        ("2 December 2020", "2020-12-02"),
        ("January 12, 2024", "2024-01-12"),
        ("Okt 3rd 2023", "2023-10-03"),
        ("45303", "2024-01-12"),
        ("45303.75", "2024-01-12"),
        ("12/01/2024 7:40:00 PM", "2024-01-12"),
    ],
)
def test_a_date_is_read_in_every_usual_spelling(text, iso):
    assert _read(text).iso == iso


@pytest.mark.parametrize("text", ["", "-", "0000-00-00", "00/00/0000", "0000-00-00 00:00:00", "NULL", "belum"])
def test_signs_of_nothing_are_missing(text):
    assert _read(text).fault is DateFault.MISSING


@pytest.mark.parametrize("text", ["31/02/2024", "2024-13-01", "29/02/2023", "2019-00-00", "1/1/1024", "9999-01-01"])
def test_dates_that_do_not_exist_are_impossible(text):
    assert _read(text).fault is DateFault.IMPOSSIBLE


@pytest.mark.parametrize("text", ["kemarin", "12 Foo 2024", "Foo 12, 2024", "2024", "1234567", "12/2024"])
def test_what_fits_no_format_is_unreadable(text):
    assert _read(text).fault is DateFault.UNREADABLE


def test_an_ambiguous_date_follows_the_declared_order():
    assert _read("03/04/2024", ("dd-mm-yyyy", "mm-dd-yyyy")).iso == "2024-04-03"
    assert _read("03/04/2024", ("mm-dd-yyyy", "dd-mm-yyyy")).iso == "2024-03-04"


def test_a_later_format_is_tried_where_the_first_makes_no_date():
    assert _read("03/14/2024", ("dd-mm-yyyy", "mm-dd-yyyy")).iso == "2024-03-14"


def test_a_two_digit_year_is_the_latest_that_is_not_in_the_future():
    assert _read("01-01-26").iso == "2026-01-01"
    assert _read("01-01-27").iso == "1927-01-01"


def test_an_expiry_may_lie_in_the_future():
    assert _read("01-01-27", future=True).iso == "2027-01-01"


def test_an_instant_of_another_zone_becomes_the_local_day():
    read = _read("2024-01-11T17:30:00Z")
    assert (read.iso, read.clock) == ("2024-01-12", "00:30:00")


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        *((text, "08:30:00") for text in ("01/05/2021 08.30", "1 Mei 2021 pukul 08.30", "01-05-2021 08:30 WIB")),
        ("01/05/2021 08:30 WITA", "07:30:00"),
        ("01/05/2021 00.00 WITA", ""),
    ],
)
def test_a_time_behind_a_date_is_local_whatever_zone_it_names(text, clock):
    assert (_read(text).iso, _read(text).clock) == ("2021-05-01", clock)


def test_a_time_of_day_may_name_its_zone():
    named = ("08.15 WIB", "08.15 wita", "08:15 WIT", "08:15+08:00", "08:15", "pagi")
    assert [written_offset(text) for text in named] == ["+07:00", "+08:00", "+09:00", "+08:00", "", ""]


def test_midnight_is_no_time_of_day():
    assert read_clock("00:00:00") == ""
    assert read_clock("08.15 WIB") == "08:15:00"
    assert read_clock("25:00") == ""
    assert [read_clock(text) for text in ("7:40 AM", "7:40:05 pm", "12:10 AM", "13:00 PM")] == [
        "07:40:00",
        "19:40:05",
        "00:10:00",
        "13:00:00",
    ]
    assert [read_clock(text) for text in ("0.3125", "0,319444444", "0.5", "0.000001")] == [
        "07:30:00",
        "07:40:00",
        "",
        "",
    ]


def test_an_instant_carries_the_offset_of_its_zone():
    assert make_instant("2024-01-12", "08:15:00", ZoneInfo("Asia/Makassar")) == "2024-01-12T08:15:00+08:00"


@settings(derandomize=True)
@given(
    st.datetimes(min_value=datetime.fromisoformat("1900-01-01"), max_value=datetime.fromisoformat("2100-01-01")),
    st.sampled_from([ZoneInfo("Asia/Jakarta"), ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia"), UTC]),
)
def test_an_instants_offset_is_that_of_its_time(moment, zone):
    moment = moment.replace(microsecond=0)
    iso, _, clock = moment.isoformat().partition("T")
    assert make_instant(iso, clock, zone) == moment.replace(tzinfo=zone).isoformat()


def test_an_instant_of_the_day_on_which_clocks_change():
    berlin = ZoneInfo("Europe/Berlin")
    assert make_instant("2024-03-31", "01:59:59", berlin).endswith("+01:00")
    assert make_instant("2024-03-31", "03:00:00", berlin).endswith("+02:00")


def test_formats_may_be_named_with_any_separator():
    assert format_name("dd/mm/yyyy") == "dd-mm-yyyy"
    assert {format_name("Excel serial"), format_name("dd month yyyy")} <= set(FORMATS)


@settings(derandomize=True)
@given(st.dates(min_value=date(1930, 1, 1), max_value=TODAY))
def test_every_date_survives_every_spelling(day):
    serial = (day - date(1899, 12, 30)) // timedelta(days=1)
    for text in (day.isoformat(), day.strftime("%d/%m/%Y"), day.strftime("%d %B %Y"), str(serial)):
        assert _read(text).iso == day.isoformat()


@settings(derandomize=True)
@given(st.text(max_size=30))
def test_no_text_makes_the_reader_fail(text):
    read = read_date(text, FORMATS, today=TODAY, zone=UTC)
    assert read.fault is not None or date.fromisoformat(read.iso)
