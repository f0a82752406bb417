"""Rows that went elsewhere, or came, between a merge and its undoing: every dose stands once, with whom its rows are."""

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO
from tests.flows.test_merged_after_all import merged

SISTER = RATNA.replace("3303015203200003", "3303015203200083")
"""The same dose in the row of a girl whom an operator takes for another one: merging folds the two doses."""
POLIO = RATNA_POLIO.replace(";1;P200", ";;")


def two(place, row):
    """Load Ratna's row and another clinic's, which an operator says is somebody else's; return both Patients."""
    place.load(place.sheet(RATNA))
    (ratna,) = place.content()[0]
    place.load(place.sheet(row, name="other.csv"), "--clinic", "other")
    (item,) = place.json("review", "list")
    place.json("review", "create", item["id"])
    return ratna, place.json("review", "show", item["id"])["patient_id"]


def given(place):
    """Return (day, bare id of the Patient) of the doses that count, sorted."""
    return sorted(
        (dose["occurrenceDateTime"], dose["patient"]["reference"].removeprefix("Patient/"))
        for dose in place.content()[1].values()
        if dose["status"] == "completed"
    )


def undone(place):
    code, out, err = place.run("merge", "undo", 1)
    assert code == 0, err
    return out


@pytest.mark.parametrize("run", [1, 2], ids=["of the dose that was kept", "of the dose that was folded"])
def test_a_dose_whose_row_was_moved_between_merge_and_undoing_stands_once(place, run):
    pair = two(place, SISTER)
    merged(place, *pair)
    right = place.json("review", "unlink", run, 1, "--only")["to"]
    assert "entered in error, as the rows are all of others by now: Immunization/" in undone(place)
    (staying,) = {patient for _, patient in given(place)} - {right}
    assert staying == pair[2 - run]
    assert given(place) == sorted([("2020-04-15", right), ("2020-04-15", staying)])
    place.load(place.home / "sheet.csv")
    place.load(place.home / "other.csv", "--clinic", "other")
    assert given(place) == sorted([("2020-04-15", right), ("2020-04-15", staying)])


def test_a_row_that_was_linked_to_a_dose_that_goes_back_gets_its_own(place):
    ratna, other = two(place, RATNA_POLIO.replace("3303015203200003", "3303015203200083"))
    survivor = merged(place, ratna, other)
    assert place.load(place.sheet(POLIO, name="next.csv"), "--clinic", "next")["loaded"] == 1
    assert len(given(place)) == 2
    assert "made for rows that came since, whose dose went back: Immunization/" in undone(place)
    assert given(place) == sorted([("2020-04-15", ratna), ("2020-05-15", other), ("2020-05-15", survivor)])
    for _ in range(2):
        said = place.load(place.home / "next.csv", "--clinic", "next")
    assert said["unchanged"] == 1
    assert len(given(place)) == 3


def test_a_preview_tells_which_doses_are_not_revived(place):
    merged(place, *two(place, SISTER))
    place.json("review", "unlink", 2, 1, "--only")
    assert len(place.json("merge", "undo", 1, "--preview")["withdrawn"]) == 1
