"""Taking a link apart, killed at any moment and said again, ends as if nothing had happened."""

import json
from shutil import copytree

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, Place
from tests.flows.killed_command import command
from tests.flows.recalled_copies import copy_everything, recalled
from tests.flows.server_content import canonical

OTHER_PHONE = RATNA_POLIO.replace("081210001001", "081210009999")
SHARED = RATNA.replace("081210001001", "081210009999")
"""The dose of another clinic's row, said by the one that goes as well."""
PARTS = 6


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Load two clinics' sheets: of Ratna's rows two say another phone, one of them shares a dose with the other clinic."""
    home = tmp_path_factory.mktemp("filled")
    place = Place(home, None)
    command(home, 0, "load", place.sheet(RATNA, BAYU), "--json")
    second = place.sheet(OTHER_PHONE, SHARED, name="other.csv")
    command(home, 0, "load", second, "--clinic", "other", "--json")
    copy_everything(home)
    return home


@pytest.fixture
def loaded(filled, tmp_path):
    copytree(filled, tmp_path, dirs_exist_ok=True)
    return Place(tmp_path, None)


@pytest.fixture(scope="module")
def undisturbed(filled, tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    copytree(filled, home, dirs_exist_ok=True)
    code, out, moments = command(home, 0, "review", "unlink", 2, 1, "--json")
    assert code == 0
    kinds = kinds_of(recalled(home))
    assert kinds == [("Immunization", "unlinked"), ("Patient", "unlinked")]
    return canonical(*Place(home, None).content()), json.loads(out), moments


def kinds_of(recalls):
    """Return of each recall which type of resource it is about (ids differ from place to place), and why."""
    return sorted((name.partition("/")[0], reason) for name, reason in recalls)


def of_one_run(summary):
    return {name: summary[name] for name in ("rows", "doses", "left")}


@pytest.mark.parametrize("part", range(PARTS))
def test_an_unlinking_killed_once_ends_as_an_undisturbed_one(undisturbed, loaded, tmp_path, part):
    content, summary, moments = undisturbed
    code, _, _ = command(tmp_path, 1 + part * (moments - 1) // PARTS, "review", "unlink", 2, 1, "--json")
    assert code == -9
    code, out, _ = command(tmp_path, 0, "review", "unlink", 2, 1, "--json")
    assert (code, of_one_run(json.loads(out))) == (0, of_one_run(summary))
    assert canonical(*loaded.content()) == content
    assert kinds_of(recalled(tmp_path)) == [("Immunization", "unlinked"), ("Patient", "unlinked")]
    assert all(run["state"] == "finished" for run in json.loads(command(tmp_path, 0, "runs", "list", "--json")[1]))


def test_an_unlinking_killed_again_and_again_comes_to_its_end(undisturbed, loaded, tmp_path):
    content, _, moments = undisturbed
    for fatal in range(1, moments, 2):
        code, _, _ = command(tmp_path, fatal, "review", "unlink", 2, 1, "--json")
        if code != -9:
            break
    assert code == 0
    assert canonical(*loaded.content()) == content
    assert kinds_of(recalled(tmp_path)) == [("Immunization", "unlinked"), ("Patient", "unlinked")]


def test_a_load_that_was_cut_off_is_finished_before_its_patient_is_taken_apart(loaded, tmp_path):
    third = loaded.sheet(RATNA_POLIO.replace("15/05/2020", "15/08/2020"), name="third.csv")
    moments = command(tmp_path, 0, "load", third, "--dry-run", "--json")[2]
    for fatal in range(moments, moments + 40):
        code, _, _ = command(tmp_path, fatal, "load", third, "--json")
        if code != -9 or _newest_run(tmp_path)["state"] == "posting":
            break
    assert code == -9
    assert command(tmp_path, 0, "review", "unlink", 2, 1)[0] == 2
    assert command(tmp_path, 0, "load", third, "--json")[0] == 0
    assert command(tmp_path, 0, "review", "unlink", 2, 1)[0] == 0


def _newest_run(home):
    return max(json.loads(command(home, 0, "runs", "list", "--json")[1]), key=lambda run: run["run"])
