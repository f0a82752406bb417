"""An audit from its sample to its score: two sheets, two judges, a sealed key."""

import csv

import openpyxl
import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

from fhir_gateway.flows.judging import AuditPair
from fhir_gateway.flows.judging.drawing import numbered_by_chance

OTHER_PHONE = RATNA_POLIO.replace("081210001001", "081210009999")
SISTER = RATNA.replace("Ratna Dewanti", "Ratih Dewanti").replace("3303015203200003", "").replace(";BCG", ";bOPV")


def draw(place):
    path = place.sheet(RATNA, OTHER_PHONE, BAYU, SISTER)
    place.load(path)
    code, _, err = place.run("identity", "audit", "draw", path, "--size", 10, "--out", place.home / "audit")
    assert code == 0, err


@pytest.fixture
def drawn(place, begin):
    """Return a place with the sheets of an audit: one pair that is linked, others that are not."""
    begin(draw)
    return place


def judged(place, judge, word_of):
    """Fill a judge's sheet in: `word_of` tells the word for the names of a pair."""
    path = place.home / "audit" / f"judge-{judge}.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book.active
    names = [cell.value for cell in sheet[1]]
    for row in sheet.iter_rows(min_row=2):
        cells = dict(zip(names, row, strict=True))
        cells["judgement"].value = word_of({cells["A name"].value, cells["B name"].value})
    book.save(path)
    return path


def by_name(names):
    return "same" if len({name.split(";")[0] for name in names}) == 1 else "different"


