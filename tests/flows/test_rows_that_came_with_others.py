"""Rows that an answer's number drew to a Patient: once the answer is taken back, it is asked whose they are."""

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO
from tests.flows.test_rows_that_fit_two import OTHER_NUMBER, doses_of_each

DRAWN = (
    OTHER_NUMBER.replace("Ratna Dewanti", "Rtn. Ratna Dewanti")
    .replace("bOPV", "MR")
    .replace("Bukateja", "Bukateja Lor")
)
"""A later row with the other number, in words of its own."""


@pytest.fixture
def drawn(place):
    """Return the question that was answered `link`, after a later row followed the number that came by that."""
    place.load(place.sheet(RATNA))
    place.load(place.sheet(OTHER_NUMBER, name="second.csv"))
    (question,) = place.json("review", "list")
    place.json("review", "link", question["id"], question["candidates"][0])
    assert place.load(place.sheet(DRAWN, name="third.csv"))["loaded"] == 1
    assert doses_of_each(place) == [3]
    return question


def test_a_link_that_is_taken_back_asks_whose_they_are(place, drawn):
    _, out, err = place.run("review", "undo", drawn["id"])
    assert doses_of_each(place) == [1, 2], err
    (question,) = place.json("review", "list")
    assert f"review {question['id']} asks whose" in out
    assert (question["kind"], question["rows"], set(question["candidates"])) == (
        "loaded",
        1,
        set(place.server("Patient")),
    )
    other = next(one for one in question["candidates"] if one != drawn["candidates"][0])
    assert place.run("review", "link", question["id"], other)[0] == 0
    assert place.json("review", "list") == []
    assert len(place.json("person", "show", other)["immunizations"]) == 2
    numbers = [str(patient["identifier"]) for patient in place.server("Patient").values()]
    assert sum("3303015203200003" in text for text in numbers) == 1


def test_rows_that_are_unlinked_ask_whose_they_are(place, drawn):
    done = place.json("review", "unlink", 3, 1)
    assert done["asked"] == [question["id"] for question in place.json("review", "list")] != []
    again = place.json("review", "unlink", 3, 1)
    assert (again["done_before"], again["asked"]) == (True, done["asked"])


def test_once_they_are_back_nothing_is_asked_any_more(place, drawn):
    done = place.json("review", "unlink", 3, 1)
    assert place.run("review", "undo", done["review"])[0] == 0
    assert (place.json("review", "list"), doses_of_each(place)) == ([], [0, 3])
    shown = place.json("review", "show", done["asked"][0])
    assert (shown["state"], shown["rows"]) == ("undone", 1)


def test_nothing_is_asked_of_rows_that_say_nothing_against_the_others(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(RATNA_POLIO.replace("Bukateja", "Bukateja Lor"), name="second.csv"))
    assert place.json("review", "unlink", 2, 1)["asked"] == []


def test_nothing_is_taught_of_their_words_while_it_is_asked_whose_they_are(place, drawn):
    first = drawn["candidates"][0]
    place.run("review", "undo", drawn["id"])
    (question,) = place.json("review", "list")
    settled = [line for line in place.json("review", "show", question["id"])["evidence"] if "settled:" in line]
    assert settled == [f"  settled: nothing yet: an operator is asked (review {question['id']})"] * 2
    further = DRAWN.replace("15/05/2020;MR;1;P200", "15/09/2020;MR;2;M200")
    assert place.load(place.sheet(further, name="fourth.csv"))["review"] == 1
    (asked,) = [one for one in place.json("review", "list") if one["id"] != question["id"]]
    assert set(asked["candidates"]) == set(question["candidates"])
    (other,) = set(question["candidates"]) - {first}
    assert [place.run("review", "link", one["id"], other)[0] for one in (question, asked)] == [0, 0]
    assert doses_of_each(place) == [1, 3]
