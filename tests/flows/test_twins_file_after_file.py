"""A twin whose first row comes in a later file meets nobody but the other twin: what does not tell them apart is asked about."""

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO

NAYLA = RATNA.replace("Ratna Dewanti", "Nayla Khairunnisa")
POLIO = RATNA_POLIO.replace("3303015203200003", "")


@pytest.mark.parametrize("name", ["Naila Khairunnisa", "Nailakhairunnisa", "Khairunnisa Naila"])
def test_name_in_another_spelling_that_parents_choose_is_asked_about(place, name):
    place.load(place.sheet(NAYLA))
    before = place.content()
    books = place.load(place.sheet(POLIO.replace("Ratna Dewanti", name), name="next.csv"))
    assert books["review"] == 1
    assert place.content() == before
    (item,) = place.json("review", "list")
    assert item["code"] == "possible-twins"


@pytest.mark.parametrize(
    "row",
    [
        RATNA_POLIO.replace("Ratna Dewanti", "Naila Khairunnisa"),
        POLIO.replace("Ratna Dewanti", "Nayla Khairunisa"),
        POLIO.replace("Ratna Dewanti", "Nayla"),
    ],
)
def test_own_number_or_a_clerks_spelling_tells_who_it_is(place, row):
    place.load(place.sheet(NAYLA))
    assert place.load(place.sheet(row, name="next.csv"))["loaded"] == 1
    assert len(place.content()[0]) == 1


def test_number_of_a_twin_under_a_name_a_sound_apart_in_another_family_is_asked_about(place):
    place.load(
        place.sheet(RATNA.replace("Ratna Dewanti", "Deni Rumbiak").replace(";P;", ";L;").replace("520320", "120320"))
    )
    twin = RATNA_POLIO.replace("Ratna Dewanti", "Dani Rumbiak").replace(";P;", ";L;").replace("520320", "120320")
    books = place.load(place.sheet(twin.replace("Lastri Handayani;Bukateja;081210001001", ";;"), name="next.csv"))
    assert books["review"] == 1


DAMAR = RATNA.replace("Ratna Dewanti;3303015203200003;P", "Damar Saputra;;L")
DANAR = DAMAR.replace("Damar", "Danar")
INITIAL = POLIO.replace("Ratna Dewanti;;P", "D Saputra;;L")


def test_whom_a_row_fits_as_well_may_wait_in_a_question_of_an_earlier_load(place):
    assert place.load(place.sheet(DAMAR, DANAR))["review"] == 1
    before = place.content()
    books = place.load(place.sheet(INITIAL, name="next.csv"))
    assert books["reasons"] == {"fits-two-people": 1}
    assert place.content() == before
    (waiting,) = place.json("review", "list")
    (torn,) = waiting["hanging"]
    assert waiting["rows"] == 2
    assert f"review {waiting['id']}" in place.json("review", "show", torn)["reason"]


def test_row_of_a_twin_who_waits_for_what_doses_tell_is_not_linked_to_the_other_twin(place):
    """By themselves the two are one child under a shorter name; only the list that has a dose of both tells."""
    twin = DAMAR.replace("Damar", "Damar Wisnu")
    assert place.load(place.sheet(DAMAR, twin))["reasons"] == {"doses-contradict": 1}
    before = place.content()
    (waiting,) = place.json("review", "list")
    first, second = ("Damar", "Damar Wisnu") if "Damar Saputra" in str(before[0]) else ("Damar Wisnu", "Damar")
    polio = POLIO.replace("Ratna Dewanti;;P", "NAME Saputra;;L").replace("Lastri Handayani", "Sugeng Raharjo")
    books = place.load(place.sheet(polio.replace("NAME", second), name="next.csv"))
    assert books["reasons"] == {"fits-two-people": 1}
    assert place.content() == before
    (item,) = place.json("review", "list")
    assert (item["id"], item["rows"]) == (waiting["id"], 2)
    assert place.load(place.sheet(polio.replace("NAME", first), name="last.csv"))["loaded"] == 1


def test_newborn_whom_two_children_fit_is_neither_s_when_one_of_them_comes_again_alone(place):
    newborn = DAMAR.replace("Damar Saputra", "By. Ny. Lastri Handayani").replace("15/04/2020;BCG", "12/03/2020;HB0")
    assert place.load(place.sheet(newborn))["loaded"] == 1
    danar = DANAR.replace("Danar Saputra", "Wahyu Nugroho")
    assert place.load(place.sheet(DAMAR, danar, name="next.csv"))["reasons"] == {"fits-two-people": 2}
    before = place.content()
    alone = INITIAL.replace("D Saputra", "Damar Saputra").replace(";;L;", ";3303011203200005;L;")
    assert place.load(place.sheet(alone, name="last.csv"))["review"] == 1
    assert place.content() == before
    asked = place.json("review", "list")
    assert {item["candidates"][0] for item in asked} == set(before[0])


def test_of_two_whom_a_patient_fits_as_well_neither_is_linked(place):
    place.load(place.sheet(INITIAL))
    before = place.content()
    books = place.load(place.sheet(DAMAR, DANAR, name="next.csv"))
    assert (books["review"], "fits-two-people" in books["reasons"]) == (2, True)
    assert place.content() == before


def test_one_answer_settles_the_questions_of_all_loads_about_the_very_same_child(place):
    place.load(place.sheet(DAMAR, DANAR))
    next_month = INITIAL.replace("D Saputra", "Danar Saputra")
    assert place.load(place.sheet(next_month, name="next.csv"))["review"] == 1
    moved = next_month.replace("Bukateja", "Kutasari").replace("/2020;bOPV", "/2021;bOPV")
    assert place.load(place.sheet(moved, name="other.csv"))["review"] == 1
    asked = {item["id"]: item for item in place.json("review", "list")}
    first, other = sorted(asked)
    (second,) = asked[first]["hanging"]
    assert (asked[first]["rows"], asked[other]["rows"]) == (2, 1)
    place.json("review", "create", first, "--note", "twins")
    assert [item["id"] for item in place.json("review", "list")] == [other]
    patients, doses = place.content()
    assert sorted(len([d for d in doses.values() if d["patient"]["reference"][8:] == one]) for one in patients) == [
        1,
        2,
    ]
    assert f"as review {first}: twins" in str(place.json("review", "show", second))


HEADER = (
    "no_rawat,no_rkm_medis,nm_pasien,no_ktp,jk,tgl_lahir,nm_ibu,alamat,no_tlp,tgl_perawatan,jam,kode_brng,nama_brng,"
    "no_batch,aturan_pakai"
)
LABEL = "000043,BY. NY. LASTRI HANDAYANI II,,P,2020-03-12,LASTRI HANDAYANI,DESA BUKATEJA,081210001001,2020-03-12"
TWIN = LABEL.replace("BY. NY. LASTRI HANDAYANI II", "AN. DYNARA KHAIRUNNISA").replace(
    "1001,2020-03-12", "1001,2020-06-12"
)


def test_hospital_that_numbered_a_twin_goes_on_under_the_twins_name(place):
    place.load(place.sheet(RATNA.replace("Ratna Dewanti", "Dinara Khairunnisa")))
    before = place.content()
    path = place.home / "hospital.csv"
    visits = (f"2020/1,{LABEL},07:00:00,B1,VAKSIN HEPATITIS B,H1,", f"2020/2,{TWIN},08:00:00,B4,VAKSIN PENTABIO,P1,")
    path.write_text("\n".join((HEADER, *visits)) + "\n")
    place.run("load", path, "--clinic", "rs")
    assert place.content() == before
    assert {item["code"] for item in place.json("review", "list")} == {"possible-twins"}
