"""A clinic's sheet becomes Patients and Immunizations, and every row is accounted for."""

import json
import os
import re

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN

COUNTS = ("loaded", "unchanged", "review", "rejected", "failed")


def counts(summary):
    return {name: summary[name] for name in COUNTS if summary[name]}


def text_of(patient):
    return [name["text"] for name in patient["name"]]


def test_each_person_stands_once_with_each_dose_once(place):
    summary = place.load(place.sheet(RATNA, RATNA_POLIO, BAYU))
    patients, doses = place.content()
    assert counts(summary) == {"loaded": 3}
    assert (len(patients), len(doses)) == (2, 3)
    ratna = next(p for p in patients.values() if "Ratna Dewanti" in text_of(p))
    hers = [d for d in doses.values() if d["patient"]["reference"] == f"Patient/{ratna['id']}"]
    assert sorted(d["occurrenceDateTime"] for d in hers) == ["2020-04-15", "2020-05-15"]


def test_stdout_ends_with_the_invariant(place):
    code, out, _ = place.run("load", place.sheet(RATNA, VITAMIN))
    assert out.splitlines()[-1] == "read 2 = loaded 1 + unchanged 0 + review 0 + rejected 1 + failed 0"
    assert code == 3


def test_exit_code_is_zero_when_every_row_is_loaded(place):
    code, _, _ = place.run("load", place.sheet(RATNA, BAYU))
    assert code == 0


def test_the_same_file_again_changes_nothing(place):
    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    place.load(path)
    before = place.content()
    assert counts(place.load(path)) == {"unchanged": 3}
    assert place.content() == before


def test_next_months_export_adds_only_what_is_new(place):
    place.load(place.sheet(RATNA))
    before, _ = place.content()
    assert counts(place.load(place.sheet(RATNA, RATNA_POLIO, name="next.csv"))) == {"loaded": 1, "unchanged": 1}
    patients, doses = place.content()
    assert patients == before
    assert len(doses) == 2


def test_a_corrected_export_changes_only_what_was_corrected(place):
    place.load(place.sheet(RATNA, BAYU))
    patients, before = place.content()
    corrected = RATNA.replace("B100", "B101")
    assert counts(place.load(place.sheet(corrected, BAYU, name="next.csv"))) == {"loaded": 1, "unchanged": 1}
    same_patients, after = place.content()
    assert same_patients == patients
    changed = [i for i in after if after[i] != before[i]]
    assert [after[i]["lotNumber"] for i in changed] == ["B101"]
    assert after.keys() == before.keys()


def test_a_corrected_phone_updates_the_patient_and_no_dose(place):
    place.load(place.sheet(RATNA))
    _, doses = place.content()
    place.load(place.sheet(RATNA.replace("081210001001", "081210009999"), name="next.csv"))
    patients, same_doses = place.content()
    (ratna,) = patients.values()
    assert same_doses == doses
    assert [(t["value"], t.get("use")) for t in ratna["telecom"]] == [
        ("+6281210009999", "mobile") if "use" in ratna["telecom"][0] else ("+6281210009999", None),
        ("+6281210001001", "old"),
    ]


def test_a_blank_in_a_later_export_replaces_nothing(place):
    place.load(place.sheet(RATNA))
    before = place.content()
    place.load(place.sheet(RATNA.replace("081210001001", "").replace("B100", ""), name="next.csv"))
    assert place.content() == before


def test_what_was_blank_for_a_while_is_still_the_sources_to_correct(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(RATNA.replace("081210001001", "").replace("B100", ""), name="february.csv"))
    filled = RATNA.replace("081210001001", "081210009999").replace("B100", "B101")
    assert counts(place.load(place.sheet(filled, name="march.csv"))) == {"loaded": 1}
    patients, doses = place.content()
    assert [dose["lotNumber"] for dose in doses.values()] == ["B101"]
    (ratna,) = patients.values()
    assert [(t["value"], t["use"]) for t in ratna["telecom"]] == [
        ("+6281210009999", "mobile"),
        ("+6281210001001", "old"),
    ]


def test_an_older_export_never_overwrites_a_newer_one(place):
    old = place.sheet(RATNA, name="january.csv")
    new = place.sheet(RATNA.replace("B100", "B101"), name="february.csv")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    os.utime(new, (1_710_000_000, 1_710_000_000))
    place.load(new)
    before = place.content()
    assert counts(place.load(old)) == {"unchanged": 1}
    assert place.content() == before


