"""Rows that went to the first of two whom they fit: whose they are is asked once an operator says that these are two."""

import csv

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO
from tests.flows.test_rows_that_fit_two import BARE, MOVED, OTHER_NUMBER, doses_of_each


def loaded_first(place):
    """Load Ratna with two rows that lack her number, then who has another number; return the one question."""
    place.load(place.sheet(RATNA, BARE, MOVED, name="first.csv"))
    place.load(place.sheet(OTHER_NUMBER, name="second.csv"))
    (question,) = place.json("review", "list")
    return question


@pytest.fixture
def asked(place, begin):
    return begin(loaded_first)


@pytest.fixture
def two(place, asked):
    """Return the questions that wait once an operator said that the two are two people."""
    place.run("review", "create", asked["id"])
    return place.json("review", "list")


def test_a_question_names_the_rows_that_are_loaded_and_fit_as_well(place, asked):
    (rows,) = place.json("review", "show", asked["id"])["loaded"].values()
    assert [row["row"] for row in rows] == [2, 3]
    assert "rows 2, 3 of first.csv" in place.run("review", "show", asked["id"])[1]


def test_an_answer_that_they_are_one_asks_nothing_more(place, asked):
    place.run("review", "link", asked["id"], asked["candidates"][0])
    assert (place.json("review", "list"), doses_of_each(place)) == ([], [4])


def test_an_answer_that_they_are_two_asks_whose_each_row_is_and_tells_so(place, asked):
    _, out, _ = place.run("review", "create", asked["id"])
    two = place.json("review", "list")
    assert [(one["kind"], one["rows"], set(one["candidates"])) for one in two] == [
        ("loaded", 1, set(place.server("Patient")))
    ] * 2
    assert all(f"review {one['id']} asks whose" in out for one in two)


def test_a_question_whose_a_row_is_shows_how_it_fits_each_of_the_two(place, two):
    question = two[0]
    first, second = question["candidates"]
    told = place.json("review", "show", question["id"])["evidence"]
    (row,) = place.json("review", "show", question["id"])["rows_in"]
    compared = [line for line in told if line.startswith("compared with")]
    assert compared == [
        f"compared with Patient/{first}, by those of its rows that contradict who is asked about:",
        f"compared with Patient/{second}, by the rows that an operator said are another person's:",
    ]
    assert sum("in sum; from 10 on" in line for line in told) == 2
    assert not any("of today" in line for line in told)
    assert place.json("runs", "show", row["run"], "--row", row["row"])["evidence"] == told
    assert "the same name\n" in place.run("review", "show", question["id"])[1]
    place.run("review", "export", "sheet.csv")
    with (place.home / "sheet.csv").open(encoding="utf-8-sig", newline="") as sheet:
        lines = list(csv.DictReader(sheet))
    assert {
        (line["patient"], line["evidence"].splitlines()[0]) for line in lines if line["review"] == str(question["id"])
    } == {
        (first, compared[0]),
        (second, compared[1]),
    }


def test_each_row_stays_or_its_dose_goes_to_the_other(place, two):
    first, second = two[0]["candidates"]
    place.run("review", "link", two[0]["id"], second)
    place.run("review", "link", two[1]["id"], first)
    before = place.content()
    assert (place.json("review", "list"), doses_of_each(place)) == ([], [2, 2])
    books = [place.load(place.home / name) for name in ("first.csv", "second.csv")]
    assert [(one["unchanged"], one["review"]) for one in books] == [(3, 0), (1, 0)]
    assert place.content() == before


def test_an_answer_is_taken_back_and_given_otherwise(place, two):
    first, second = two[0]["candidates"]
    for question, whose in zip(two, (second, first), strict=True):
        place.run("review", "link", question["id"], whose)
        assert place.run("review", "undo", question["id"])[0] == 0
    assert ([one["id"] for one in place.json("review", "list")], doses_of_each(place)) == (
        [one["id"] for one in two],
        [1, 3],
    )
    assert place.run("review", "create", two[0]["id"])[0] == 0
    assert place.run("review", "link", two[1]["id"], second)[0] == 0
    assert (place.json("review", "list"), doses_of_each(place)) == ([], [1, 1, 2])


def test_a_row_that_is_corrected_meanwhile_is_asked_about_still(place, two):
    corrected = place.load(place.sheet(BARE.replace("081210001001", "081210001009"), name="corrected.csv"))
    assert (corrected["loaded"], len(place.json("review", "list"))) == (1, 2)
    place.run("review", "link", two[0]["id"], two[0]["candidates"][1])
    place.run("review", "link", two[1]["id"], two[1]["candidates"][1])
    assert doses_of_each(place) == [1, 3]


def test_rows_that_are_loaded_cannot_be_rejected(place, two):
    assert place.run("review", "reject", two[0]["id"], "--reason", "wrong")[0] == 2


def test_a_row_with_the_number_of_either_is_not_asked_about(place):
    place.load(place.sheet(RATNA, RATNA_POLIO))
    place.load(place.sheet(OTHER_NUMBER, name="second.csv"))
    (question,) = place.json("review", "list")
    place.run("review", "create", question["id"])
    assert place.json("review", "list") == []
