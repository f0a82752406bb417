"""A wrong link is taken apart: doses, what the rows said of the person, and what later loads make of them."""

import json
import re

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

from fhir_gateway import bootstrap

TWIN = RATNA_POLIO.replace("081210001001", "081210009999")
"""The same words but for another phone: linked to Ratna without asking."""


def link(place):
    assert place.load(place.sheet(RATNA, TWIN, BAYU))["loaded"] == 3
    assert len(place.content()[0]) == 2


@pytest.fixture
def linked(place, begin):
    """Return a place where rows 1 and 2 are one Patient's, row 3 somebody else's."""
    begin(link)
    return place


def owners(place):
    """Return lot → Patient of the doses that count."""
    return {
        dose["lotNumber"] + dose["occurrenceDateTime"]: dose["patient"]["reference"].removeprefix("Patient/")
        for dose in place.content()[1].values()
        if dose["status"] == "completed"
    }


def phones(place, patient_id):
    return {telecom["value"] for telecom in place.content()[0][patient_id].get("telecom", [])}


def test_a_row_goes_to_a_new_person_with_what_it_said(linked):
    before = owners(linked)
    done = linked.json("review", "unlink", 1, 2, "--note", "another child")
    after = owners(linked)
    assert (done["rows"], done["doses"], done["from"]) == (1, 1, before["B1002020-04-15"])
    assert after == {**before, "P2002020-05-15": done["to"]}
    assert phones(linked, done["to"]) == {"+6281210009999"}
    assert linked.content()[0][done["to"]]["name"][0]["text"] == "Ratna Dewanti"


def test_the_wrong_patient_loses_what_only_the_row_had_said(linked):
    done = linked.json("review", "unlink", 1, 2)
    assert phones(linked, done["from"]) == {"+6281210001001"}
    patient = linked.content()[0][done["from"]]
    assert [i["value"] for i in patient["identifier"] if i["system"].endswith("/nik")] == ["3303015203200003"]


def test_rows_go_to_a_patient_who_is_named(linked):
    owner = owners(linked)["B1002019-08-20"]
    done = linked.json("review", "unlink", 1, 2, "--to", owner)
    assert done["to"] == owner
    assert owners(linked)["P2002020-05-15"] == owner


def test_the_same_file_again_leaves_the_rows_apart(linked):
    linked.json("review", "unlink", 1, 2)
    content = linked.content()
    assert linked.load(linked.home / "sheet.csv")["unchanged"] == 3
    assert linked.content() == content


def test_the_same_words_are_never_linked_to_the_wrong_patient_again(linked):
    done = linked.json("review", "unlink", 1, 2)
    next_dose = TWIN.replace("15/05/2020", "15/07/2020").replace(";1;P200", ";2;P201")
    assert linked.load(linked.sheet(next_dose, name="next.csv"))["loaded"] == 1
    assert owners(linked)["P2012020-07-15"] == done["to"]


def test_the_wrong_patients_own_rows_stay_hers(linked):
    done = linked.json("review", "unlink", 1, 2)
    next_dose = RATNA.replace("15/04/2020;BCG;1;B100", "15/08/2020;bOPV;3;P203")
    assert linked.load(linked.sheet(next_dose, name="next.csv"))["loaded"] == 1
    assert owners(linked)["P2032020-08-15"] == done["from"]


def test_rows_of_the_same_words_go_along(place):
    place.load(place.sheet(RATNA, RATNA_POLIO, TWIN.replace("15/05", "15/06").replace("P200", "P201")))
    done = place.json("review", "unlink", 1, 1)
    assert (done["rows"], done["doses"]) == (2, 2)


def test_a_dose_that_two_sources_share_is_copied(place):
    place.load(place.sheet(RATNA))
    other = RATNA.replace("081210001001", "081210009999").replace(";1;B100", ";;")
    place.load(place.sheet(other, name="other.csv"), "--clinic", "other")
    assert len(place.content()[1]) == 1
    done = place.json("review", "unlink", 2, 1)
    doses = place.content()[1].values()
    assert sorted(d["patient"]["reference"] for d in doses) == sorted(f"Patient/{done[k]}" for k in ("from", "to"))
    assert place.load(place.home / "sheet.csv")["unchanged"] == 1


