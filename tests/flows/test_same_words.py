"""Two people whose rows say the same to the letter: an operator takes them apart, and later loads keep them so."""

import pytest

WORDS = ";Siti Aisyah;;P;12/03/2020;Lastri Handayani;Bukateja;081210001001;"
BCG, POLIO, POLIO_AGAIN = (
    f"1{WORDS}15/04/2020;BCG;1;B100",
    f"2{WORDS}15/05/2020;bOPV;1;P200",
    f"3{WORDS}15/06/2020;bOPV;2;P300",
)
NEXT = f"9{WORDS}15/09/2020;MR;1;M100"


def take_apart(place):
    place.load(place.sheet(BCG, POLIO, POLIO_AGAIN))
    code, _, err = place.run("review", "unlink", 1, 2)
    assert (code, "with --only" in err) == (2, True)
    assert place.json("review", "unlink", 1, 2, "--only")["rows"] == 1


@pytest.fixture
def apart(place, begin):
    begin(take_apart)
    return place


def owners(place):
    """Return lot → Patient."""
    return {
        dose["lotNumber"]: dose["patient"]["reference"].removeprefix("Patient/")
        for dose in place.content()[1].values()
        if dose["status"] == "completed"
    }


def test_a_row_alone_is_taken_from_others_of_the_same_words(apart):
    of = owners(apart)
    assert of["B100"] == of["P300"] != of["P200"]
    assert apart.load(apart.home / "sheet.csv")["unchanged"] == 3
    assert owners(apart) == of


def test_a_corrected_row_stays_with_its_own_person(apart):
    of = owners(apart)
    corrected = POLIO.replace("081210001001", "081210005555").replace("P200", "P222")
    assert apart.load(apart.sheet(BCG, corrected, POLIO_AGAIN))["loaded"] == 1
    assert owners(apart) == {"B100": of["B100"], "P300": of["P300"], "P222": of["P200"]}


def test_whose_a_further_row_is_is_asked_each_time(apart):
    of = owners(apart)
    assert apart.load(apart.sheet(NEXT, name="next.csv"))["review"] == 1
    assert apart.load(apart.sheet(NEXT, name="elsewhere.csv"), "--clinic", "other")["review"] == 1
    item = next(one for one in apart.json("review", "list") if one["code"] == "same-words")
    assert set(item["candidates"]) == set(of.values())
    told = apart.json("review", "show", item["id"])["evidence"]
    assert {f"compared with Patient/{one}:" for one in of.values()} <= set(told)
    assert sum("in sum; from 10 on" in line for line in told) == 2
    apart.json("review", "link", item["id"], of["P200"])
    assert owners(apart)["M100"] == of["P200"]
    once_more = NEXT.replace("15/09/2020", "15/12/2020").replace("M100", "M200")
    assert apart.load(apart.sheet(once_more, name="once-more.csv"))["review"] == 1
    assert len(apart.json("review", "list")) == 2
    assert apart.json("merge", "find") == []


def test_corrections_of_both_are_loaded_from_a_file_for_each(apart):
    of = owners(apart)
    both = [row.replace("Handayani", "Handayana") for row in (BCG, POLIO)]
    assert apart.load(apart.sheet(*both, name="both.csv"))["review"] == 2
    (item,) = apart.json("review", "list")
    code, _, err = apart.run("review", "link", item["id"], of["B100"])
    assert (code, "a file of its own" in err) == (2, True)
    for row in both:
        assert apart.load(apart.sheet(row, name="one.csv"))["loaded"] == 1
    assert (owners(apart), apart.json("review", "list")) == (of, [])


def test_taking_apart_is_taken_back(apart):
    apart.json("review", "undo", 1)
    assert len(set(owners(apart).values())) == 1


def test_a_copy_of_a_shared_dose_is_completed_with_its_own_person(place):
    other_phone = BCG.replace("081210001001", "081210007777")
    place.load(place.sheet(BCG, BCG.replace(";1;B100", ";;"), other_phone.replace("15/04", "15/08")))
    assert len(place.content()[0]) == 1
    done = place.json("review", "unlink", 1, 2, "--only")
    assert place.load(place.home / "sheet.csv")["review"] == 0
    assert place.load(place.home / "sheet.csv")["unchanged"] == 3
    given = sorted(dose["patient"]["reference"].removeprefix("Patient/") for dose in place.content()[1].values())
    assert given == sorted([done["from"], done["from"], done["to"]])
    assert place.json("merge", "find") == []


OTHER_PHONE = POLIO.replace("081210001001", "081210009999")


@pytest.mark.parametrize(
    "corrected", [(BCG, POLIO), (BCG.replace("081210001001", "081210009999"), OTHER_PHONE)], ids=["moved", "left"]
)
def test_a_row_that_is_corrected_to_the_words_of_those_from_whom_it_was_taken_apart_is_asked_about(place, corrected):
    place.load(place.sheet(BCG, OTHER_PHONE))
    done = place.json("review", "unlink", 1, 2)
    of = owners(place)
    assert place.load(place.sheet(*corrected))["reasons"] == {"correction-other-person": 1}
    assert owners(place) == of
    (item,) = place.json("review", "list")
    own = done["to"] if corrected[1] == POLIO else done["from"]
    assert (item["candidates"][0], set(item["candidates"])) == (own, {done["to"], done["from"]})
    place.json("review", "link", item["id"], own)
    assert (owners(place), len(place.content()[1])) == (of, 2)
    lots = [row.replace("B100", "B111") for row in corrected]
    place.load(place.sheet(*lots))
    assert len(place.content()[1]) == 2
    further = corrected[0].replace("1;Siti", "9;Siti").replace("15/04/2020;BCG;1;B100", "15/09/2020;MR;1;M100")
    assert place.load(place.sheet(further, name="next.csv"))["reasons"] == {"same-words": 1}
