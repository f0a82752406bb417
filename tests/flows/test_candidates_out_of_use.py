"""Questions that wait while a Patient whom they are about goes out of use, by an answer taken back or a merge."""

import pytest
from tests.flows.conftest import RATNA
from tests.flows.test_rows_that_fit_two import BARE, OTHER_NUMBER

MEASLES = RATNA.replace("15/04/2020;BCG;1;B100", "20/12/2020;MR;1;")
MAYBE_THE_SAME = MEASLES.replace(";MR;", ";Campak;")


def load_and_part(place):
    """Load Ratna, and under another number as somebody else; return both Patients, the second one's first."""
    place.load(place.sheet(RATNA))
    (first,) = place.server("Patient")
    place.load(place.sheet(OTHER_NUMBER, name="other.csv"))
    (question,) = place.json("review", "list")
    place.run("review", "create", question["id"])
    (second,) = set(place.server("Patient")) - {first}
    return question["id"], first, second


def test_who_went_out_of_use_is_told_and_gets_nothing(place, begin):
    answered, first, second = begin(load_and_part)
    place.load(place.sheet(BARE, name="fits-both.csv"))
    (left,) = place.json("review", "list")
    place.run("review", "undo", answered, "--to", first)
    assert place.json("review", "show", left["id"])["out_of_use"] == {second: "no (active: false)"}
    assert "no (active: false)" in place.run("review", "show", left["id"])[1]
    place.run("review", "export", "sheet.csv")
    assert "in use: no (active: false)" in (place.home / "sheet.csv").read_text(encoding="utf-8-sig")
    code, _, err = place.run("review", "link", left["id"], second)
    assert (code, f"Patient {second} is out of use" in err) == (2, True)
    assert place.run("review", "link", left["id"], first)[0] == 0


@pytest.mark.parametrize(("answer", "doses"), [("link", 1), ("create", 2)])
def test_a_question_about_a_dose_of_who_was_merged_is_about_the_survivor(place, begin, answer, doses):
    _, first, second = begin(load_and_part)
    place.load(place.sheet(MEASLES.replace("3303015203200003", "3303015203209003"), name="mr.csv"))
    doubtful = MAYBE_THE_SAME.replace("3303015203200003", "3303015203209003")
    place.load(place.sheet(doubtful, name="campak.csv"), "--clinic", "elsewhere")
    (question,) = place.json("review", "list")
    assert question["patient_id"] == second
    place.run("merge", "plan", first, second, "--out", "plan.json")
    (merge,) = place.json("merge", "apply", "plan.json", "--accept-conflicts")["merges"]
    survivor, (replaced,) = merge["survivor"], merge["replaced"]
    assert place.json("review", "show", question["id"])["candidates"] == [survivor]
    assert replaced == second
    code, _, err = place.run("review", answer, question["id"], *[survivor] * (answer == "link"))
    assert code == 0, err
    on_day = [d for d in place.server("Immunization").values() if d["occurrenceDateTime"].startswith("2020-12-20")]
    assert [d["patient"]["reference"] for d in on_day] == [f"Patient/{survivor}"] * doses
