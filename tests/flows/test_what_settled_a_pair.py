"""A row's waterfall tells who or what settled each pair, and shows what doses tell, by the real command."""

import sqlite3
from contextlib import closing

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO

SENO = "1;Seno Wibisana;;L;02/05/2023;Ratna;;;16/01/2024;MR;1;CD77777"
SENO_ELSEWHERE = "1;Seno Wibisana;;L;20/05/2023;Tuti;;;16/01/2024;MR;1;CD77777"
"""A digit of the birth date and the mothers apart: nobody would be asked but for the lot."""
SENO_WITHOUT_LOT = SENO_ELSEWHERE.replace("CD77777", "")


@pytest.fixture
def asked(place):
    place.load(place.sheet(SENO, name="jan.csv"), place.sheet(SENO_ELSEWHERE, name="feb.csv"))
    return place


def _told(place, *row):
    return place.json("runs", "show", *row)["evidence"]


def _settled(place, *row):
    return [line.strip() for line in _told(place, *row) if "settled:" in line]


def test_a_lot_that_two_lists_have_asks_an_operator_and_says_so(asked):
    (item,) = asked.json("review", "list")
    told = "\n".join(asked.json("review", "show", item["id"])["evidence"])
    assert item["code"] == "same-lot"
    assert "the same lot, vaccine and day; as far as is known nobody else received it there" in told
    assert "CD77777" not in told
    for file in ("1", "2"):
        assert _settled(asked, 1, "--row", 1, "--file", file) == [
            f"settled: nothing yet: an operator is asked (review {item['id']})"
        ]


def test_an_answer_is_told_with_who_and_when_under_both_rows(asked):
    (item,) = asked.json("review", "list")
    asked.json("review", "link", item["id"], item["candidates"][0], "--user", "rina")
    for file in ("1", "2"):
        (line,) = _settled(asked, 1, "--row", 1, "--file", file)
        assert line.startswith("settled: one person, as rina decided on 20")
        assert line.endswith(f"(review {item['id']})")


def test_a_rejection_and_its_taking_back_are_told(asked):
    (item,) = asked.json("review", "list")
    asked.json("review", "reject", item["id"], "--reason", "typed twice", "--user", "rina")
    (line,) = _settled(asked, 1, "--row", 1, "--file", 2)
    assert line.startswith("settled: the row was rejected, as rina decided on 20")
    asked.json("review", "undo", item["id"])
    (line,) = _settled(asked, 1, "--row", 1, "--file", 2)
    assert line.startswith("settled: nothing yet")


def test_a_question_that_waits_is_told_under_the_first_run_too_when_the_files_were_loaded_again(asked):
    before = [_settled(asked, 1, "--row", 1, "--file", file) for file in ("1", "2")]
    asked.load(asked.home / "jan.csv", asked.home / "feb.csv")
    assert [_settled(asked, 1, "--row", 1, "--file", file) for file in ("1", "2")] == before
    (item,) = asked.json("review", "list")
    asked.json("review", "reject", item["id"], "--reason", "typed twice", "--user", "rina")
    for run in (1, 2):
        (line,) = _settled(asked, run, "--row", 1, "--file", 2)
        assert line.startswith("settled: the row was rejected, as rina decided on 20")


def test_a_link_that_was_taken_apart_is_told(place):
    place.load(place.sheet(RATNA, RATNA_POLIO.replace("081210001001", "081210009999")))
    (line,) = _settled(place, 1, "--row", 2)
    assert line.startswith("settled: one person, by the threshold: ")
    place.json("review", "unlink", 1, 2, "--user", "wati")
    (line,) = _settled(place, 1, "--row", 2)
    assert line.startswith("settled: two people, as wati decided on 20")


def test_an_answer_of_before_is_not_told_of_two_rows_that_came_later(place):
    ratna, mistyped = RATNA, RATNA.replace("3303015203200003", "3303015203200008")
    place.load(place.sheet(ratna, name="jan.csv"), place.sheet(mistyped.replace("BCG", "bOPV"), name="feb.csv"))
    (item,) = place.json("review", "list")
    place.json("review", "link", item["id"], item["candidates"][0], "--user", "rina")
    later = mistyped.replace("BCG", "IPV")
    place.load(place.sheet(later, later.replace("IPV", "MR").replace("081210001001", ""), name="mar.csv"))
    run = place.json("runs", "list")[0]["run"]
    pairs = "\n".join(_told(place, run, "--row", 1)).split("compared by themselves: ")[1:]
    settled = {
        pair.split(" with ")[1].split()[0]: pair.split("settled: ")[1].strip() for pair in pairs if "this row" in pair
    }
    assert settled["Patient/" + item["candidates"][0] + ":"].startswith("one person, as rina decided on 20")
    assert settled["row"].startswith("one person, by the threshold: ")


def _merge(place):
    """Merge the Patients and return which one stays."""
    plan = place.home / "plan.json"
    place.run("merge", "plan", *place.server("Patient"), "--out", plan)
    place.json("merge", "apply", plan, "--user", "ani", "--accept-conflicts")
    (active,) = [one for one, patient in place.server("Patient").items() if patient.get("active") is not False]
    return active


