"""Decisions made on a sheet in a spreadsheet program."""

import csv

import openpyxl
import pytest
from tests.flows.conftest import BAYU, RATNA

SAME_NIK = BAYU.replace("3303021107190002", "3303015203200003")
OTHER = "9;Wulan Sari;3303015203200003;P;01/01/1991;=Sumini;Kemangkon;081210001009;15/04/2021;COVID-19;1;"


def ask(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(SAME_NIK, name="next.csv"))


@pytest.fixture
def asked(place, begin):
    """Return a place with one question about one candidate."""
    begin(ask)
    return place


def exported(place, name="sheet.csv", *arguments):
    path = place.home / name
    code, _, err = place.run("review", "export", path, *arguments)
    assert code == 0, err
    return path


def lines_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def filled(path, *changes):
    """Write the sheet's lines back with changes, line by line."""
    lines = lines_of(path)
    for line, change in zip(lines, changes, strict=False):
        line.update(change)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


def results(place, path, *arguments):
    return [(line["result"], line["decision"]) for line in place.json("review", "import", path, *arguments)["lines"]]


def test_an_exported_line_shows_row_and_candidate_side_by_side(asked):
    (line,) = lines_of(exported(asked, "out.csv"))
    (patient_id,) = asked.content()[0]
    assert (line["row_name"], line["patient_name"], line["patient"]) == ("Bayu Kusumo", "Ratna Dewanti", patient_id)
    assert line["patient_doses"].startswith("2020-04-15 BCG")
    assert line["decision"] == ""


@pytest.mark.parametrize("together", [True, False])
def test_a_line_tells_the_evidence_about_its_candidate(place, together):
    if together:
        place.load(place.sheet(RATNA, SAME_NIK))
    else:
        ask(place)
    (line,) = lines_of(exported(place, "out.csv"))
    assert "+23.2 the same NIK" in line["evidence"]
    assert "in sum, but here a rule decides" in line["evidence"]


def test_of_two_candidates_each_line_tells_its_own(place):
    first = BAYU.replace("3303021107190002", "").replace("081210001002", "")
    second = first.replace("Endah Palupi", "Tri Lestari").replace("Kutasari", "Kemangkon")
    place.load(place.sheet(first, second.replace("20/08/2019", "20/09/2019")))
    place.json("review", "create", 1)
    unknown = first.replace("Endah Palupi", "").replace("Kutasari", "").replace("20/08/2019;BCG", "20/10/2019;MR")
    place.load(place.sheet(unknown, name="next.csv"))
    lines = lines_of(exported(place, "out.csv"))
    assert len({line["patient"] for line in lines}) == len(lines) == 2
    for line in lines:
        assert f"Patient/{line['patient']}" in line["evidence"]
        assert line["evidence"].count("before any evidence") == 1


def test_a_masked_sheet_holds_no_number_in_full(asked):
    path = exported(asked, "out.csv", "--masked")
    assert "3303015203200003" not in path.read_text(encoding="utf-8-sig")


def test_decisions_of_a_csv_sheet_are_applied(asked):
    path = filled(exported(asked, "out.csv"), {"decision": "Link", "reason": "asked the mother", "decided_by": "dewi"})
    assert results(asked, path) == [("applied", "link")]
    shown = asked.json("review", "show", 1)
    assert (shown["state"], shown["user"], shown["note"]) == ("linked", "dewi", "asked the mother")
    assert len(asked.content()[1]) == 2


def test_decisions_of_a_workbook_are_applied(asked):
    path = exported(asked, "out.xlsx")
    book = openpyxl.load_workbook(path)
    names = [cell.value for cell in book.active[1]]
    book.active.cell(2, names.index("decision") + 1).value = "create"
    book.save(path)
    assert results(asked, path) == [("applied", "create")]
    assert len(asked.content()[0]) == 2


def test_a_sheet_imported_again_applies_nothing_twice(asked):
    path = filled(exported(asked, "out.csv"), {"decision": "link"})
    results(asked, path)
    content = asked.content()
    assert results(asked, path) == [("already", "link")]
    assert asked.content() == content


def test_a_question_settled_meanwhile_is_left_alone(asked):
    path = filled(exported(asked, "out.csv"), {"decision": "link"})
    asked.json("review", "reject", 1, "--reason", "wrong clinic")
    code, out, _ = asked.run("review", "import", path)
    assert code == 3
    assert "settled meanwhile: rejected" in " ".join(out.split())
    assert len(asked.content()[1]) == 1


def test_a_question_that_has_changed_meanwhile_is_left_alone(asked):
    path = filled(exported(asked, "out.csv"), {"decision": "link"})
    asked.load(asked.sheet(SAME_NIK.replace("Endah Palupi", "Endah P"), name="next.csv"))
    assert results(asked, path) == [("stale", "link")]
    assert len(asked.content()[1]) == 1