def test_a_newer_export_takes_a_correction_back(place):
    files = [
        place.sheet(RATNA, name="january.csv"),
        place.sheet(RATNA.replace("B100", "B101"), name="february.csv"),
        place.sheet(RATNA, BAYU, name="march.csv"),
    ]
    for month, path in enumerate(files):
        os.utime(path, (1_700_000_000 + month, 1_700_000_000 + month))
        place.load(path)
    assert {dose["lotNumber"] for dose in place.server("Immunization").values()} == {"B100"}


def test_loading_a_superseded_export_again_changes_nothing(place):
    old = place.sheet(RATNA, name="january.csv")
    place.load(old)
    place.load(place.sheet(RATNA.replace("B100", "B101"), name="february.csv"))
    before = place.content()
    os.utime(old, (4_000_000_000, 4_000_000_000))
    assert counts(place.load(old)) == {"unchanged": 1}
    assert place.content() == before


def test_an_identical_second_row_is_loaded_with_the_same_ids(place):
    path = place.sheet(RATNA, RATNA)
    out = place.home / "report.csv"
    place.run("load", path, "--report", out)
    first, second = place.report(out)
    assert (first["gateway_status"], second["gateway_status"]) == ("loaded", "loaded")
    assert (first["patient_id"], first["immunization_ids"]) == (second["patient_id"], second["immunization_ids"])
    assert len(place.content()[1]) == 1


def test_the_same_key_with_other_content_goes_to_review(place):
    path = place.sheet(RATNA, RATNA.replace("B100", "B777"), BAYU)
    assert counts(place.load(path)) == {"loaded": 1, "review": 2}
    assert len(place.content()[1]) == 1


def test_an_operator_loads_the_last_of_contradicting_rows_for_the_person_whose_it_is(place):
    place.load(place.sheet(RATNA_POLIO))
    place.load(place.sheet(RATNA, RATNA.replace("B100", "B777"), name="next.csv"))
    (item,) = place.json("review", "list")
    assert counts(place.json("review", "create", item["id"])) == {"loaded": 1}
    patients, doses = place.content()
    assert (len(patients), sorted(dose["lotNumber"] for dose in doses.values())) == (1, ["B777", "P200"])
    assert place.json("review", "list") == []


def test_rejected_rows_say_why_and_what_to_do(place):
    path = place.sheet(RATNA, VITAMIN)
    out = place.home / "report.csv"
    place.run("load", path, "--report", out)
    rejected = place.report(out)[1]
    assert rejected["gateway_status"] == "rejected"
    assert "not an immunization" in rejected["gateway_reason"]
    assert rejected["Nama Lengkap"] == "Gilang Prakoso"


def test_a_row_corrected_in_the_report_is_loaded_from_there(place):
    path = place.sheet(RATNA, VITAMIN)
    out = place.home / "report.csv"
    place.run("load", path, "--report", out)
    text = out.read_text(encoding="utf-8-sig").replace("Vitamin A", "BCG")
    fixed = place.home / "fixed.csv"
    fixed.write_text(text, encoding="utf-8-sig")
    assert counts(place.load(fixed)) == {"loaded": 1, "unchanged": 1}
    assert len(place.content()[0]) == 2


def test_unmapped_vaccines_are_counted_with_a_line_to_paste(place):
    written = (("Vaksin Antah", 15), ("VAKSIN  ANTAH", 16), ("vaksin-antah ", 17), ("Vaksin Antah", 18))
    rows = [RATNA.replace("BCG", name).replace("15/04", f"{day}/04") for name, day in written]
    summary = place.load(place.sheet(*rows))
    (unmapped,) = summary["unmapped"]
    assert (unmapped["value"], unmapped["count"], summary["reasons"]) == ("Vaksin Antah", 4, {"vaccine-unmapped": 4})
    converted = place.run("convert", place.home / "sheet.csv", "--out", "out.ndjson", "--json")[1]
    assert json.loads(converted)["unmapped"] == [unmapped]
    maps = place.home / "mappings" / "concept_maps"
    maps.mkdir(parents=True)
    line = re.sub(r"\?", "19", unmapped["line"], count=1)
    (maps / f"{unmapped['concept_map']}.csv").write_text(line + "\n")
    assert counts(place.load(place.home / "sheet.csv")) == {"loaded": 4}


