"""Rows that wait as their key came with two contents still tell who others are: a twin, or whose row another one is."""

from fhir_gateway.domain.outcomes import Outcome

NEWBORN = "1;By. Ny. Lastri Handayani;;L;12/03/2020;Lastri Handayani;Kalimanah;081355500001;12/03/2020;HB0;;B300"
DAMAR = "2;Damar Saputra;3303011203200001;L;12/03/2020;Lastri Handayani;Kalimanah;081355500001;15/04/2020;BCG;1;B100"
GALIH = "3;Galih Saputra;3303011203200002;L;12/03/2020;Lastri Handayani;Kalimanah;081355500001;15/04/2020;BCG;1;B100"
GALIH_LATER = GALIH.replace("081355500001", "081355500002")


def statuses(place, *paths):
    """Load files together; return each file's rows' statuses."""
    folder = place.home / "reports"
    place.run("load", *paths, "--report", folder if len(paths) > 1 else folder.with_suffix(".csv"), "--json")
    found = sorted(folder.iterdir()) if len(paths) > 1 else [folder.with_suffix(".csv")]
    return {path.stem: [row["gateway_status"] for row in place.report(path)] for path in found}


def test_newborn_is_not_the_one_child_with_a_name_whose_twins_rows_wait(place):
    first = place.sheet(NEWBORN, DAMAR, GALIH, name="january.csv")
    second = place.sheet(GALIH_LATER, name="february.csv")
    assert statuses(place, first, second) == {
        "january": [Outcome.REVIEW, Outcome.LOADED, Outcome.REVIEW],
        "february": [Outcome.REVIEW],
    }
    patients, doses = place.content()
    assert (len(patients), len(doses)) == (1, 1)


def test_order_of_the_files_does_not_matter(place):
    first = place.sheet(NEWBORN, DAMAR, GALIH, name="january.csv")
    second = place.sheet(GALIH_LATER, name="february.csv")
    assert statuses(place, second, first)["january"] == [Outcome.REVIEW, Outcome.LOADED, Outcome.REVIEW]


def test_rows_in_conflict_join_nobody_and_make_nobody(place):
    first = place.sheet(GALIH, name="january.csv")
    second = place.sheet(GALIH_LATER, name="february.csv")
    assert statuses(place, first, second) == {"january": [Outcome.REVIEW], "february": [Outcome.REVIEW]}
    assert place.content() == ({}, {})


def test_newborn_of_a_later_load_is_not_the_child_whose_twin_waits(place):
    statuses(place, place.sheet(DAMAR, GALIH, name="january.csv"), place.sheet(GALIH_LATER, name="february.csv"))
    assert statuses(place, place.sheet(NEWBORN, name="birth.csv")) == {"reports": [Outcome.REVIEW]}
    (item,) = [one for one in place.json("review", "list") if one["code"] == "fits-two-people"]
    assert "settle review" in item["suggestion"]


def test_later_row_is_loaded_for_a_new_person_although_rows_of_hers_contradict_each_other(place):
    statuses(place, place.sheet(GALIH, name="january.csv"), place.sheet(GALIH_LATER, name="february.csv"))
    polio = GALIH.replace("15/04/2020;BCG", "15/06/2020;POLIO")
    assert statuses(place, place.sheet(polio, name="june.csv")) == {"reports": [Outcome.LOADED]}


def test_loaded_one_by_one_nobody_waits(place):
    first = place.sheet(DAMAR, GALIH, name="january.csv")
    second = place.sheet(GALIH_LATER, name="february.csv")
    statuses(place, first, second)
    for path in (first, second):
        statuses(place, path)
    assert place.json("review", "list") == []
    patients, doses = place.content()
    assert (len(patients), len(doses)) == (2, 2)
