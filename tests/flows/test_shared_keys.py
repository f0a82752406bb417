"""Two people of one name, birthday, vaccine and day: without a NIK their rows in a sheet have one key."""

import json

import pytest
from tests.flows.conftest import RATNA, RATNA_POLIO

from fhir_gateway.embedded_server.server import EmbeddedServer

NO_NIK = RATNA.replace("3303015203200003", "")
NAMESAKE = NO_NIK.replace("Lastri Handayani;Bukateja;081210001001", "Dewi Puspita;Rembang;081210007777")
MOVED = NAMESAKE.replace("081210007777", "081210008888")


def outcomes(place, path):
    place.run("load", path, "--report", place.home / "report.csv")
    return [row["gateway_status"] for row in place.report(place.home / "report.csv")]


def namesake_of_her_own(place):
    """Load both in files of their own, and answer that the second is another child."""
    place.load(place.sheet(NO_NIK))
    path = place.sheet(NAMESAKE, name="namesake.csv")
    assert outcomes(place, path) == ["review"]
    (item,) = place.json("review", "list")
    place.json("review", "create", item["id"])
    return path


def test_a_namesake_is_never_taken_for_a_correction(place):
    place.load(place.sheet(NO_NIK))
    before = place.content()
    assert outcomes(place, place.sheet(NAMESAKE, name="namesake.csv")) == ["review"]
    assert place.content() == before


def test_a_namesake_is_a_person_with_a_dose_of_her_own(place):
    namesake_of_her_own(place)
    patients, doses = place.content()
    assert {dose["patient"]["reference"] for dose in doses.values()} == {f"Patient/{one}" for one in patients}
    assert (len(patients), len(doses)) == (2, 2)


def test_both_are_known_next_month_in_one_file_or_two(place):
    namesakes = namesake_of_her_own(place)
    before = place.content()
    assert outcomes(place, place.sheet(NO_NIK)) == ["unchanged"]
    assert outcomes(place, namesakes) == ["unchanged"]
    assert outcomes(place, place.sheet(NAMESAKE, NO_NIK, name="both.csv")) == ["unchanged", "unchanged"]
    assert place.content() == before


def test_a_namesakes_report_is_fed_back_for_the_namesake(place):
    outcomes(place, namesake_of_her_own(place))
    report = place.home / "report.csv"
    report.write_text(report.read_text(encoding="utf-8-sig").replace("B100", "B777"), encoding="utf-8")
    assert place.load(report)["loaded"] == 1
    _, doses = place.content()
    assert sorted(dose["lotNumber"] for dose in doses.values()) == ["B100", "B777"]


def test_a_correction_of_a_namesake_that_is_linked_changes_her_alone(place):
    namesake_of_her_own(place)
    patients, doses = place.content()
    path = place.sheet(MOVED, name="moved.csv")
    assert outcomes(place, path) == ["review"]
    (item,) = place.json("review", "list")
    (hers,) = [one for one, patient in patients.items() if "+6281210007777" in str(patient)]
    place.json("review", "link", item["id"], hers)
    now, same_doses = place.content()
    assert same_doses == doses
    assert [one for one in now if now[one] != patients[one]] == [hers]
    assert outcomes(place, path) == ["unchanged"]


def test_a_row_that_is_said_to_be_another_persons_leaves_the_first_ones_dose(place):
    """With a valid NIK on both sides, too: the operator's "new person" is never the one that the key stands for."""
    place.load(place.sheet(RATNA))
    other = RATNA.replace("3303015203200003", "3303025203200007").replace("Lastri Handayani", "Dewi Puspita")
    place.load(place.sheet(other, name="other.csv"))
    (item,) = place.json("review", "list")
    place.json("review", "create", item["id"])
    patients, doses = place.content()
    assert {dose["patient"]["reference"] for dose in doses.values()} == {f"Patient/{one}" for one in patients}
    assert (len(patients), len(doses)) == (2, 2)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        pytest.param("Lastri Handayani", "Lastry Handayany", id="the mother's spelling"),
        pytest.param("Bukateja;081210001001", "Rembang;081210007777", id="moved, with a new phone"),
        pytest.param("Lastri Handayani;Bukateja;081210001001", ";;081210007777", id="a new phone, the rest left out"),
        pytest.param(";P;", ";L;", id="the sex"),
        pytest.param(";;P;", ";3303015203200003;P;", id="the NIK"),
    ],
)
def test_an_ordinary_correction_asks_nobody(place, was, now):
    place.load(place.sheet(NO_NIK))
    assert outcomes(place, place.sheet(NO_NIK.replace(was, now), name="next.csv")) == ["loaded"]
    patients, doses = place.content()
    assert (len(patients), len(doses)) == (1, 1)


