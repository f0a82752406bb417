"""Duplicates on a server are found: by a NIK in common, by all else that agrees, and by what loads have proposed."""

import csv
import json

import pytest
from tests.fakes.duplicated_people import NIK, OTHER_NIK, family, patient
from tests.fakes.merging_place import everything, fill
from tests.flows.conftest import RATNA, RATNA_POLIO

from fhir_gateway import bootstrap
from fhir_gateway.domain import systems
from fhir_gateway.flows.merge.finding import likely

CUT_NIK = "3303121503200010"
PEOPLE = (NIK, OTHER_NIK, CUT_NIK, "Rizki", "Pratama", "Bayu", "Kusumo", "Aminah", "81200000001")
MOTHER = [{"coding": [{"system": systems.RELATIONSHIP, "code": "MTH"}]}]


def named(number, name, *, nik="", born="2020-03-15", mother="Siti Aminah", **changes):
    """Return a Patient of another name who lives with a mother, with a NIK of its own or none."""
    changed = patient(number, nik or NIK, name=[{"text": name}], birthDate=born, **changes)
    if not nik:
        changed["identifier"] = changed["identifier"][1:]
    return changed | {"contact": [{"relationship": MOTHER, "name": {"text": mother}}]}


def found(place, *options):
    """Return what is listed, by the ids of each group, and what was told beside it."""
    code, out, err = place.run("merge", "find", "--json", *options)
    assert code == 0, err
    assert not [word for word in PEOPLE if word in err]
    listed = json.loads(out)
    return {tuple(one["patients"]): one for one in listed}, err


def test_patients_who_share_a_nik_are_found_with_the_evidence_in_words(place):
    fill(place.home, [*family(), patient(8, active=False)])
    before = everything(place.home)
    listed, _ = found(place)
    assert list(listed) == [("p1", "p2", "p3")]
    group = listed["p1", "p2", "p3"]
    assert (group["kind"], group["grade"], group["nik"], group["conflicts"]) == ("shared-nik", "certain", NIK, [])
    assert any("the same NIK" in line for pair in group["evidence"] for line in pair["words"])
    assert [one["name"] for one in group["people"]] == ["Rizki Pratama"] * 3
    assert group["weight"] > 20
    assert everything(place.home) == before


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"name": [{"text": "Endah Lestari"}]}, "name-disagrees"),
        ({"birthDate": "2016-11-02"}, "birth-date-disagrees"),
        ({"gender": "female"}, "gender-disagrees"),
    ],
)
def test_a_shared_nik_with_something_against_it_is_a_conflict(place, other, code):
    fill(place.home, [patient(1), patient(2, **other)])
    (group,) = found(place)[0].values()
    assert group["kind"] == "conflict"
    assert group["grade"] != "certain"
    assert code in [conflict["code"] for conflict in group["conflicts"]]


def test_a_nik_that_ends_in_0_is_shared_with_a_note(place):
    fill(place.home, [patient(1, CUT_NIK), patient(2, CUT_NIK)])
    (group,) = found(place)[0].values()
    assert (group["kind"], group["nik"]) == ("shared-nik", CUT_NIK)
    assert [(conflict["code"], conflict["blocks"]) for conflict in group["conflicts"]] == [("nik-may-be-cut", False)]


def test_likely_duplicates_are_found_without_a_nik(place):
    fill(
        place.home,
        [named(1, "Ratna Dewanti"), named(2, "Ratna Dewanty"), named(3, "Gilang Prakoso", born="2021-02-05")],
    )
    listed, _ = found(place)
    assert {ids: one["kind"] for ids, one in listed.items()} == {("p1", "p2"): "likely"}
    assert found(place, "--shared-only")[0] == {}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(named(2, "Ratni Dewanti", multipleBirthInteger=2), id="twins"),
        pytest.param(named(2, "Ratna Dewanti", nik=OTHER_NIK), id="different NIKs"),
        pytest.param(named(2, "By. Ny. Ratna Dewanti", born="2042-01-01"), id="mother and newborn"),
    ],
)
def test_twins_other_niks_and_a_newborn_beside_its_mother_are_never_certain(place, other):
    fill(place.home, [named(1, "Ratna Dewanti", nik=NIK, multipleBirthInteger=1), other])
    listed, _ = found(place)
    assert [one for one in listed.values() if one["grade"] == "certain" or one["kind"] == "likely"] == []