def test_a_dose_that_the_right_patient_has_already_is_not_doubled(place):
    place.load(place.sheet(RATNA, BAYU))
    place.load(place.sheet(RATNA.replace("15/04", "16/04"), name="n.csv"))
    place.load(place.sheet(BAYU.replace("20/08/2019", "16/04/2020"), name="m.csv"))
    owner = owners(place)["B1002019-08-20"]
    done = place.json("review", "unlink", 2, 1, "--to", owner)
    assert done["rows"] == 2
    statuses = sorted(d["status"] for d in place.content()[1].values())
    assert statuses.count("entered-in-error") == 1


def test_a_shared_dose_that_the_right_patient_has_already_is_not_doubled(place):
    place.load(place.sheet(RATNA, BAYU.replace("20/08/2019", "15/04/2020").replace("B100", "B900")))
    place.load(place.sheet(RATNA.replace(";1;B100", ";;"), name="other.csv"), "--clinic", "other")
    right = next(owner for dose, owner in owners(place).items() if dose.startswith("B900"))
    place.json("review", "unlink", 2, 1, "--to", right, "--only")
    assert len(owners(place)) == 2
    assert len(place.content()[1]) == 2
    place.load(place.home / "other.csv", "--clinic", "other")
    assert place.load(place.home / "other.csv", "--clinic", "other")["unchanged"] == 1
    assert len(place.content()[1]) == 2


def test_all_rows_of_a_person_need_to_be_told_whose_they_are(place):
    place.load(place.sheet(RATNA))
    code, _, err = place.run("review", "unlink", 1, 1)
    assert code == 2
    assert "--to" in err


def test_a_person_left_without_rows_is_put_out_of_use(place):
    place.load(place.sheet(RATNA, BAYU))
    owner = owners(place)["B1002020-04-15"]
    done = place.json("review", "unlink", 1, 2, "--to", owner)
    assert place.content()[0][done["from"]]["active"] is False
    assert set(owners(place).values()) == {owner}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 9), "no row 9"),
        ((7, 1), "no run 7"),
        ((1, 1, 3), "several Patients"),
        ((1, 2, "--to", "nobody"), "no active Patient nobody"),
    ],
)
def test_what_cannot_be_unlinked_is_told(linked, arguments, message):
    code, _, err = linked.run("review", "unlink", *arguments)
    assert code == 2
    assert message in err


def test_an_unlinking_is_told_by_person_and_review(linked):
    done = linked.json("review", "unlink", 1, 2, "--user", "dewi", "--note", "another child")
    assert [s["row"] for s in linked.json("person", "show", done["to"])["sources"]] == [2]
    assert [s["row"] for s in linked.json("person", "show", done["from"])["sources"]] == [1]
    answer = linked.json("review", "show", 1)["answers"][0]
    assert (answer["state"], answer["user"], answer["note"]) == ("unlinked", "dewi", "another child")
    assert linked.json("review", "list") == []


def test_an_unlinking_is_taken_back(linked):
    before = owners(linked)
    linked.json("review", "unlink", 1, 2)
    linked.json("review", "undo", 1)
    assert owners(linked) == before
    assert linked.load(linked.home / "sheet.csv")["unchanged"] == 3


def test_a_rejection_taken_back_asks_again(place):
    asked(place)
    place.json("review", "reject", 1, "--reason", "wrong clinic")
    place.json("review", "undo", 1, "--note", "was right after all")
    assert len(place.json("review", "list")) == 1
    assert place.load(place.home / "next.csv")["review"] == 1
    assert [a["state"] for a in place.json("review", "show", 1)["answers"]] == ["rejected", "undone"]


def test_a_link_taken_back_makes_a_new_person(place):
    (candidate,) = asked(place)["candidates"]
    place.json("review", "link", 1, candidate)
    done = place.json("review", "undo", 1)
    assert done["from"] == candidate
    assert place.content()[0][done["to"]]["name"][0]["text"] == "Bayu Kusumo"
    assert [name["text"] for name in place.content()[0][candidate]["name"]] == ["Ratna Dewanti"]


