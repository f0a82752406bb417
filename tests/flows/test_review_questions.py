"""What an operator is shown of a question, and what her answer means for later loads."""

import openpyxl
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

SAME_NIK = BAYU.replace("3303021107190002", "3303015203200003")
"""Somebody else under Ratna's number."""
TWIN = RATNA.replace("Ratna", "Ratih").replace("3303015203200003", "")
"""A girl of the same day and family, one sound apart."""


def test_rows_that_were_said_to_be_somebody_new_are_never_taken_for_a_row_of_the_same_load(place):
    place.load(place.sheet(RATNA, SAME_NIK))
    (item,) = place.json("review", "list")
    assert place.json("merge", "find") == []
    place.json("review", "create", item["id"], "--note", "two children")
    _, out, err = place.run("merge", "find")
    assert "1 group is not listed" in err + out
    assert place.json("merge", "find") == []


def test_the_doses_stand_side_by_side(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(TWIN, name="next.csv"))
    (item,) = place.json("review", "list")
    _, out, _ = place.run("review", "show", item["id"])
    (line,) = [line for line in out.splitlines() if line.startswith("doses")]
    assert line.count("2020-04-15 BCG dose 1 lot B100") == 2


def test_a_candidate_who_waits_himself_is_shown_with_his_question(place):
    place.load(place.sheet(RATNA))
    once_more = TWIN.replace("Dewanti", "Dewanta").replace("12/03/2020", "12/08/2020").replace("15/04", "15/09")
    place.load(place.sheet(TWIN, once_more, name="next.csv"))
    first, second = (item["id"] for item in place.json("review", "list"))
    _, out, _ = place.run("review", "show", second)
    assert f"row 1, in review {first}" in out
    assert f"answer review {first} first" in out
    assert place.json("review", "show", second)["waiting"] == [first]


def test_an_explanation_tells_the_environments_own_thresholds(place):
    folder = place.home / "environments"
    folder.mkdir()
    (folder / "strict.toml").write_text(
        '[fhir_server]\nbase_url = "embedded"\n[matching]\ncertain = 21\n', encoding="utf-8"
    )
    place.load(place.sheet(RATNA, RATNA_POLIO.replace("081210001001", "081210009999")), "--env", "strict")
    told = "\n".join(place.json("runs", "show", 1, "--row", 2, "--env", "strict")["evidence"])
    assert "from 21 on it counts as certain" in told


def test_a_link_names_the_review_that_tells_why(place):
    place.load(place.sheet(RATNA, SAME_NIK))
    (item,) = place.json("review", "list")
    (patient,) = place.server("Patient")
    note = "was renamed, NIK 3303015203200003"
    place.json("review", "link", item["id"], patient, "--note", note, "--user", "ani")
    _, out, _ = place.run("person", "show", patient)
    assert f"linked by ani in review {item['id']}" in out
    for options in ((), ("--json",)):
        out = place.run("review", "show", item["id"], *options)[1]
        assert "was renamed" in out
        assert "3303015203200003" not in out
        assert note in place.run("review", "show", item["id"], *options, "--reveal")[1]


def test_a_decision_whose_value_a_spreadsheet_did_not_store_is_no_empty_cell(place):
    place.load(place.sheet(RATNA, SAME_NIK))
    sheet = place.home / "questions.xlsx"
    place.run("review", "export", sheet)
    book = openpyxl.load_workbook(sheet)
    names = [cell.value for cell in book.active[1]]
    book.active.cell(2, names.index("decision") + 1).value = '=IF(1=1,"create","")'
    book.save(sheet)
    code, _, err = place.run("review", "import", sheet)
    assert code == 2
    assert "decision holds a formula whose value is not stored" in err


def test_the_version_of_a_question_is_no_number_to_a_spreadsheet(place):
    place.load(place.sheet(RATNA, SAME_NIK))
    sheet = place.home / "questions.csv"
    place.run("review", "export", sheet)
    text = sheet.read_text(encoding="utf-8-sig")
    assert text.rstrip().rpartition(",")[2].startswith("v")


def test_an_answer_that_is_given_again_does_nothing_and_says_so(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(SAME_NIK, name="next.csv"))
    (item,) = place.json("review", "list")
    number, (patient_id,) = item["id"], item["candidates"]
    assert place.run("review", "reject", number, "--reason", "wrong")[0] == 0
    code, said, _ = place.run("review", "reject", number, "--reason", "wrong")
    assert (code, said.startswith(f"nothing to do: review {number} was answered so already (rejected)")) == (0, True)
    code, _, told = place.run("review", "reject", number, "--reason", "another")
    assert (code, f"`fhir-gateway review undo {number}` takes that back" in told) == (2, True)
    place.json("review", "undo", number)
    assert place.json("review", "undo", number)["done_before"] is True
    done = place.json("review", "link", number, patient_id, "--user", "dewi")
    assert place.json("review", "link", number, patient_id) == done
    code, said, _ = place.run("review", "link", number, patient_id)
    assert (code, "(linked), by dewi on 20" in " ".join(said.split())) == (0, True)
    code, _, told = place.run("review", "create", number)
    assert (code, f"settled already: linked (Patient {patient_id}) by dewi on 20" in told) == (2, True)
    assert len(place.content()[0]) == 1


THIRD = RATNA_POLIO.replace("3303015203200003", "3303015203200803")


def test_what_was_answered_tells_whose_rows_they_were_and_who_became_whom(place):
    """Ratna under three NIKs: the second is somebody new, the third is Ratna, each in a question of its own."""
    place.load(place.sheet(RATNA))
    (ratna,) = place.content()[0]
    other = RATNA_POLIO.replace("3303015203200003", "3303015203200083")
    place.load(place.sheet(other, THIRD.replace("15/05", "15/06"), name="next.csv"))
    first, second = (item["id"] for item in place.json("review", "list"))
    place.json("review", "create", first)
    place.json("review", "link", second, ratna)
    (answer,) = place.json("review", "show", second)["answers"]
    assert answer["rows_in"] == [{"run": answer["run"], "file": "next.csv", "row": 2}]
    _, out, _ = place.run("review", "show", second)
    assert f"in run {answer['run']}: row 2 of next.csv" in out
    assert "what to do" not in out
    place.json("review", "undo", second)
    told = place.json("review", "show", second)["evidence"]
    assert not [line for line in told if "nothing yet" in line]
