"""Merging and undoing, killed at any moment and said again, end as if nothing had happened."""

import json
from shutil import copytree

import pytest
from tests.fakes.duplicated_people import NIK, family
from tests.fakes.merging_place import everything, fill
from tests.flows.conftest import RATNA, RATNA_POLIO
from tests.flows.killed_command import command
from tests.flows.recalled_copies import copy_everything, recalled
from tests.flows.test_load import counts

APPLYING, UNDOING = 4, 4
"""At how many moments, spread evenly, each is killed."""


def moment(moments, part, parts):
    """Return the moment of a part, from the first to the last one."""
    return 1 + part * (moments - 1) // (parts - 1)


def told(out):
    """Return what a merge came to, apart from what an interruption costs."""
    (merge,) = json.loads(out)["merges"]
    return {name: value for name, value in merge.items() if name != "requests"}


def provenances(place):
    """Return of each Provenance whom it names, without versions."""
    found = place.server("Provenance").values()
    return sorted(sorted(one["reference"].partition("/_history")[0] for one in each["target"]) for each in found)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return folders with everything planned, merged and undone, and the moments of merging and undoing."""
    home = tmp_path_factory.mktemp("undisturbed")
    fill(home, family())
    copy_everything(home)
    assert command(home, 0, "merge", "plan", NIK, "--out", home / "plan.json")[0] == 0
    copies = tmp_path_factory.mktemp("copies")
    copytree(home, copies / "planned")
    code, out, applying = command(home, 0, "merge", "apply", home / "plan.json", "--json")
    assert code == 0
    copytree(home, copies / "merged")
    copy_everything(home)
    copytree(home, copies / "merged and pulled")
    code, _, undoing = command(home, 0, "merge", "undo", 1, "--json")
    assert code == 0
    copytree(home, copies / "undone")
    assert everything(home) == everything(copies / "planned")
    return copies, told(out), applying, undoing


def disturbed(place, folder, fatal, *words):
    """Kill a command in a copy of a folder, and say it again; return its code and output then."""
    copytree(folder, place.home, dirs_exist_ok=True)
    assert command(place.home, fatal, *words, "--json")[0] == -9
    code, out, _ = place.run(*words, "--json")
    return code, out


def as_in(folder, place):
    """Return content, Provenance and recalls of the undisturbed folder."""
    other = type(place)(folder, None)
    assert recalled(folder)
    return everything(folder), provenances(other), recalled(folder)


@pytest.mark.parametrize("part", range(APPLYING))
def test_a_merge_killed_once_ends_as_an_undisturbed_one(folders, place, part):
    copies, summary, moments, _ = folders
    fatal = moment(moments, part, APPLYING)
    code, out = disturbed(place, copies / "planned", fatal, "merge", "apply", place.home / "plan.json")
    assert (code, told(out)) == (0, summary)
    assert (everything(place.home), provenances(place), recalled(place.home)) == as_in(copies / "merged", place)


@pytest.mark.parametrize("part", range(UNDOING))
def test_an_undoing_killed_once_ends_as_an_undisturbed_one(folders, place, part):
    copies, _, _, moments = folders
    code, out = disturbed(place, copies / "merged and pulled", moment(moments, part, UNDOING), "merge", "undo", 1)
    assert (code, json.loads(out)["state"]) == (0, "undone")
    assert (everything(place.home), provenances(place), recalled(place.home)) == as_in(copies / "undone", place)


def test_a_clinics_file_is_unchanged_after_its_patient_was_merged(place):
    sheet = place.sheet(RATNA, RATNA_POLIO)
    place.load(sheet)
    (loaded,) = place.server("Patient").values()
    rest = {name: value for name, value in loaded.items() if name not in {"id", "meta"}}
    identifiers = [*rest["identifier"], {"system": "https://fhir.kemkes.go.id/id/ihs-number", "value": "P02478375538"}]
    twin = rest | {"id": "a-twin", "language": "id", "identifier": identifiers}
    fill(place.home, [twin])
    plan = place.home / "plan.json"
    assert place.run("merge", "plan", loaded["id"], "a-twin", "--out", plan)[0] == 0
    _, out, _ = place.run("merge", "apply", plan, "--accept-conflicts", "--json")
    assert told(out)["replaced"] == [loaded["id"]]
    before = everything(place.home)
    assert counts(place.load(sheet)) == {"unchanged": 2}
    assert everything(place.home) == before
    assert place.run("merge", "undo", 1)[0] == 0
    before = everything(place.home)
    assert counts(place.load(sheet)) == {"unchanged": 2}
    assert everything(place.home) == before
