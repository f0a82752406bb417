"""People who were said to be two and merged later: what was said last counts for rows of later loads."""

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO

OTHER_NIK = RATNA_POLIO.replace("3303015203200003", "3303015203200083")
OTHER_PHONE = RATNA_POLIO.replace("081210001001", "081210009999")
NAMESAKE = RATNA.replace("3303015203200003;P", ";P").replace("Lastri Handayani;Bukateja", "Dewi Puspita;Rembang")


def later(row):
    """Return the same person's row of another month."""
    return row.replace("15/04/2020", "15/07/2020").replace("15/05/2020", "15/08/2020")


def merged(place, *patients):
    plan = place.home / "plan.json"
    place.json("merge", "plan", *patients, "--out", plan)
    (merge,) = place.json("merge", "apply", plan, "--accept-conflicts")["merges"]
    return merge["survivor"]


def said_to_be_two(place, row):
    """Load a row that an operator says is somebody else's than Ratna's; return both."""
    (ratna,) = place.load(place.sheet(RATNA)) and place.content()[0]
    place.load(place.sheet(row, name="other.csv"))
    for item in place.json("review", "list"):
        return ratna, place.json("review", "create", item["id"]) and place.json("review", "show", item["id"])[
            "patient_id"
        ]
    return ratna, place.json("review", "unlink", 2, 1)["to"]


@pytest.mark.parametrize("row", [OTHER_NIK, OTHER_PHONE], ids=["created beside her", "taken apart"])
def test_rows_of_who_was_merged_after_all_come_to_the_survivor(place, row):
    survivor = merged(place, *said_to_be_two(place, row))
    assert place.load(place.sheet(later(row), later(RATNA), name="next.csv"))["loaded"] == 2
    patients, doses = place.content()
    assert [one for one in patients if patients[one].get("active") is not False] == [survivor]
    assert {dose["patient"]["reference"] for dose in doses.values()} == {f"Patient/{survivor}"}


def test_who_was_taken_apart_after_the_merge_is_never_linked_to_the_survivor_again(place):
    survivor = merged(place, *said_to_be_two(place, OTHER_PHONE))
    right = place.json("review", "unlink", 2, 1)["to"]
    assert place.load(place.sheet(later(OTHER_PHONE), name="next.csv"))["loaded"] == 1
    doses = place.content()[1].values()
    assert {dose["occurrenceDateTime"]: dose["patient"]["reference"] for dose in doses} == {
        "2020-04-15": f"Patient/{survivor}",
        "2020-05-15": f"Patient/{right}",
        "2020-08-15": f"Patient/{right}",
    }


def test_a_namesake_who_was_merged_after_all_keeps_her_rows_key(place):
    survivor = merged(place, *said_to_be_two(place, NAMESAKE))
    assert place.load(place.sheet(NAMESAKE, name="other.csv"))["unchanged"] == 1
    patients = place.content()[0]
    assert [one for one in patients if patients[one].get("active") is not False] == [survivor]


def test_a_merge_that_is_undone_leaves_two_as_before(place):
    ratna, other = said_to_be_two(place, OTHER_NIK)
    merged(place, ratna, other)
    place.run("merge", "undo", 1)
    place.load(place.sheet(later(OTHER_NIK), later(RATNA), name="next.csv"))
    doses = place.content()[1].values()
    assert {dose["occurrenceDateTime"]: dose["patient"]["reference"] for dose in doses} == {
        "2020-04-15": f"Patient/{ratna}",
        "2020-05-15": f"Patient/{other}",
        "2020-07-15": f"Patient/{ratna}",
        "2020-08-15": f"Patient/{other}",
    }
