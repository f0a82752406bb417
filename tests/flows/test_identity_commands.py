"""Two people compared, and thresholds tried, without a trace."""

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

NEAR = RATNA_POLIO.replace("3303015203200003", "").replace("081210001001", "").replace("Lastri Handayani", "")
"""Ratna by name and birth date alone."""


def test_two_rows_are_compared_with_their_evidence(place):
    place.sheet(RATNA, RATNA_POLIO, BAYU)
    same = place.json("identity", "compare", "sheet.csv:1", "sheet.csv:2")
    assert (same["match_grade"], same["frequencies"]) == ("certain", "shipped")
    assert "the shipped frequencies" in place.run("identity", "compare", "sheet.csv:1", "sheet.csv:2")[1]
    assert {piece["field"] for piece in same["evidence"]} >= {"nik", "name", "birth_date"}
    assert place.json("identity", "compare", "sheet.csv:1", "sheet.csv:3")["match_grade"] == "certainly-not"


def test_what_counts_in_the_sum_adds_up_to_it(place):
    place.sheet(NEAR)
    place.sheet(NEAR, name="other.csv")
    compared = place.json("identity", "compare", "sheet.csv:1", "other.csv:1", "--clinic", "x")
    (lot,) = (one for one in compared["evidence"] if not one["in_sum"])
    assert (lot["field"], lot["weight"] > 0) == ("lot", True)
    summed = sum(one["weight"] for one in compared["evidence"] if one["in_sum"])
    assert compared["prior"] + summed == pytest.approx(compared["weight"], abs=0.01)


def test_a_row_is_compared_with_a_patient(place):
    place.load(place.sheet(RATNA))
    (patient_id,) = place.content()[0]
    assert place.json("identity", "compare", "sheet.csv:1", patient_id)["match_grade"] == "certain"


