"""One NIK in the rows of many people: one question about the number, whose answer loads each row by the rest of what it says."""

import json

import pytest
from tests.flows.conftest import BAYU, RATNA

NIK = "3303014405200004"
NAMES = ("Adinda Nugroho", "Bagas Pratama", "Cahyo Santoso", "Dimas Saputra", "Erlangga Kusuma", "Fitri Wijaya")


def row_of(number, name, vaccine="BCG"):
    born = f"{number + 10}/0{number + 1}/2020"
    return f"{number};{name};{NIK};P;{born};Ibu {name};Bukateja;08121000200{number};15/04/2021;{vaccine};1;B100"


@pytest.fixture
def question(place):
    """Return the one question that waits after six people under one NIK were loaded beside another."""
    books = place.load(place.sheet(RATNA, *(row_of(number, name) for number, name in enumerate(NAMES))))
    assert (books["loaded"], books["reasons"]) == (1, {"nik-of-many": 6})
    (question,) = place.json("review", "list")
    assert (question["kind"], question["rows"]) == ("nik", 6)
    return question["id"]


def test_the_number_is_nobodys_once_an_operator_says_so(place, question):
    assert place.run("review", "create", question, "--note", "the clinic's own")[0] == 0
    patients = place.server("Patient")
    assert len(patients) == 1 + len(NAMES)
    assert NIK not in json.dumps(patients)
    assert place.load(place.home / "sheet.csv")["unchanged"] == 1 + len(NAMES)
    books = place.load(place.sheet(row_of(0, NAMES[0], "bOPV"), row_of(8, "Gendis Lestari"), name="next.csv"))
    assert books["loaded"] == 2
    assert NIK not in json.dumps(place.server("Patient"))
    assert len(place.server("Patient")) == 2 + len(NAMES)


def test_the_question_is_about_no_single_person(place, question):
    code, _, err = place.run("review", "link", question, *place.server("Patient"))
    assert (code, "rows of many people" in err) == (2, True)
    _, out, err = place.run("review", "show", question)
    assert NIK not in out + err
    place.run("review", "create", question)
    code, _, err = place.run("review", "undo", question, "--to", next(iter(place.server("Patient"))))
    assert (code, "`review unlink` moves single ones" in err) == (2, True)


def test_a_number_counts_again_once_the_answer_is_taken_back(place, question):
    place.run("review", "create", question)
    content = place.content()
    assert "the number counts again" in place.run("review", "undo", question)[1]
    assert place.json("review", "undo", question)["done_before"]
    assert place.load(place.home / "sheet.csv")["reasons"] == {"nik-of-many": 6}
    assert place.content() == content
    (again,) = place.json("review", "list")
    assert place.json("review", "create", again["id"])["review"] == 0
    assert place.load(place.home / "sheet.csv")["unchanged"] == 1 + len(NAMES)
    assert place.content() == content


def test_corrected_rows_leave_the_question(place, question):
    right = [row_of(number, name).replace(NIK, "") for number, name in enumerate(NAMES)]
    assert place.load(place.sheet(BAYU, *right, name="corrected.csv"))["loaded"] == 1 + len(NAMES)
    assert place.json("review", "list") == []


OFFICERS = "3303016507850004"
OTHER_RATNA = RATNA.replace("Lastri Handayani;Bukateja;081210001001;15/04", "Partini;Kutasari;081210001009;15/05")


def test_an_officers_nik_in_all_childrens_rows_makes_no_family_of_namesakes(place):
    namesakes = (RATNA, OTHER_RATNA.replace("BCG", "bOPV"))
    others = [
        row_of(number, name).replace("/2020;", f"/{year};")
        for year in (2019, 2020)
        for number, name in enumerate(NAMES)
    ]
    rows = [row.replace("3303015203200003", OFFICERS).replace(NIK, OFFICERS) for row in (*namesakes, *others)]
    assert place.load(place.sheet(*rows))["reasons"] == {"probably-same": 1}


def test_a_number_of_many_who_came_one_by_one_links_and_creates_nobody_unasked(place):
    names = ["Melati Suryani", "Bagas Wicaksono", "Intan Permatasari", "Yusuf Hidayat", "Citra Anjani"]
    for number, name in enumerate(names):
        place.load(place.sheet(OTHERS.format(name=name, day=number + 1, village="Bukateja"), name=f"{number}.csv"))
        for question in place.json("review", "list"):
            place.run("review", "create", question["id"])
    place.load(place.sheet(OTHERS.format(name="Intan", day=3, village="Rembang"), name="short.csv"))
    (question,) = place.json("review", "list")
    assert (question["code"], len(place.server("Patient"))) == ("nik-of-many", len(names))


OTHERS = "1;{name};3303015203200003;P;0{day}/06/2019;;{village};;10/02/2023;bOPV;2;B1"
"""Somebody under one and the same number."""