def test_a_creation_taken_back_needs_to_be_told_whose_the_rows_are(place):
    (candidate,) = asked(place)["candidates"]
    place.json("review", "create", 1)
    code, _, err = place.run("review", "undo", 1)
    assert (code, "--to" in err) == (2, True)
    assert place.json("review", "undo", 1, "--to", candidate)["to"] == candidate
    assert set(owners(place).values()) == {candidate}


def asked(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv"))
    (item,) = place.json("review", "list")
    return item


def test_those_taken_apart_are_never_proposed_for_merging_again(linked):
    done = linked.json("review", "unlink", 1, 2)
    with bootstrap.ledger_of("embedded") as ledger:
        run = ledger.runs.all()[0]
        with ledger.transaction():
            ledger.keys.propose(run, [(done["from"], done["to"]), (done["from"], "other")], reason="alike")
        assert [pair[:2] for pair in ledger.keys.proposals()] == [tuple(sorted((done["from"], "other")))]


def test_those_taken_apart_are_merged_only_on_purpose(linked):
    done = linked.json("review", "unlink", 1, 2)
    plan = linked.home / "plan.json"
    (group,) = linked.json("merge", "plan", done["from"], done["to"], "--out", plan)["groups"]
    assert [one["code"] for one in group["conflicts"] if one["blocks"]] == ["kept-apart"]
    code, said, _ = linked.run("merge", "apply", plan, "--json")
    assert (code, json.loads(said)["merges"][0]["changed"]) == (3, 0)
    assert linked.json("merge", "apply", plan, "--accept-conflicts")["merges"][0]["failed"] == []


def test_of_a_run_that_read_several_files_the_one_is_named(place):
    sheets = [place.sheet(RATNA, name="one.csv"), place.sheet(BAYU, name="other.csv")]
    assert place.run("load", *sheets)[0] == 0
    before = owners(place)
    code, _, told = place.run("review", "unlink", 1, 1, "--to", before["B1002020-04-15"])
    assert code == 2
    assert "say with --file" in told
    assert owners(place) == before
    done = place.json("review", "unlink", 1, 1, "--file", 2, "--to", before["B1002020-04-15"])
    assert done["from"] == before["B1002019-08-20"]


def test_the_same_unlinking_said_again_does_nothing_and_says_so(linked):
    done = linked.json("review", "unlink", 1, 2)
    content = linked.content()
    assert linked.json("review", "unlink", 1, 2) == {**done, "done_before": True}
    assert linked.json("review", "unlink", 1, 2, "--to", done["to"]) == {**done, "done_before": True}
    code, said, _ = linked.run("review", "unlink", 1, 2)
    assert (code, "nothing to do: 1 row with 1 dose went from Patient" in " ".join(said.split())) == (0, True)
    assert linked.content() == content


@pytest.mark.parametrize("other", [(1, 2, "--to", "wrong"), (1, 2, 3)])
def test_an_unlinking_that_contradicts_the_one_before_is_refused(linked, other):
    done = linked.json("review", "unlink", 1, 2)
    code, _, err = linked.run("review", "unlink", *(done["from"] if word == "wrong" else word for word in other))
    assert code == 2
    assert f"row 2 of run 1 has been taken apart from Patient {done['from']} already (run 2)" in err
    assert "`review undo 1` takes that back" in err


def test_an_unlinking_tells_the_number_under_which_it_is_taken_back(linked):
    before = owners(linked)
    _, said, _ = linked.run("review", "unlink", 1, 2)
    number = re.search(r"`fhir-gateway review undo (\d+)` takes that back", " ".join(said.split())).group(1)
    assert linked.json("review", "unlink", 1, 2)["review"] == int(number)
    linked.json("review", "undo", number)
    assert owners(linked) == before


def test_what_was_taken_back_can_be_taken_apart_again(linked):
    linked.json("review", "unlink", 1, 2)
    linked.json("review", "undo", 1)
    done = linked.json("review", "unlink", 1, 2)
    assert (done["rows"], done["done_before"]) == (1, False)
    assert owners(linked)["P2002020-05-15"] == done["to"]