def test_a_merge_since_is_told(place):
    place.load(place.sheet(SENO, name="jan.csv"))
    place.load(place.sheet(SENO_WITHOUT_LOT, name="feb.csv"))
    stays = _merge(place)
    (line,) = _settled(place, 2, "--row", 1)
    assert line.startswith("settled: not joined, by the threshold: 0.1 is below 3; since 20")
    assert line.endswith(f"one Patient ({stays}) by merge 1, by ani")


def test_a_merge_of_whom_an_operator_created_is_told_and_its_undoing(asked):
    (item,) = asked.json("review", "list")
    asked.json("review", "create", item["id"], "--user", "rina")
    stays = _merge(asked)
    told = [_settled(asked, 1, "--row", 1, "--file", file) for file in ("1", "2")]
    told.append([line.strip() for line in asked.json("review", "show", item["id"])["evidence"] if "settled:" in line])
    for (line,) in told:
        assert line.startswith("settled: two people, as rina decided on 20")
        assert f"(review {item['id']}, a new person); since 20" in line
        assert line.endswith(f"one Patient ({stays}) by merge 1, by ani")
    asked.run("merge", "undo", 1, "--user", "budi", "--reason", "two children")
    (line,) = _settled(asked, 1, "--row", 1, "--file", 2)
    assert "one Patient for a time by merge 1, by ani, which budi undid on 20" in line


def test_a_merge_of_what_was_taken_apart_is_told(place):
    place.load(place.sheet(RATNA, RATNA_POLIO.replace("081210001001", "081210009999")))
    place.json("review", "unlink", 1, 2, "--user", "wati")
    stays = _merge(place)
    (line,) = _settled(place, 1, "--row", 2)
    assert line.startswith("settled: two people, as wati decided on 20")
    assert line.endswith(f"one Patient ({stays}) by merge 1, by ani")


def test_what_was_loaded_before_is_told_as_this_row_or_another_of_the_same_words(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(RATNA.replace("B100", "B200"), RATNA_POLIO, name="next.csv"))
    lines = {row: _settled(place, 2, "--row", row) for row in (1, 2)}
    assert (
        lines[1]
        == lines[2]
        == ["settled: one person, as a row that says this of the person was loaded for it before (run 1)"]
    )
    place.load(place.sheet(RATNA_POLIO.replace("bOPV;1", "bOPV;2").replace("15/05", "15/07"), name="later.csv"))
    assert _settled(place, 3, "--row", 1) == [
        "settled: one person, as another row that says the very same of the person was loaded for it before"
    ]


def test_a_decision_is_told_with_the_thresholds_that_it_was_made_with(asked):
    before = _told(asked, 1, "--row", 1, "--file", 2)
    (asked.home / "environments").mkdir()
    (asked.home / "environments" / "embedded.toml").write_text("[matching]\nprobable = 0\ncertain = 20\n")
    assert _told(asked, 1, "--row", 1, "--file", 2) == before
    with closing(sqlite3.connect(next(asked.home.rglob("ledger.db")))) as ledger:
        ledger.execute("update runs set thresholds = ''")
        ledger.commit()
    told = _told(asked, 1, "--row", 1, "--file", 2)
    assert told[-1] == "the thresholds named here are those of today; those of this run were not kept"
    assert any("from 20 on it counts as certain" in line for line in told)


def test_which_file_of_several_is_meant_has_to_be_said(asked):
    for command in (("runs", "show", 1, "--row", 1), ("identity", "compare", "1:1", "1:2:1")):
        code, _, err = asked.run(*command)
        assert code == 2
        assert "run 1 read 2 files" in err
        assert "(1 jan.csv, 2 feb.csv)" in err
    patient = _patient_of_january(asked)
    assert asked.json("identity", "compare", "1:2:1", patient)["match_grade"] == "probable"


def _patient_of_january(place):
    return place.json("runs", "show", 1, "--row", 1, "--file", 1)["patient_id"]


def test_two_rows_are_compared_with_their_doses(place):
    jan, feb = place.sheet(SENO, name="jan.csv"), place.sheet(SENO_ELSEWHERE, name="feb.csv")
    found = place.json("identity", "compare", f"{jan}:1", f"{feb}:1")
    lot = next(one for one in found["evidence"] if one["field"] == "lot")
    assert (lot["weight"], found["match_grade"]) == (4.0, "probable")
    assert found["weight"] < 3


def test_two_patients_are_compared_with_how_many_the_server_knows(place):
    place.load(place.sheet(SENO, name="jan.csv"))
    place.load(place.sheet(SENO_ELSEWHERE, name="feb.csv"))
    (item,) = place.json("review", "list")
    assert item["code"] == "same-lot"
    place.json("review", "create", item["id"])
    found = place.json("identity", "compare", *place.server("Patient"))
    assert any(one["words"].endswith("2 people received it there") for one in found["evidence"])
