"""What an operator said of a dose is taken back: what it made is marked as wrong, and the next load asks again."""

import json
from shutil import copytree

import pytest
from tests.flows.conftest import RATNA, Place
from tests.flows.killed_command import command
from tests.flows.server_content import canonical

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
    content = place.content()
    assert place.json("review", "undo", item["id"])["done_before"] is True
    assert place.content() == content


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Return a folder where a dose was made by an answer, how it looks when that is taken back, and how many moments that has."""
    home = tmp_path_factory.mktemp("answered")
    place = Place(home, None)
    command(home, 0, "load", place.sheet(MEASLES), "--json")
    command(home, 0, "load", place.sheet(MEASLES_RUBELLA, name="next.csv"), "--json")
    (item,) = json.loads(command(home, 0, "review", "list", "--json")[1])
    assert command(home, 0, "review", "create", item["id"])[0] == 0
    undone = tmp_path_factory.mktemp("undone")
    copytree(home, undone, dirs_exist_ok=True)
    code, out, moments = command(undone, 0, "review", "undo", item["id"], "--json")
    assert code == 0
    return home, item["id"], json.loads(out), canonical(*Place(undone, None).content()), moments


@pytest.mark.parametrize("share", [0.7, 1])
def test_taking_an_answer_back_killed_once_ends_as_an_undisturbed_one(answered, tmp_path, share):
    home, item, told, content, moments = answered
    copytree(home, tmp_path, dirs_exist_ok=True)
    fatal = round(share * moments)
    assert command(tmp_path, fatal, "review", "undo", item)[0] == -9
    code, out, _ = command(tmp_path, 0, "review", "undo", item, "--json")
    assert canonical(*Place(tmp_path, None).content()) == content
    # Killed after the last commit, all is done already, and that is said.
    done_before = {"review": item, "state": "undone", "done_before": True}
    assert (code, json.loads(out)) == (0, done_before if fatal == moments else told)
    load = json.loads(command(tmp_path, 0, "load", tmp_path / "next.csv", "--json")[1])
    assert (load["review"], load["failed"]) == (1, 0)