def test_a_mistyped_nik_where_all_else_agrees_is_likely_with_its_veto_named_and_never_certain(place):
    mistyped = NIK[:7] + "9" + NIK[8:]
    born = {"telecom": [{"system": "phone", "value": "081210001009"}]}
    fill(place.home, [named(1, "Ratna Dewanti", nik=NIK, **born), named(2, "Ratna Dewanti", nik=mistyped, **born)])
    (one,) = found(place)[0].values()
    assert (one["kind"], one["grade"]) == ("likely", "probable")
    assert [conflict["code"] for conflict in one["conflicts"]] == ["different-niks"]
    assert one["why"].startswith("both have a valid NIK, and they differ")


def test_who_shares_a_nik_and_is_likely_a_third_one_stands_in_the_list_once(place):
    fill(
        place.home, [named(1, "Ratna Dewanti", nik=NIK), named(2, "Ratna Dewanti", nik=NIK), named(3, "Ratna Dewanty")]
    )
    listed, _ = found(place)
    assert {ids: one["kind"] for ids, one in listed.items()} == {("p1", "p2", "p3"): "likely"}
    assert found(place, "--shared-only")[0].keys() == {("p1", "p2")}


def test_who_was_merged_and_undone_is_never_proposed_again(place):
    fill(place.home, [patient(1), patient(2)])
    plan = place.home / "plan.json"
    assert place.run("merge", "plan", NIK, "--out", plan)[0] == 0
    merge = place.json("merge", "apply", plan)["merges"][0]["merge"]
    assert found(place)[0] == {}  # one of them is inactive
    assert place.run("merge", "undo", merge, "--reason", "two people")[0] == 0
    listed, err = found(place)
    assert listed == {}
    assert "not listed" in err


def test_who_was_said_to_be_two_people_is_never_proposed_again(place):
    fill(place.home, [patient(1), patient(2)])
    said = place.json("merge", "part", "p2", "Patient/p1", "--reason", "namesakes", "--user", "ani")
    assert said == {"patients": ["p1", "p2"], "pairs": 1}
    listed, err = found(place)
    assert listed == {}
    assert "1 group is not listed" in err
    assert place.run("merge", "verify")[0] == 0
    with bootstrap.ledger_of("embedded") as ledger, ledger.transaction():
        assert ledger.merges.kept_apart(["p1", "p2"]) == {frozenset(("p1", "p2"))}


def test_decisions_that_people_are_different_are_listed_until_they_are_erased(place):
    fill(place.home, [patient(1), patient(2)])
    place.json("merge", "part", "p1", "p2", "--reason", "namesakes", "--user", "ani")
    place.json("merge", "part", "p3", "p4", "--reason", "cousins", "--user", "budi")

    def parted(*words):
        return [(one["patients"], one["reason"], one["overruled"]) for one in listed(*words)]

    def listed(*words):
        return place.json("merge", "history", "--parted", *words)

    first, second = (["p1", "p2"], "namesakes", []), (["p3", "p4"], "cousins", [])
    assert parted() == [second, first]
    assert parted("--patient", "p1") == parted("--user", "ani") == [first]
    assert parted("--until", "2020-01-01") == []
    assert place.run("merge", "history", "--parted", "--nik", "1" * 16)[0] == 2
    plan = place.home / "plan.json"
    place.json("merge", "plan", "p1", "p2", "--out", plan)
    merge = place.json("merge", "apply", plan, "--accept-conflicts")["merges"][0]["merge"]
    assert parted("--patient", "p2") == [(["p1", "p2"], "namesakes", [merge])]
    assert place.run("merge", "undo", merge, "--reason", "namesakes all the same")[0] == 0
    assert parted("--patient", "p1") == [first]
    assert place.run("merge", "erase", "--patient", "p3", "--reason", "asked for", "--yes")[0] == 0
    assert next((one["patients"], one["user"], one["erased"]) for one in listed()) == ([], "budi", True)


@pytest.mark.parametrize("words", [("p1",), ("p1", "Patient/p1"), ("p1", "p/2"), ("p1", "p2", "--reason", " ")])
def test_saying_that_patients_are_different_needs_two_of_them_and_a_reason(place, words):
    assert place.run("merge", "part", "--reason", "why", *words)[0] == 2


def test_a_load_proposes_nobody_who_was_parted(place):
    place.load(place.sheet("1;Ratna Dewanti;3303015203200003;P;12/03/2020;Lastri;Bukateja;;15/04/2020;BCG;1;B100"))
    place.json("merge", "part", "p1", "p2", "--reason", "namesakes")
    with bootstrap.ledger_of("embedded") as ledger, ledger.transaction():
        ledger.keys.propose(ledger.runs.get(1), [("p1", "p2"), ("p1", "p3")], reason="one row fits both")
        assert [row[:2] for row in ledger.keys.proposals()] == [("p1", "p3")]