def test_a_conversion_writes_a_record_once_and_asks_about_another_content(place):
    other = RATNA.replace("B100", "B200")
    sheet = place.sheet(RATNA, BAYU, RATNA, other, BAYU.replace("190002", "190003"), other)
    code, out, _ = place.run("convert", sheet, "--out", "out.ndjson", "--report", "report.csv", "--json")
    assert (code, counts(json.loads(out))) == (3, {"loaded": 3, "review": 3})
    assert json.loads(out)["reasons"] == {"key-conflict": 3}
    rows = place.report(place.home / "report.csv")
    assert [row["gateway_status"] for row in rows] == ["loaded", "loaded", "loaded", "review", "review", "review"]
    assert not any(row["patient_id"] or row["immunization_ids"] for row in rows[3:])
    written = [json.loads(line) for line in (place.home / "out.ndjson").read_text().splitlines()]
    assert [each["resourceType"] for each in written] == ["Patient", "Immunization"] * 2
    assert [each["lotNumber"] for each in written if "lotNumber" in each][:1] == ["B100"]


def test_exports_of_two_days_in_one_load_are_told_to_be_loaded_one_by_one(place):
    first, second = place.sheet(RATNA), place.sheet(RATNA.replace("B100", "B200"), BAYU, name="second.csv")
    assert place.load(second, first)["reasons"] == {"key-conflict": 2}
    (item,) = place.json("review", "list")
    assert "one by one, the oldest first" in item["suggestion"]
    os.utime(first, (1, 1))
    assert [counts(place.load(each)) for each in (first, second)] == [{"loaded": 1}, {"loaded": 1, "unchanged": 1}]
    assert place.json("review", "list") == []


def test_a_dry_run_sends_and_keeps_nothing(place):
    path = place.sheet(RATNA, VITAMIN)
    assert counts(place.load(path, "--dry-run")) == {"loaded": 1, "rejected": 1}
    assert place.content() == ({}, {})
    assert place.json("runs", "list") == []


def test_limit_reads_the_first_rows_only(place):
    assert place.load(place.sheet(RATNA, RATNA_POLIO, BAYU), "--limit", 2)["read"] == 2


def test_several_files_are_one_run(place):
    summary = place.load(place.sheet(RATNA), place.sheet(RATNA_POLIO, BAYU, name="second.csv"))
    assert (summary["read"], summary["loaded"]) == (3, 3)
    assert len(place.content()[0]) == 2


def test_a_shared_nik_with_another_name_is_neither_linked_nor_new(place):
    stranger = BAYU.replace("3303021107190002", "3303015203200003")
    place.load(place.sheet(RATNA))
    summary = place.load(place.sheet(stranger, name="next.csv"))
    assert counts(summary) == {"review": 1}
    assert len(place.content()[0]) == 1
    (item,) = place.json("review", "list")
    assert len(item["candidates"]) == 1


def test_an_adult_with_a_childs_nik_is_neither_linked_nor_new(place):
    adult = "5;Joko Purnomo;3303015203200003;L;02/02/1980;Sumini;Kemangkon;081210001009;15/04/2021;COVID-19;1;"
    unnumbered = RATNA_POLIO.replace("3303015203200003", "")
    assert counts(place.load(place.sheet(RATNA, unnumbered, adult))) == {"loaded": 2, "review": 1}
    assert counts(place.load(place.sheet(adult, name="next.csv"))) == {"review": 1}


