"""An operator's answer, killed at any moment and given again, ends as if nothing had happened."""

import json
import shutil
from contextlib import contextmanager, suppress

import pytest
from tests.flows.conftest import BAYU, RATNA, Place
from tests.flows.killed_command import command
from tests.flows.server_content import canonical

from fhir_gateway.ledger.store import Ledger

PARTS = 4


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    home = tmp_path_factory.mktemp("filled")
    place = Place(home, None)
    command(home, 0, "load", place.sheet(RATNA), "--json")
    question = place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv")
    command(home, 0, "load", question, "--json")
    return home


@pytest.fixture
def asked(filled, tmp_path):
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return Place(tmp_path, None)


@pytest.fixture(scope="module")
def undisturbed(filled, tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(filled, home, dirs_exist_ok=True)
    code, _, moments = command(home, 0, "review", "create", 1, "--json")
    assert code == 0
    return canonical(*Place(home, None).content()), moments


@pytest.mark.parametrize("part", range(PARTS))
def test_an_answer_killed_once_ends_as_an_undisturbed_one(undisturbed, asked, tmp_path, part):
    content, moments = undisturbed
    assert command(tmp_path, 2 + part * (moments - 3) // PARTS, "review", "create", 1)[0] == -9
    assert command(tmp_path, 0, "review", "create", 1)[0] == 0
    assert canonical(*asked.content()) == content
    assert json.loads(command(tmp_path, 0, "review", "show", 1, "--json")[1])["state"] == "created"
    assert all(run["state"] == "finished" for run in json.loads(command(tmp_path, 0, "runs", "list", "--json")[1]))


def test_another_answer_than_the_interrupted_one_is_refused(undisturbed, asked, tmp_path):
    (candidate,) = asked.content()[0]
    command(tmp_path, undisturbed[1] // 2, "review", "create", 1)
    assert command(tmp_path, 0, "review", "link", 1, candidate)[0] == 2
    assert command(tmp_path, 0, "review", "reject", 1, "--reason", "wrong")[0] == 2


class _Killed(BaseException):
    """Ends a command as a kill does: nothing after it is written."""


def commits(monkeypatch, act, *, fatal=0):
    """Return how often `act` commits to the ledger; at the commit `fatal` it is cut off, once that is written."""
    count = 0
    transaction = Ledger.transaction

    @contextmanager
    def watched(self):
        nonlocal count
        if fatal and count >= fatal:
            raise _Killed
        with transaction(self):
            yield
        count += 1
        if count == fatal:
            raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "transaction", watched)
        with suppress(_Killed):
            act()
    return count


@pytest.mark.parametrize("before_the_end", range(3))
def test_an_answer_on_contradicting_rows_cut_off_at_its_end_is_given_again(place, monkeypatch, before_the_end):
    def answer():
        return place.run("review", "create", 1)

    def prepare():
        shutil.rmtree(place.home / ".fhir-gateway", ignore_errors=True)
        place.load(place.sheet(RATNA, RATNA.replace("Bukateja", "Kutasari")))

    prepare()
    whole = commits(monkeypatch, answer)
    prepare()
    commits(monkeypatch, answer, fatal=whole - before_the_end)
    answer()
    assert place.json("review", "show", 1)["state"] == "created"
    assert all(run["state"] == "finished" for run in place.json("runs", "list"))
    assert [len(part) for part in place.content()] == [1, 1]


BARE = RATNA.replace("3303015203200003", "").replace("15/04/2020;BCG;1;B100", "15/06/2020;bOPV;2;P201")
OTHER_NUMBER = RATNA.replace("3303015203200003", "3303015203209003").replace("15/04/2020;BCG;1", "15/05/2020;bOPV;1")


def first_come_rows(place):
    """Load Ratna with a row that lacks her number, then who has another number."""
    place.load(place.sheet(RATNA, BARE))
    place.load(place.sheet(OTHER_NUMBER, name="next.csv"))


@pytest.mark.parametrize("before_the_end", range(2))
def test_whose_a_loaded_row_is_comes_out_the_same_wherever_the_answers_are_cut_off(
    place, begin, monkeypatch, before_the_end
):
    def say_two():
        return place.run("review", "create", 1)

    def move():
        *_, other = place.json("review", "show", 2)["candidates"]
        return place.run("review", "link", 2, other)

    for answer in (say_two, move):
        begin(first_come_rows)
        if answer is move:
            say_two()
        whole = commits(monkeypatch, answer)
        shutil.rmtree(place.home / ".fhir-gateway")
        begin(first_come_rows)
        if answer is move:
            say_two()
        commits(monkeypatch, answer, fatal=max(1, whole - before_the_end))
        assert answer()[0] == 0
    assert place.json("review", "list") == []
    doses = [dose["patient"]["reference"] for dose in place.server("Immunization").values()]
    assert sorted(map(doses.count, set(doses))) == [1, 2]
    assert all(run["state"] == "finished" for run in place.json("runs", "list"))


def test_a_loaded_row_is_not_left_where_it_is_while_it_is_being_moved(place, begin, monkeypatch):
    begin(first_come_rows)
    place.run("review", "create", 1)
    first, other = place.json("review", "show", 2)["candidates"]
    commits(monkeypatch, lambda: place.run("review", "link", 2, other), fatal=1)
    assert [place.run("review", "link", 2, patient)[0] for patient in (first, other)] == [2, 0]