def test_a_row_that_fits_two_who_were_parted_is_asked_about(place):
    fill(place.home, [patient(1), patient(2)])
    place.json("merge", "part", "p1", "p2", "--reason", "namesakes")
    row = f"1;Rizki Pratama;{NIK};L;15/03/2020;Siti Aminah;Bukateja;;15/04/2020;BCG;1;B100"
    assert place.load(place.sheet(row))["review"] == 1
    (asked,) = place.json("review", "list")
    assert asked["reason"] == "it fits two people about equally well"
    assert sorted(asked["candidates"]) == ["p1", "p2"]


def test_patients_that_were_unlinked_are_never_proposed_again(place):
    assert place.load(place.sheet(RATNA, RATNA_POLIO.replace("081210001001", "081210009999")))["loaded"] == 2
    done = place.json("review", "unlink", 1, 2)
    listed, err = found(place)
    assert done["to"] != done["from"]
    assert listed == {}
    assert "1 group is not listed" in err


def test_what_loads_have_proposed_is_listed_with_its_run(place):
    place.load(place.sheet("1;Ratna Dewanti;3303015203200003;P;12/03/2020;Lastri;Bukateja;;15/04/2020;BCG;1;B100"))
    fill(place.home, [patient(1), patient(2), patient(4, OTHER_NIK, name=[{"text": "Bayu Kusumo"}])])
    with bootstrap.ledger_of("embedded") as ledger, ledger.transaction():
        run = ledger.runs.get(1)
        ledger.keys.propose(run, [("p1", "p2"), ("p1", "p4"), ("p1", "gone")], reason="one row fits both")
    listed, _ = found(place)
    assert {ids: (one["kind"], one["run"]) for ids, one in listed.items()} == {
        ("p1", "p2"): ("shared-nik", 1),
        ("p1", "p4"): ("conflict", 1),
    }
    assert listed["p1", "p4"]["reason"] == "one row fits both"


def test_named_niks_are_looked_up_and_those_of_one_patient_are_told(place):
    fill(place.home, family())
    niks = place.home / "niks.csv"
    niks.write_text(f"name;NIK\nRizki;{NIK}\n# later\n\nBayu;{OTHER_NIK}\n")
    listed, err = found(place, "--niks", niks)
    assert list(listed) == [("p1", "p2", "p3")]
    assert "1 NIK: fewer than two" in err
    niks.write_text("# nobody\n")
    assert place.run("merge", "find", "--niks", niks)[0] == 2


def test_a_file_of_what_was_found_is_safe_private_and_can_be_planned(place):
    fill(place.home, [patient(1, name=[{"text": "=cmd Rizki"}]), patient(2), named(3, "Ratna D"), named(4, "Ratna D")])
    out = place.home / "found.csv"
    code, said, _ = place.run("merge", "find", "--out", out)
    assert code == 0
    assert not [word for word in PEOPLE if word in said]
    assert out.stat().st_mode & 0o777 == 0o600
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient_id"] for row in rows if row["nik"]] == ["p1", "p2"]
    assert not [cell for row in rows for cell in row.values() if cell.startswith("=")]
    code, _, err = place.run("merge", "plan", "--niks", out, "--out", place.home / "plan.json")
    assert code == 0, err


def test_the_table_and_the_explanation_show_no_names(place):
    fill(place.home, family())
    for options in ((), ("--explain",), ("--limit", "0")):
        _, out, err = place.run("merge", "find", *options)
        assert "p1, p2, p3" in out
        assert not [word for word in PEOPLE if word in out + err]


def test_blocks_that_are_too_large_are_told(place, monkeypatch):
    monkeypatch.setattr(likely, "LARGEST_BLOCK", 2)
    fill(place.home, [named(number, "Ratna Dewanti") for number in range(1, 4)])
    listed, err = found(place)
    assert listed == {}
    assert "passed over" in err


def test_a_server_that_hides_niks_says_what_cannot_be_found(region, place):
    server = region(settings="masked_identifiers = true\n")
    code, out, err = place.run("merge", "find", "--env", "region", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert "hides NIKs" in err
    assert server


def test_a_second_opinion_needs_the_whole_server(place):
    niks = place.home / "niks.txt"
    niks.write_text(NIK)
    assert place.run("merge", "find", "--niks", niks, "--second-opinion")[0] == 2