def test_the_same_rows_loaded_again_leave_the_sheet_valid(asked):
    path = filled(exported(asked, "out.csv"), {"decision": "link"})
    asked.load(asked.home / "next.csv")
    assert results(asked, path) == [("applied", "link")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": "merge"}, "row 1 (review 1): the column decision takes link, create, reject or nothing"),
        ({"decision": "link", "patient": ""}, "row 1 (review 1): link needs a Patient's id"),
        ({"decision": "reject"}, "row 1 (review 1): reject needs a reason"),
        ({"decision": "create", "review": "77"}, "row 1 (review 77): there is no review 77"),
        ({"decision": "create", "version": ""}, "row 1 (review 1): the column version is empty"),
    ],
)
def test_a_sheet_with_a_fault_applies_nothing(asked, change, message):
    path = filled(exported(asked, "out.csv"), change)
    code, _, err = asked.run("review", "import", path)
    assert code == 2
    assert message in err
    assert len(asked.json("review", "list")) == 1


def test_a_patient_of_another_question_is_linked_only_with_a_reason(asked):
    asked.load(asked.sheet(OTHER.replace("3303015203200003", "3303014101910009"), name="other.csv"))
    stranger = next(one for one in asked.content()[0] if one not in asked.json("review", "show", 1)["candidates"])
    path = filled(exported(asked, "out.csv"), {"decision": "link", "patient": stranger})
    code, _, err = asked.run("review", "import", path)
    assert (code, "names another Patient than those whom review 1 was asked about" in err) == (2, True)
    assert results(asked, filled(path, {"reason": "told so by the midwife"})) == [("applied", "link")]
    assert results(asked, filled(path, {"reason": ""})) == [("already", "link")]


def test_of_an_answer_taken_back_no_way_back_is_promised(asked):
    path = filled(exported(asked, "out.csv"), {"decision": "link"})
    results(asked, path)
    asked.json("review", "undo", 1)
    (line,) = asked.json("review", "import", path)["lines"]
    assert (line["result"], "review undo" in line["message"]) == ("stale", False)


def test_a_question_decided_on_two_lines_is_a_fault(asked):
    path = exported(asked, "out.csv")
    text = path.read_text(encoding="utf-8-sig").split("\n", 1)
    path.write_text(f"{text[0]}\n{text[1]}{text[1]}", encoding="utf-8")
    filled(path, {"decision": "link"}, {"decision": "create"})
    code, _, err = asked.run("review", "import", path)
    assert code == 2
    assert "decided in row 1 otherwise" in err


def test_a_link_to_nobody_is_refused_and_the_rest_applied(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(SAME_NIK, OTHER, name="next.csv"))
    nobody = {"decision": "link", "patient": "nobody", "reason": "so it stood there"}
    path = filled(exported(place, "out.csv"), nobody, {"decision": "create"})
    assert results(place, path) == [("refused", "link"), ("applied", "create")]


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(OTHER, name="next.csv"))
    (line,) = lines_of(exported(place, "out.csv"))
    assert not any(cell.startswith(("=", "+", "@")) for cell in line.values())
    book = openpyxl.load_workbook(exported(place, "out.xlsx"))
    assert {cell.data_type for row in book.active.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


def test_a_sheet_without_decisions_applies_nothing(asked):
    code, out, _ = asked.run("review", "import", exported(asked, "out.csv"))
    assert code == 0
    assert "no decision on the sheet" in out


def test_the_same_decision_in_several_lines_of_a_question_counts_once(asked):
    path = exported(asked, "out.csv")
    (line,) = lines_of(path)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(line))
        writer.writeheader()
        writer.writerows([{**line, "decision": "create"}, {**line, "decision": "CREATE", "patient": "another"}])
    assert results(asked, path) == [("applied", "create")]


def test_what_is_half_filled_in_is_told(asked):
    path = filled(exported(asked, "out.csv"), {"reason": "ask the mother first"})
    code, said, _ = asked.run("review", "import", path)
    assert code == 0
    assert "row 1: reason or decided_by is filled in, but decision is empty" in " ".join(said.split())
    assert asked.json("review", "import", path) == {"lines": [], "undecided": 1, "half_filled": [1]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("decision", "choice"), "out.csv: lacks columns of the sheet that `review export` writes: 'decision'"),
        (("\n1,", f"\n{'9' * 30},"), f"there is no review {'9' * 30} in this environment"),
    ],
)
def test_a_sheet_that_lacks_what_was_exported_is_told(asked, change, message):
    path = filled(exported(asked, "out.csv"), {"decision": "create"})
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(*(word.encode() for word in change), 1))
    code, _, err = asked.run("review", "import", path)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    "words",
    [("review", "show"), ("review", "link", "x"), ("review", "unlink", "1"), ("runs", "show"), ("runs", "retry")],
)
def test_a_number_that_nothing_has_is_wrong_usage(place, words):
    assert place.run(*words[:2], "9" * 22, *words[2:])[0] == 2
