"""What an operator said of a dose is taken back: what it made is marked as wrong, and the next load asks again."""

import pytest
from tests.flows.conftest import RATNA

MEASLES = RATNA.replace("BCG;1;B100", "Campak;;")
MEASLES_RUBELLA = RATNA.replace("BCG;1;B100", "MR;;")
"""Clinics use the one name for the other: whether these are one dose is an operator's to say."""


@pytest.fixture
def doubtful(place):
    """Return a place where a dose waits that may be the one that the person has, and that dose's file."""
    place.load(place.sheet(MEASLES))
    path = place.sheet(MEASLES_RUBELLA, name="next.csv")
    assert place.load(path)["review"] == 1
    return place, path


def question(place):
    (item,) = place.json("review", "list")
    return item


def statuses(place):
    return sorted(dose["status"] for dose in place.content()[1].values())


def test_a_dose_that_was_made_is_marked_as_wrong_and_asked_about_again(doubtful):
    place, path = doubtful
    item = question(place)
    assert place.json("review", "create", item["id"])["loaded"] == 1
    assert statuses(place) == ["completed", "completed"]
    assert place.json("review", "undo", item["id"])["marked"] == 1
    assert statuses(place) == ["completed", "entered-in-error"]
    assert place.load(path)["review"] == 1


def test_a_dose_that_was_named_stays_and_is_asked_about_again(doubtful):
    place, path = doubtful
    item = question(place)
    assert place.json("review", "link", item["id"], next(iter(place.content()[0])))["loaded"] == 1
    assert place.json("review", "undo", item["id"])["marked"] == 0
    assert statuses(place) == ["completed"]
    assert place.load(path)["review"] == 1
    assert place.load(place.home / "sheet.csv")["unchanged"] == 1


def test_an_answer_about_a_dose_is_taken_back_once(doubtful):
    place, _ = doubtful
    item = question(place)
    place.json("review", "create", item["id"])
    assert place.run("review", "undo", item["id"], "--to", "somebody")[0] == 2
    place.json("review", "undo", item["id"])
    assert place.run("review", "undo", item["id"])[0] == 2
