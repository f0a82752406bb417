"""Rows that fit two people of whom it is asked whether they are one: they wait for that answer, and it settles them."""

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

OTHER_NUMBER = RATNA_POLIO.replace("3303015203200003", "3303015203209003")
"""Ratna under another valid NIK: mistyped, or somebody else."""
BARE = RATNA.replace("3303015203200003", "").replace("15/04/2020;BCG;1;B100", "15/06/2020;bOPV;2;P201")
MOVED = BARE.replace("Bukateja", "Kutasari").replace("15/06/2020;bOPV;2", "15/07/2020;bOPV;3")


def doses_of_each(place):
    patients, doses = place.content()
    return sorted(sum(dose["patient"]["reference"] == f"Patient/{one}" for dose in doses.values()) for one in patients)


FILES = {
    "one file": [(RATNA, OTHER_NUMBER, BARE, MOVED)],
    "the rows that fit both first": [(MOVED, BARE, OTHER_NUMBER, RATNA)],
    "two files": [(OTHER_NUMBER, RATNA), (MOVED, BARE)],
    "four files": [(OTHER_NUMBER,), (RATNA,), (BARE,), (MOVED,)],
}


@pytest.fixture(params=FILES.values(), ids=FILES)
def asked(request, place):
    """Return the one question that waits after Ratna's files were loaded."""
    for number, rows in enumerate(request.param):
        place.load(place.sheet(*rows, name=f"file-{number}.csv"))
    (question,) = place.json("review", "list")
    assert (question["code"], question["rows"], len(question["candidates"])) == ("nik-different", 3, 1)
    assert len(place.json("review", "show", question["id"])["rows_in"]) == 3
    return question


def test_an_answer_that_two_are_one_person_settles_the_rows_that_fit_both(place, asked):
    code, out, _ = place.run("review", "link", asked["id"], asked["candidates"][0], "--note", "mistyped")
    assert (code, out.count("is settled by that as well")) == (0, len(asked["hanging"]))
    assert place.json("review", "list") == []
    assert doses_of_each(place) == [4]


def test_an_answer_that_they_are_two_leaves_the_rows_to_be_asked_about_with_both_named(place, asked):
    place.run("review", "create", asked["id"])
    left = place.json("review", "list")
    assert sum(question["rows"] for question in left) == 2
    assert {question["code"] for question in left} == {"fits-two-people"}
    assert all(set(question["candidates"]) == set(place.server("Patient")) for question in left)
    assert doses_of_each(place) == [1, 1]


def test_trying_thresholds_counts_the_question_once(place):
    place.sheet(RATNA, OTHER_NUMBER, BARE, MOVED)
    (now,) = place.json("identity", "thresholds", "sheet.csv", "--certain", "10")
    assert (now["reviews"], now["in_review"]) == (1, 3)


def test_a_rejection_settles_only_the_rows_in_question(place):
    place.load(place.sheet(RATNA, OTHER_NUMBER, BARE, MOVED))
    (asked,) = place.json("review", "list")
    place.run("review", "reject", asked["id"], "--reason", "not ours")
    assert sum(question["rows"] for question in place.json("review", "list")) == 2
    assert doses_of_each(place) == [1]


def test_what_was_answered_with_a_question_is_told_when_that_is_taken_back(place):
    place.load(place.sheet(RATNA, OTHER_NUMBER, BARE))
    (question,) = place.json("review", "list")
    place.run("review", "link", question["id"], question["candidates"][0])
    _, out, _ = place.run("review", "undo", question["id"])
    assert f"review {question['hanging'][0]} was answered with it and still stands" in out


BAYU_NUMBER = "3303021107190002"
UNDER_RATNAS = (
    "3;Melati Suryani;3303015203200003;P;05/09/2021;Wahyu Ningsih;Padamara;081299990001;05/10/2021;BCG;1;B200"
)
UNDER_BAYUS = UNDER_RATNAS.replace("3303015203200003", BAYU_NUMBER).replace("05/10/2021;BCG;1", "05/12/2021;bOPV;2")
UNNUMBERED = UNDER_RATNAS.replace("3303015203200003", "").replace("05/10/2021;BCG;1", "05/11/2021;bOPV;1")
"""Melati under two others' numbers, and without one."""


def load_one_by_one(place, *rows):
    for number, row in enumerate(rows):
        place.load(place.sheet(row, name=f"file-{number}.csv"))


