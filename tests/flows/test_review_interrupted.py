"""An operator's answer, killed at any moment and given again, ends as if nothing had happened."""

import json

import pytest
from tests.flows.conftest import BAYU, RATNA, Place
from tests.flows.server_content import canonical
from tests.flows.test_interruption import command

PARTS = 4


def asked(home):
    place = Place(home, None)
    command(home, 0, "load", place.sheet(RATNA), "--json")
    question = place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv")
    command(home, 0, "load", question, "--json")
    return place


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = asked(tmp_path_factory.mktemp("undisturbed"))
    code, _, moments = command(place.home, 0, "review", "create", 1, "--json")
    assert code == 0
    return canonical(*place.content()), moments


@pytest.mark.parametrize("part", range(PARTS))
def test_an_answer_killed_once_ends_as_an_undisturbed_one(undisturbed, tmp_path, part):
    content, moments = undisturbed
    place = asked(tmp_path)
    assert command(tmp_path, 2 + part * (moments - 3) // PARTS, "review", "create", 1)[0] == -9
    assert command(tmp_path, 0, "review", "create", 1)[0] == 0
    assert canonical(*place.content()) == content
    assert json.loads(command(tmp_path, 0, "review", "show", 1, "--json")[1])["state"] == "created"
    assert all(run["state"] == "finished" for run in json.loads(command(tmp_path, 0, "runs", "list", "--json")[1]))


def test_another_answer_than_the_interrupted_one_is_refused(undisturbed, tmp_path):
    place = asked(tmp_path)
    (candidate,) = place.content()[0]
    command(tmp_path, undisturbed[1] // 2, "review", "create", 1)
    assert command(tmp_path, 0, "review", "link", 1, candidate)[0] == 2