def test_a_correction_that_names_another_mother_is_asked_about_whatever_phone_they_share(place):
    place.load(place.sheet(NO_NIK))
    assert outcomes(place, place.sheet(NO_NIK.replace("Lastri Handayani", "Dewi Puspita"), name="next.csv")) == [
        "review"
    ]


def test_all_rows_of_a_namesake_wait_together(place):
    place.load(place.sheet(NO_NIK))
    polio = RATNA_POLIO.replace("3303015203200003", "").replace(
        "Lastri Handayani;Bukateja;081210001001", "Dewi Puspita;Rembang;081210007777"
    )
    assert outcomes(place, place.sheet(NAMESAKE, polio, name="namesake.csv")) == ["review", "review"]
    (item,) = place.json("review", "list")
    place.json("review", "create", item["id"])
    patients, doses = place.content()
    assert (len(patients), len(doses)) == (2, 3)


def test_a_correction_of_whom_somebody_put_out_of_use_is_asked_about(place):
    place.load(place.sheet(NO_NIK))
    (patient,) = place.server("Patient").values()
    server = EmbeddedServer(place.home / ".fhir-gateway" / "embedded")
    out_of_use = json.dumps(patient | {"active": False}).encode()
    headers = {"Content-Type": "application/fhir+json"}
    try:
        server.handle(
            "PUT", f"/Patient/{patient['id']}", query="", headers=headers, body=out_of_use, base="http://x/fhir"
        )
    finally:
        server.close()
    summary = place.load(place.sheet(NO_NIK.replace("B100", "B101"), name="next.csv"))
    assert summary["reasons"] == {"inactive-patient": 1}


def test_an_answer_leaves_the_rows_of_another_question_about_its_key(place):
    place.load(place.sheet(RATNA))
    (ratna,) = place.content()[0]
    place.load(place.sheet(RATNA.replace("3303015203200003", "3303015203200083"), name="other.csv"))
    place.load(place.sheet(RATNA.replace("B100", "B777"), RATNA.replace("B100", "B888"), name="twice.csv"))
    person, key = sorted(place.json("review", "list"), key=lambda item: item["id"])
    assert (person["kind"], key["kind"], key["rows"]) == ("person", "key", 2)
    place.json("review", "create", person["id"])
    place.json("review", "link", key["id"], ratna)
    assert sorted(dose["lotNumber"] for dose in place.content()[1].values()) == ["B100", "B888"]


def test_a_corrected_row_that_was_of_the_wrong_person_is_taken_apart_with_its_dose(place):
    """As the question about it suggests: then the next load finds nothing to ask."""
    other = NAMESAKE.replace(";;P;", ";3303025203200017;P;").replace("15/04/2020;BCG", "20/06/2020;BCG")
    place.load(place.sheet(RATNA, RATNA_POLIO, other))
    doses = place.content()[1].values()
    (right,) = {dose["patient"]["reference"][8:] for dose in doses if dose["occurrenceDateTime"] == "2020-06-20"}
    corrected = RATNA_POLIO.replace("3303015203200003;P", "3303041203200099;L").replace("081210001001", "081210005555")
    corrected = corrected.replace("Lastri Handayani;Bukateja", "Sri Utami;Rembang")
    path = place.sheet(RATNA, corrected, name="next.csv")
    assert place.load(path)["review"] == 1
    assert "`review unlink` (--only, --to)" in place.json("review", "list")[0]["suggestion"]
    place.json("review", "unlink", 1, 2, "--only", "--to", right)
    assert place.load(path)["review"] == 0
    assert place.json("review", "list") == []
    days = {dose["occurrenceDateTime"]: dose["patient"]["reference"][8:] for dose in place.content()[1].values()}
    assert {day for day, patient in days.items() if patient == right} == {"2020-05-15", "2020-06-20"}