def test_who_fits_somebody_who_waits_in_an_earlier_question_gets_that_answer(place):
    load_one_by_one(place, RATNA, UNDER_RATNAS, UNNUMBERED)
    (asked,) = place.json("review", "list")
    assert (asked["code"], asked["rows"], len(place.server("Patient"))) == ("nik-name-disagrees", 2, 1)
    place.run("review", "create", asked["id"])
    assert place.json("review", "list") == []
    assert doses_of_each(place) == [1, 2]


def test_who_fits_two_who_wait_in_earlier_questions_is_nobodys_when_these_are_two(place):
    load_one_by_one(place, RATNA, BAYU, UNDER_RATNAS, UNDER_BAYUS, UNNUMBERED)
    first, second = sorted(place.json("review", "list"), key=lambda question: question["id"])
    assert place.json("review", "show", second["id"])["waiting"] == [first["id"]]
    for question in (first, second):
        place.run("review", "create", question["id"])
    (left,) = place.json("review", "list")
    assert (left["code"], len(left["candidates"]), doses_of_each(place)) == ("fits-waiting", 2, [1, 1, 1, 1])


def test_a_correction_is_not_held_by_who_waits_for_it_and_is_named_to_that(place):
    load_one_by_one(place, RATNA, UNDER_RATNAS, UNNUMBERED)
    place.load(place.sheet(UNDER_RATNAS.replace("3303015203200003", "3303014509210003"), name="corrected.csv"))
    (left,) = place.json("review", "list")
    assert (left["code"], doses_of_each(place)) == ("fits-waiting", [1, 1])
    place.run("review", "link", left["id"], *left["candidates"])
    assert doses_of_each(place) == [1, 2]


def test_who_is_certainly_somebody_asked_about_already_is_no_question_more(place):
    named_otherwise = UNDER_RATNAS.replace("Melati Suryani", "Melati Suriani").replace(
        "05/10/2021;BCG;1", "05/12/2021;bOPV;2"
    )
    load_one_by_one(place, RATNA, UNDER_RATNAS, named_otherwise)
    (asked,) = place.json("review", "list")
    place.run("review", "create", asked["id"])
    assert (place.json("review", "list"), doses_of_each(place)) == ([], [1, 2])


def test_a_question_does_not_come_to_hang_on_rows_that_hang_on_it_however_often_files_come_again(place):
    second = UNDER_RATNAS.replace("05/10/2021;BCG;1", "05/12/2021;bOPV;2").replace("081299990001", "")
    third = UNDER_RATNAS.replace("05/10/2021;BCG;1", "05/01/2022;bOPV;3").replace("081299990001", "081288880001")
    clinics = {"one": UNDER_RATNAS, "two": second, "three": third}
    place.load(place.sheet(RATNA, name="first.csv"))
    for number, clinic in enumerate((*clinics, *clinics, *reversed(clinics))):
        place.load(place.sheet(clinics[clinic], name=f"{clinic}.csv"), "--clinic", clinic)
        (asked,) = place.json("review", "list")
        assert (asked["code"], asked["rows"]) == ("nik-name-disagrees", min(number + 1, 3))
        assert asked["candidates"] == [*place.server("Patient")]


TWINS_LABEL = "4;By. Ny. Siti Aminah 2;;L;15/03/2020;Siti Aminah;Kalimanah;081234567890;15/03/2020;HB0;;B300"
NAMED = TWINS_LABEL.replace("By. Ny. Siti Aminah 2", "Rut Naomi").replace("15/03/2020;HB0;", "15/04/2020;BCG;1")
NUMBERED = NAMED.replace(";;L;", ";3303011503200001;L;").replace("15/04/2020;BCG;1", "15/05/2020;bOPV;2")


@pytest.mark.parametrize(
    ("row", "held"),
    [
        (TWINS_LABEL.replace("Aminah 2", "Aminah"), True),
        (NUMBERED.replace("Rut Naomi;3303011503200001", "Rut Naomi;"), False),
    ],
    ids=["a label without a number", "the very name"],
)
def test_a_newborn_who_may_be_the_twin_who_waits_is_not_the_named_child(place, row, held):
    place.load(place.sheet(TWINS_LABEL, NAMED, NUMBERED, name="sheet.csv"), "--clinic", "one")
    (asked,) = place.json("review", "list")
    place.load(place.sheet(row, name="elsewhere.csv"), "--clinic", "other")
    still, *more = sorted(place.json("review", "list"), key=lambda question: question["id"])
    assert (still["id"], len(place.server("Patient"))) == (asked["id"], 1)
    assert still["rows"] + sum(question["rows"] for question in more) == 1 + held
