"""A clinic exports everything again: a twin who is new in it is told by the doses of the lines that have not changed."""

import sqlite3
from contextlib import closing

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO

CHILD = [row.replace("Ratna Dewanti", "Naura Khairunnisa") for row in (RATNA, RATNA_POLIO)]
NEWBORN = [
    row.replace("Naura Khairunnisa;3303015203200003", "By. Ny. Lastri Handayani;3303014505950001") for row in CHILD
]
MISSPELLED = [
    row.replace("Naura Khairunnisa;3303015203200003", "Naura Khairunisa;").replace(";15/0", ";25/0") for row in CHILD
]


@pytest.mark.parametrize("rows", [NEWBORN, MISSPELLED])
def test_doses_that_the_list_has_twice_are_asked_about_in_a_later_export_as_well(place, rows):
    place.load(place.sheet(*CHILD))
    before = place.content()
    books = place.load(place.sheet(*CHILD, *rows, name="next.csv"))
    assert (books["unchanged"], books["review"]) == (2, 2)
    assert place.content() == before
    (item,) = place.json("review", "list")
    assert item["code"] == "doses-contradict"


@pytest.mark.parametrize("rows", [NEWBORN, [row.replace(";25/0", ";15/0") for row in MISSPELLED]])
def test_doses_that_stood_in_an_earlier_export_only_part_nobody_on_the_same_days(place, rows):
    """They may be the same rows, under the name that the child got meanwhile."""
    place.load(place.sheet(*rows))
    assert place.load(place.sheet(*CHILD, name="next.csv"))["loaded"] == 2
    assert len(place.content()[0]) == 1


def test_numbered_doses_that_an_earlier_export_has_on_other_days_are_asked_about(place):
    place.load(place.sheet(*MISSPELLED))
    assert place.load(place.sheet(*CHILD, name="next.csv"))["review"] == 2
    (item,) = place.json("review", "list")
    told = "\n".join(place.json("review", "show", item["id"])["evidence"])
    assert item["code"] == "doses-contradict"
    assert "the doses speak for two people: one list has the same dose of both on days a week or more apart" in told


TWIN = [row.replace("Naura Khairunnisa", "Nauri Khairunnisa") for row in CHILD]


def test_twins_under_one_nik_are_asked_about_by_their_doses(place):
    """Whose the number is no comparison tells: every dose of theirs stands twice."""
    assert place.load(place.sheet(*CHILD, *TWIN))["review"] == 2
    assert [item["code"] for item in place.json("review", "list")] == ["doses-contradict"]


def test_a_twin_under_the_same_nik_in_a_later_file_is_asked_about(place):
    place.load(place.sheet(*CHILD))
    assert place.load(place.sheet(*TWIN, name="next.csv"))["review"] == 2
    (item,) = place.json("review", "list")
    told = "\n".join(place.json("review", "show", item["id"])["evidence"])
    assert item["code"] == "doses-contradict"
    assert "two files of one source have several doses of both, under names a sound apart" in told


def test_what_unchanged_rows_told_is_not_kept_beyond_the_load(place):
    path = place.sheet(RATNA, RATNA_POLIO)
    place.load(path)
    assert place.load(path)["unchanged"] == 2
    with closing(sqlite3.connect(next(place.home.rglob("ledger.db")))) as ledger:
        assert ledger.execute("select count(*) from records where payload is not null").fetchone() == (0,)
