"""Words in the wrong place: one message each, exit code 2, and no NIK is told again."""

import pytest
from tests.flows.conftest import RATNA
from tests.flows.wrong_usage import refused

NIK = "3303015203200003"


@pytest.mark.parametrize(
    "words",
    [
        (NIK,),
        ("mapping", NIK),
        ("demo", NIK),
        ("runs", "list", f"--{NIK}"),
        ("runs", "show", NIK),
        ("load", NIK),
        ("load", f"{NIK}.csv"),
        ("env", "check", NIK),
        ("person", "show", NIK),
        ("identity", "compare", NIK, NIK),
        ("identity", "compare", f"sheet.csv:{NIK}", f"1:{NIK}"),
        ("access", "add", "desk", "--role", NIK),
        ("merge", "undo", "1", "--move", NIK),
        ("serve", "--host", NIK),
    ],
)
def test_a_nik_in_the_wrong_place_is_not_told_again(place, words):
    place.sheet(RATNA)
    assert NIK not in refused(place, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("load", "sheet.csv", "--limit", "9" * 23),
        ("convert", "sheet.csv", "--out", "o.ndjson", "--limit", "9" * 23),
        ("mapping", "preview", "sheet.csv", "--limit", "9" * 23),
        ("review", "unlink", "1", "1", "--file", "9" * 23),
        ("identity", "compare", "1:" + "9" * 23, "sheet.csv:1"),
        ("identity", "thresholds", "sheet.csv", "--margin", "nan"),
        ("registry", "pulls", "--limit", "9" * 23),
        ("merge", "history", "--patient", "\udcff"),
        ("load", "caf\udce9.csv"),
        ("serve", "--host", ""),
        ("serve", "--host", "\u202ex"),
        ("fhir-server", "--host", " "),
    ],
)
def test_numbers_without_end_and_words_that_are_none_are_wrong_usage(place, words):
    place.sheet(RATNA)
    refused(place, *words)


@pytest.mark.parametrize("time", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"])
def test_the_ends_of_time_are_times(place, time):
    assert place.json("merge", "history", "--since", time) == []