def test_a_parked_row_of_a_run_can_be_compared(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv"))
    (patient_id,) = place.content()[0]
    assert place.json("identity", "compare", "2:1", patient_id)["match_grade"] == "probable"


def test_a_shared_screen_sees_covered_names_only(place):
    place.sheet(RATNA, RATNA_POLIO)
    _, out, _ = place.run("identity", "compare", "sheet.csv:1", "sheet.csv:2")
    assert "Dewanti" not in out
    assert "3303015203200003" not in out
    assert "Dewanti" in place.run("identity", "compare", "sheet.csv:1", "sheet.csv:2", "--reveal")[1]


@pytest.mark.parametrize("wrong", ["sheet.csv:9", "9:1", "nobody", "1:1"])
def test_who_cannot_be_compared_is_told(place, wrong):
    place.load(place.sheet(RATNA))
    code, _, err = place.run("identity", "compare", wrong, "sheet.csv:1")
    assert code == 2
    assert wrong in err or wrong.replace(":", " has no row ") in err


def test_a_higher_threshold_parts_what_a_lower_one_joins(place):
    place.sheet(RATNA, NEAR, BAYU)
    weight = place.json("identity", "compare", "sheet.csv:1", "sheet.csv:2")["weight"]
    now, low, high = place.json("identity", "thresholds", "sheet.csv", "--certain", f"{weight - 6},{weight + 6}")
    assert (low["links"], low["new_persons"]) == (1, 2)
    assert high["links"] == 0
    flips = low["flips"] + high["flips"]
    assert flips == [{"a": "sheet.csv:1", "b": "sheet.csv:2", "joined": now["links"] == 0}]


def test_pairs_that_flip_and_are_not_named_are_told_of(place):
    place.sheet(
        RATNA,
        *(
            RATNA_POLIO.replace("081210001001;15/05", f"{phone};15/{month}")
            for phone, month in (("081210009999", "05"), ("", "06"))
        ),
    )
    options = ("identity", "thresholds", "sheet.csv", "--certain", "200", "--flips")
    code, out, _ = place.run(*options, "1")
    assert code == 0, out
    assert (out.count(" parts "), "… and 2 more (--flips 0 names all)" in out) == (1, True)
    assert len(place.json(*options, "0")[-1]["flips"]) == 3


def test_a_higher_bar_for_questions_makes_a_new_person(place):
    place.sheet(RATNA, NEAR, BAYU)
    now, high = place.json("identity", "thresholds", "sheet.csv", "--certain", "90", "--probable", "80")
    assert (now["certain"], high["certain"], high["probable"]) == (10, 90, 80)
    assert (high["reviews"], high["new_persons"]) == (0, 3)


def test_thresholds_hold_rows_against_the_server_where_asked(place):
    place.load(place.sheet(RATNA))
    path = place.sheet(RATNA_POLIO, BAYU, name="next.csv")
    alone = place.json("identity", "thresholds", path)[0]
    beside = place.json("identity", "thresholds", path, "--server")[0]
    assert (alone["links"], alone["new_persons"]) == (0, 2)
    assert (beside["links"], beside["new_persons"]) == (1, 1)


def test_trying_thresholds_leaves_no_trace(place):
    path = place.sheet(RATNA, RATNA_POLIO)
    place.load(path)
    content, runs = place.content(), place.json("runs", "list")
    place.json("identity", "thresholds", path)
    assert (place.content(), place.json("runs", "list")) == (content, runs)


def test_thresholds_are_scored_where_the_truth_is_known(place):
    place.run("synth", "clinic", "--persons", 60, "--seed", 3)
    files = [place.home / "clinic" / name for name in ("simrs-khanza.csv", "asik.xlsx", "puskesmas.csv")]
    outcomes = place.json("identity", "thresholds", *files, "--truth", "clinic", "--certain", "8,30")
    assert all(0 < outcome["precision"] <= 1 for outcome in outcomes)
    assert outcomes[1]["recall"] > outcomes[-1]["recall"]


@pytest.mark.parametrize("command", ["thresholds", "estimate"])
def test_the_truth_of_another_region_is_refused(place, command):
    for folder, seed in (("clinic", 3), ("other", 4)):
        place.run("synth", folder, "--persons", 30, "--seed", seed)
    for name in ("asik.xlsx", "puskesmas.csv"):
        code, out, err = place.run("identity", command, place.home / "clinic" / name, "--truth", "other")
        assert (code, out) == (2, "")
        assert "the truth in other is about other rows" in err
    (place.home / "other" / "puskesmas.csv").unlink()
    code, _, err = place.run("identity", command, place.home / "clinic" / "puskesmas.csv", "--truth", "other")
    assert "puskesmas.csv: it cannot be told whether the truth in other is about it" in err


def test_rows_that_a_limit_left_unread_are_not_held_against_recall(place):
    place.run("synth", "clinic", "--persons", 60, "--seed", 3)
    file, options = place.home / "clinic" / "puskesmas.csv", ("--truth", "clinic", "--certain", "10")
    (part,) = place.json("identity", "thresholds", file, *options, "--limit", 100)
    assert part["recall"] > 0.8


def test_thresholds_that_are_no_numbers_are_refused(place):
    place.sheet(RATNA)
    assert place.run("identity", "thresholds", "sheet.csv", "--certain", "high")[0] == 2
    assert place.run("identity", "thresholds", "sheet.csv", "--certain", "2", "--probable", "9")[0] == 2


def test_another_margin_is_tried_with_the_environments_own_thresholds(place):
    place.sheet(RATNA, BAYU)
    tried = place.json("identity", "thresholds", "sheet.csv", "--margin", "0,5")
    assert [(one["certain"], one["margin"]) for one in tried] == [(10, 5), (10, 0)]


@pytest.fixture
def clinic(place):
    place.run("synth", "clinic", "--persons", 40, "--seed", 3)
    return [place.home / "clinic" / name for name in ("simrs-khanza.csv", "asik.xlsx", "puskesmas.csv")]


def test_what_is_estimated_of_files_can_be_named_by_an_environment(place, clinic):
    code, _, err = place.run("identity", "estimate", *clinic, "--truth", "clinic", "--out", place.home / "own.toml")
    assert code == 0, err
    assert place.json("runs", "list") == []
    own = 'base_url = "embedded"\n[matching]\nparameters = "own.toml"\n'
    (place.home / "environments").mkdir(exist_ok=True)
    (place.home / "environments" / "own.toml").write_text(f"[fhir_server]\n{own}")
    place.sheet(RATNA, RATNA_POLIO)
    shipped, weighed = (
        place.json("identity", "compare", "sheet.csv:1", "sheet.csv:2", "--env", name) for name in ("embedded", "own")
    )
    assert shipped["weight"] != weighed["weight"]


def test_too_few_rows_estimate_nothing(place):
    place.sheet(RATNA, RATNA_POLIO, BAYU)
    code, _, err = place.run("identity", "estimate", "sheet.csv")
    assert code == 2
    assert "too few records" in err