def sealed(place):
    with (place.home / "audit" / "key.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_sheets_do_not_tell_what_the_gateway_decided(drawn):
    book = openpyxl.load_workbook(drawn.home / "audit" / "judge-1.xlsx")
    names = [cell.value for cell in book.active[1]]
    assert not {"stratum", "linked", "weight", "clinic"} & set(names)
    assert {pair["linked"] for pair in sealed(drawn)} >= {"yes"}


def test_the_numbers_of_pairs_do_not_tell_which_are_linked():
    drawn_linked_first = [
        AuditPair(number, {}, {}, "ordinary", "puskesmas", linked=number <= 20, weight=0, represents=1)
        for number in range(1, 41)
    ]
    numbered = numbered_by_chance(drawn_linked_first, 1)
    first = numbered[0].number
    assert [pair.number for pair in numbered] == list(range(first, first + 40))
    assert 5 < sum(pair.linked for pair in numbered[:20]) < 15
    assert sum(pair.linked for pair in numbered) == 20


def test_the_key_holds_no_persons_data(drawn):
    text = (drawn.home / "audit" / "key.csv").read_text(encoding="utf-8-sig")
    assert "Ratna" not in text
    assert "3303015203200003" not in text


def test_two_judges_who_agree_give_precision_and_recall(drawn):
    sheets = [judged(drawn, judge, by_name) for judge in (1, 2)]
    score = drawn.json("identity", "audit", "score", *sheets)
    assert (score["judged"], score["disputed"]) == (len(sealed(drawn)), 0)
    assert score["precision"]["estimate"] == 1
    assert score["rises"] == []


def test_a_wrong_link_tells_where_to_raise_the_threshold(drawn):
    sheets = [judged(drawn, judge, lambda _: "different") for judge in (1, 2)]
    score = drawn.json("identity", "audit", "score", *sheets)
    assert score["precision"]["estimate"] == 0
    assert score["rises"][0]["wrong"] >= 1


def test_judges_who_disagree_decide_nothing(drawn):
    sheets = [judged(drawn, 1, lambda _: "same"), judged(drawn, 2, lambda _: "different")]
    score = drawn.json("identity", "audit", "score", *sheets)
    assert score["disputed"] == score["judged"] == score["pairs"]
    assert score["precision"] is None
    _, out, _ = drawn.run("identity", "audit", "score", *sheets)
    assert "nothing is said of thresholds" in out


def test_a_word_that_is_no_judgement_is_told(drawn):
    sheets = [judged(drawn, 1, lambda _: "perhaps"), judged(drawn, 2, by_name)]
    code, _, err = drawn.run("identity", "audit", "score", *sheets)
    assert code == 2
    assert "same, different, unsure" in err


def test_a_pair_judged_both_ways_on_one_sheet_is_told(drawn):
    first = judged(drawn, 1, by_name)
    both_ways = drawn.home / "both.csv"
    pair = sealed(drawn)[0]["pair"]
    both_ways.write_text(f"pair,judgement\n{pair},Same\n{pair}, same\n{pair},different\n", encoding="utf-8")
    code, _, err = drawn.run("identity", "audit", "score", first, both_ways)
    assert code == 2
    assert f"both.csv:3: pair {pair} stands above" in err


def test_sheets_of_another_audit_are_refused(drawn):
    sheets = [judged(drawn, judge, by_name) for judge in (1, 2)]
    drawn.run("identity", "audit", "draw", drawn.home / "sheet.csv", "--size", 2, "--seed", 2, "--out", "other")
    code, out, err = drawn.run("identity", "audit", "score", *sheets, "--key", drawn.home / "other" / "key.csv")
    assert (code, out) == (2, "")
    assert "give sheets and key of one audit" in err


def test_sheets_that_may_be_filled_in_are_not_written_over(drawn):
    sheet = judged(drawn, 1, by_name)
    before = sheet.read_bytes()
    code, out, err = drawn.run("identity", "audit", "draw", drawn.home / "sheet.csv", "--out", drawn.home / "audit")
    assert (code, out) == (2, "")
    assert "an audit stands there already" in err
    assert sheet.read_bytes() == before


def test_a_file_is_no_folder_for_an_audit(place):
    path = place.sheet(RATNA, BAYU)
    for out in (path, path / "audit"):
        code, _, err = place.run("identity", "audit", "draw", path, "--out", out)
        assert code == 2
        assert "no folder" in err


def test_one_sheet_is_no_audit(drawn):
    sheet = drawn.home / "audit" / "judge-1.xlsx"
    assert drawn.run("identity", "audit", "score", sheet, sheet)[0] == 2


def test_what_an_operator_decided_is_not_drawn(place):
    place.load(place.sheet(RATNA))
    path = place.sheet(RATNA, BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv")
    place.load(path)
    (item,) = place.json("review", "list")
    place.json("review", "link", item["id"], item["candidates"][0])
    code, _, err = place.run("identity", "audit", "draw", path, "--out", place.home / "audit")
    assert code == 2
    assert "were linked or came near it" in err


def test_a_row_linked_to_who_was_on_the_server_is_held_against_the_patient_as_it_was(place):
    place.load(place.sheet(RATNA, name="january.csv"))
    path = place.sheet(OTHER_PHONE, BAYU, name="february.csv")
    place.load(path)
    code, _, err = place.run("identity", "audit", "draw", path, "--size", 10, "--out", place.home / "audit")
    assert code == 0, err
    assert [pair["linked"] for pair in sealed(place)] == ["yes"]
    sheet = openpyxl.load_workbook(place.home / "audit" / "judge-1.xlsx").active
    cells = dict(zip(*sheet.iter_rows(values_only=True), strict=True))
    assert sorted((cells["A phone"], cells["B phone"])) == ["+6281210001001", "+6281210009999"]
    assert cells["A identifiers"] == cells["B identifiers"] == "NIK 3303015203200003"


def test_two_whom_only_a_third_row_joined_are_drawn(place):
    alone = RATNA.replace("Lastri Handayani;Bukateja;081210001001", ";Kutasari;")
    newborn = RATNA_POLIO.replace("Ratna Dewanti;3303015203200003", "By. Ny. Lastri Handayani;3303014505950001")
    path = place.sheet(alone, RATNA.replace("BCG", "HB0"), newborn)
    place.load(path)
    assert len(place.server("Patient")) == 1
    place.run("identity", "audit", "draw", path, "--size", 20, "--out", place.home / "audit")
    pairs = sealed(place)
    assert [pair["linked"] for pair in pairs] == ["yes"] * 3
    assert min(float(pair["weight"].lstrip("'")) for pair in pairs) < 0
