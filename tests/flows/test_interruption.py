"""A load that is killed at any moment and started again ends as an undisturbed one."""

import json
import random

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN, Place
from tests.flows.killed_command import command
from tests.flows.server_content import canonical

SHARED_NIK = "5;Joko Purnomo;3303015203200003;L;02/02/1980;Sumini;Kemangkon;081210001009;15/04/2021;COVID-19;1;"
MORE = [
    f"{n};Anak Rekaan {chr(64 + n)}ra;;P;{n:02}/06/2021;Ibu {chr(70 + n)}ini;Mrebet;08129000{n:04};{n:02}/09/2021;Pentabio;1;"
    for n in range(1, 9)
]
ROWS = (RATNA, RATNA_POLIO, BAYU, VITAMIN, SHARED_NIK, *MORE)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the content after an undisturbed load, its summary, and how many moments it had."""
    home = tmp_path_factory.mktemp("undisturbed")
    place = Place(home, None)
    path = place.sheet(*ROWS)
    code, out, moments = command(home, 0, "load", path, "--json")
    assert code == 3
    return canonical(*place.content()), json.loads(out), moments


def books(summary):
    return {name: summary[name] for name in ("read", "loaded", "review", "rejected", "failed", "reasons")}


@pytest.mark.parametrize("part", range(6))
def test_a_load_killed_once_resumes_to_the_same_content(undisturbed, tmp_path, part):
    content, summary, moments = undisturbed
    fatal = 1 + part * moments // 6 + moments // 12
    place = Place(tmp_path, None)
    path = place.sheet(*ROWS)
    code, _, _ = command(tmp_path, fatal, "load", path, "--json")
    assert code == -9
    code, out, _ = command(tmp_path, 0, "load", path, "--json")
    assert (code, books(json.loads(out))) == (3, books(summary))
    assert canonical(*place.content()) == content


def test_a_load_killed_again_and_again_comes_to_its_end(undisturbed, tmp_path):
    content, summary, _ = undisturbed
    place = Place(tmp_path, None)
    path = place.sheet(*ROWS)
    chance = random.Random(20260101)
    for _ in range(25):
        code, out, _ = command(tmp_path, chance.randint(8, 40), "load", path, "--json")
        if code != -9:
            break
    else:
        code, out, _ = command(tmp_path, 0, "load", path, "--json")
    assert (code, books(json.loads(out))) == (3, books(summary))
    assert canonical(*place.content()) == content


def test_a_lost_ledger_creates_nothing_twice(undisturbed, tmp_path):
    content, _, _ = undisturbed
    place = Place(tmp_path, None)
    path = place.sheet(*ROWS)
    command(tmp_path, 0, "load", path, "--json")
    for file in (tmp_path / ".fhir-gateway" / "embedded").glob("ledger.db*"):
        file.unlink()
    command(tmp_path, 0, "load", path, "--json")
    assert canonical(*place.content()) == content