def test_an_operator_links_a_doubtful_row(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv"))
    (item,) = place.json("review", "list")
    summary = place.json("review", "link", item["id"], item["candidates"][0])
    assert counts(summary) == {"loaded": 1}
    patients, doses = place.content()
    assert (len(patients), len(doses)) == (1, 2)
    assert place.json("review", "list") == []
    assert counts(place.load(place.home / "next.csv")) == {"unchanged": 1}


def test_an_operator_creates_a_new_person_for_a_doubtful_row(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv"))
    (item,) = place.json("review", "list")
    assert counts(place.json("review", "create", item["id"])) == {"loaded": 1}
    assert len(place.content()[0]) == 2


def test_an_operators_rejection_is_remembered(place):
    place.load(place.sheet(RATNA))
    path = place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv")
    place.load(path)
    (item,) = place.json("review", "list")
    assert place.run("review", "reject", item["id"], "--reason", " ")[0] == 2
    place.json("review", "reject", item["id"], "--reason", "belongs to another clinic")
    assert place.json("review", "list") == []
    again = place.load(path)
    assert (counts(again), again["reasons"]) == ({"rejected": 1}, {"operator-rejected": 1})


def test_the_same_doubt_does_not_ask_twice(place):
    place.load(place.sheet(RATNA))
    path = place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv")
    place.load(path)
    place.load(path)
    assert len(place.json("review", "list")) == 1


def test_a_dose_that_was_deleted_on_the_server_goes_to_review(place):
    path = place.sheet(RATNA, BAYU)
    place.load(path)
    gone = next(iter(place.content()[1]))
    delete(place, f"/Immunization/{gone}")
    assert counts(place.load(path)) == {"unchanged": 1, "review": 1}
    assert gone not in place.content()[1]


def test_an_operator_creates_a_deleted_dose_again(place):
    path = place.sheet(RATNA)
    place.load(path)
    delete(place, f"/Immunization/{next(iter(place.content()[1]))}")
    place.load(path)
    (item,) = place.json("review", "list")
    assert counts(place.json("review", "create", item["id"])) == {"loaded": 1}
    assert len(place.content()[1]) == 1
    assert counts(place.load(path)) == {"unchanged": 1}


def test_a_row_shows_its_evidence(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(RATNA_POLIO, name="next.csv"))
    shown = place.json("runs", "show", 2, "--row", 1)
    assert (shown["status"], shown["match_grade"]) == ("loaded", "certain")
    assert shown["evidence"]


def test_a_person_shows_doses_and_where_they_came_from(place):
    place.load(place.sheet(RATNA))
    place.load(place.sheet(RATNA, RATNA_POLIO, name="next.csv"))
    (patient_id,) = place.content()[0]
    shown = place.json("person", "show", patient_id)
    assert len(shown["immunizations"]) == 2
    assert [(source["file"], source["row"]) for source in shown["sources"]] == [("sheet.csv", 1), ("next.csv", 2)]


@pytest.mark.parametrize("together", [True, False])
def test_two_numbered_doses_are_not_both_the_one_without_a_number(place, together):
    row = RATNA.replace("BCG;1;B100", "Rotavirus;{};{}")
    other, numbered = row.format("", "LOT99"), [row.format(1, ""), row.format(2, "")]
    if together:
        place.load(place.sheet(other, *numbered))
    else:
        place.load(place.sheet(other), "--clinic", "hospital")
        place.load(place.sheet(*numbered, name="posyandu.csv"))
    assert len(place.content()[1]) == 2


def test_who_was_born_on_either_day_cannot_have_got_the_doses_of_both(place):
    child = "1;Wati Suharti;3303015001230001;P;10/01/2023;Ijah;Bojong;081390007002;10/02/2023;BCG;1;Q1"
    woman = "2;Wati Suharti;3303015001230001;P;10/01/1990;Ijah;Bojong;081390007002;10/02/2019;Td;1;Q1"
    assert place.load(place.sheet(child, woman))["reasons"] == {"doses-contradict": 1}


def test_a_dose_beside_a_faulty_one_tells_its_row_as_well(place):
    sheet = place.home / "cohort.csv"
    columns = ("HB0", "BCG 1")
    sheet.write_text(
        f"Nama Anak,Tanggal Lahir Anak,Nama Orang Tua,{','.join(f'Tanggal Imunisasi {name}' for name in columns)}\n"
        "Laras Ayu,2024-02-09,Dewi,2024-02-09,2024-02-31\n"
    )
    for _ in range(2):
        summary = place.load(sheet)
        assert counts(summary) == {"rejected": 1}
    (patient_id,), (dose_id,) = place.content()
    shown = place.json("person", "show", patient_id)["sources"]
    assert [(one["run"], one["file"], one["row"]) for one in shown] == [(1, "cohort.csv", 1)]
    assert shown[0]["immunization_ids"] == [dose_id]


def test_a_shared_screen_sees_no_number_in_full(place):
    place.load(place.sheet(RATNA))
    (patient_id,) = place.content()[0]
    _, out, _ = place.run("person", "show", patient_id)
    assert "3303015203200003" not in out
    assert "3303015203200003" in place.run("person", "show", patient_id, "--reveal")[1]


def delete(place, path):
    from fhir_gateway.embedded_server.server import EmbeddedServer  # noqa: PLC0415

    server = EmbeddedServer(place.home / ".fhir-gateway" / "embedded")
    answer = server.handle("DELETE", path, query="", headers={}, body=b"", base="http://x/fhir")
    server.close()
    assert answer.status in {200, 204}
