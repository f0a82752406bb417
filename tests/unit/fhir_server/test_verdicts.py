from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir_server.verdicts import LONGEST_PAUSE, LONGEST_RETRY_AFTER, Verdict, judge, pause, retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "condition", "verdict"),
    [
        (200, "", Verdict.SUCCESS),
        (201, "create", Verdict.SUCCESS),
        (204, "", Verdict.SUCCESS),
        (408, "", Verdict.BUSY),
        (423, "", Verdict.BUSY),
        (425, "", Verdict.BUSY),
        (429, "", Verdict.BUSY),
        (500, "", Verdict.BUSY),
        (502, "", Verdict.OUTAGE),
        (503, "", Verdict.OUTAGE),
        (504, "", Verdict.OUTAGE),
        (522, "", Verdict.OUTAGE),
        (501, "", Verdict.REFUSED),
        (400, "", Verdict.REFUSED),
        (401, "", Verdict.REFUSED),
        (403, "", Verdict.REFUSED),
        (404, "update", Verdict.REFUSED),
        (422, "create", Verdict.REFUSED),
        (409, "create", Verdict.BUSY),
        (412, "create", Verdict.REFUSED),
        (409, "update", Verdict.CHANGED),
        (412, "update", Verdict.CHANGED),
        (409, "", Verdict.REFUSED),
        (304, "", Verdict.REFUSED),
    ],
)
def test_each_status_has_one_verdict(status, condition, verdict):
    assert judge(status, condition=condition) is verdict


def test_retry_after_is_read_as_seconds_and_as_date():
    assert retry_after({"Retry-After": "120"}, NOW) == 120
    assert retry_after({"Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, NOW) == 90
    assert retry_after({"Retry-After": format_datetime(NOW - timedelta(days=1), usegmt=True)}, NOW) == 0


def test_a_date_counts_from_the_clock_of_who_wrote_it():
    there = NOW + timedelta(hours=7)
    headers = {"Retry-After": there + timedelta(seconds=90), "Date": there}
    written = {name: format_datetime(moment, usegmt=True) for name, moment in headers.items()}
    assert retry_after(written, NOW) == 90
    assert retry_after({**written, "Date": "yesterday"}, NOW) == LONGEST_RETRY_AFTER


@given(st.text(max_size=40))
@settings(derandomize=True)
def test_any_retry_after_is_none_or_bounded(text):
    seconds = retry_after({"Retry-After": text}, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.integers(1, 10_000), st.none() | st.floats(0, 3600), st.floats(0, 0.999))
@settings(derandomize=True)
def test_a_pause_is_bounded_and_never_shorter_than_asked(attempt, asked, chance):
    seconds = pause(attempt, asked=asked, chance=chance)
    assert 0 < seconds <= max(LONGEST_PAUSE, (asked or 0) + 1)
    assert asked is None or seconds >= asked
