"""Corrected exports: what stands becomes what they say, also after a run that lost sight of what it posted."""

import os

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import is_bundle
from tests.fakes.scripted_server import answer
from tests.flows.conftest import RATNA, RATNA_POLIO
from tests.flows.loading_from_region import content, counts, load, refusing

from fhir_gateway.domain import systems


def lose_ledger(place):
    for file in (place.home / ".fhir-gateway").rglob("ledger.db*"):
        file.unlink()


def lots(place):
    return [dose.get("lotNumber") for dose in content(place)[1].values()]


def finds_no_doses(request, _):
    """An index that lags: nobody's doses are found yet."""
    if request.url.path.endswith("/Immunization/_search") and b"patient=" in request.content:
        return answer(body={"resourceType": "Bundle", "type": "searchset"})
    return None


def corrected_lot(place, name="next.csv"):
    return place.sheet(RATNA.replace("B100", "B999"), name=name)


def test_a_lot_that_is_corrected_after_the_ledger_was_lost_reaches_the_server(place, region):
    region()
    load(place, place.sheet(RATNA))
    lose_ledger(place)
    assert counts(load(place, corrected_lot(place))[1]) == {"loaded": 1}
    assert lots(place) == ["B999"]
    assert counts(load(place, corrected_lot(place))[1]) == {"unchanged": 1}


def test_a_lot_that_is_blank_when_the_ledger_is_made_anew_can_still_be_corrected(place, region):
    region()
    load(place, place.sheet(RATNA))
    lose_ledger(place)
    assert counts(load(place, place.sheet(RATNA.replace("B100", ""), name="blank.csv"))[1]) == {"loaded": 1}
    assert lots(place) == ["B100"]
    assert counts(load(place, corrected_lot(place))[1]) == {"loaded": 1}
    assert lots(place) == ["B999"]


def test_a_dose_of_which_only_the_create_tells_that_it_is_there_is_corrected(place, region):
    region()
    load(place, place.sheet(RATNA))
    lose_ledger(place)
    region(after=finds_no_doses)
    assert counts(load(place, corrected_lot(place))[1]) == {"loaded": 1}
    assert lots(place) == ["B999"]


def test_a_dose_whose_answer_was_lost_is_corrected_by_the_next_load(place, region):
    def loses_doses(request, _):
        if is_bundle(request) and b"Immunization" in request.content:
            raise httpx.ReadError("cut")

    region(after=loses_doses)
    assert counts(load(place, place.sheet(RATNA))[1]) == {"failed": 1}
    assert lots(place) == ["B100"]
    region()
    assert counts(load(place, corrected_lot(place))[1]) == {"loaded": 1}
    assert lots(place) == ["B999"]


def test_what_somebody_may_have_written_since_is_asked_about(place, region):
    region()
    load(place, place.sheet(RATNA))
    load(place, corrected_lot(place))
    lose_ledger(place)
    path = place.sheet(RATNA.replace("B100", "B555"), name="third.csv")
    code, summary, _ = load(place, path)
    assert (code, counts(summary), summary["reasons"]) == (3, {"review": 1}, {"dose-differs": 1})
    assert lots(place) == ["B999"]
    (item,) = place.json("review", "list", "--env", "region")
    assert place.run("review", "link", item["id"], item["patient_id"], "--env", "region")[0] == 0
    assert lots(place) == ["B555"]


def test_a_name_that_is_corrected_after_the_ledger_was_lost_is_the_official_one(place, region):
    region()
    khanza = "no_rawat,no_rkm_medis,nm_pasien,no_ktp,tgl_lahir,tgl_perawatan,nama_brng\n"
    row = "2022/01/01/1,000001,{},3303015203200003,2020-03-12,2022-02-12,VAKSIN BCG\n"
    path = place.home / "rs.csv"
    path.write_text(khanza + row.format("Ratna Dewanti"))
    load(place, path, "--clinic", "rs")
    lose_ledger(place)
    path.write_text(khanza + row.format("Ratna Dewanti Putri"))
    assert counts(load(place, path, "--clinic", "rs")[1]) == {"loaded": 1}
    (patient,) = content(place)[0].values()
    assert [(name["text"], name.get("use")) for name in patient["name"]] == [
        ("Ratna Dewanti Putri", "official"),
        ("Ratna Dewanti", "old"),
    ]


def test_a_blank_leaves_a_refusal_and_a_later_dose_takes_it_back(place, region):
    region()
    statuses = []
    for number, (written, lot) in enumerate((("Ditolak", "L9"), ("", "L9"), ("Dosis 1", "L9"), ("Tunda", "L9"))):
        path = place.home / f"rs{number}.csv"
        path.write_text(
            "no_rawat,no_rkm_medis,nm_pasien,no_ktp,tgl_lahir,tgl_perawatan,nama_brng,aturan_pakai,no_batch\n"
            f"2022/01/01/1,000001,Ratna Dewanti,3303015203200003,2020-03-12,2022-02-12,VAKSIN BCG,{written},{lot}\n"
        )
        assert load(place, path, "--clinic", "rs")[0] == 0
        (dose,) = content(place)[1].values()
        statuses.append((dose["status"], dose.get("statusReason", {}).get("text"), dose.get("protocolApplied")))
    one = [{"doseNumberPositiveInt": 1}]
    assert statuses == [
        ("not-done", "Ditolak", None),
        ("not-done", "Ditolak", None),
        ("completed", None, one),
        ("not-done", "Tunda", None),
    ]


COHORT = (
    "NIK Anak,Nama Anak,Tanggal Lahir Anak,Jenis Kelamin Anak,Nama Orang Tua,"
    "Tanggal Imunisasi BCG 1,Pos Imunisasi BCG 1,Status Imunisasi BCG 1\n"
    "3303015203200003,Ratna Dewanti,2020-03-12,Perempuan,Lastri Handayani,{},{},{}\n"
)


def cohort(place, day, status="ideal", post="RSUD Fiktif"):
    path = place.home / f"cohort-{day}-{status}-{post}.csv"
    path.write_text(COHORT.format(day, post, status))
    return load(place, path, "--clinic", "cohort")


def standing(place):
    return sorted(
        (dose["status"], dose["occurrenceDateTime"], dose.get("lotNumber"))
        for dose in content(place)[1].values()
        if dose["status"] != "entered-in-error"
    )


def versions(place):
    return {one["id"]: one["meta"]["versionId"] for kind in content(place) for one in kind.values()}


def two_lots(place):
    """Load one dose under two lots from two clinics, and return the second clinic's corrected sheet."""
    load(place, place.sheet(RATNA, name="a.csv"), "--clinic", "a")
    load(place, place.sheet(RATNA.replace("B100", "Q777777"), name="b.csv"), "--clinic", "b")
    assert len(standing(place)) == 2
    return place.sheet(RATNA, name="b-next.csv")


def test_a_dose_that_is_corrected_to_one_that_stands_there_is_linked_to_it(place, region):
    region()
    path = two_lots(place)
    code, summary, _ = load(place, path, "--clinic", "b")
    assert (code, counts(summary)) == (0, {"loaded": 1})
    assert standing(place) == [("completed", "2020-04-15", "B100")]
    before = versions(place)
    assert counts(load(place, path, "--clinic", "b")[1]) == {"unchanged": 1}
    (patient,) = content(place)[0]
    shown = place.json("person", "show", patient, "--env", "region")
    (dose,) = (one["id"] for one in shown["immunizations"] if one["status"] == "completed")
    assert [one["immunization_ids"] for one in shown["sources"] if one["file"] != "b.csv"] == [[dose], [dose]]
    assert versions(place) == before


def test_a_dose_that_stood_for_another_record_as_well_stays_when_one_of_both_is_corrected(place, region):
    region()
    load(place, place.sheet(RATNA.replace("B100", "Q777777"), name="c.csv"), "--clinic", "c")
    path = two_lots(place)
    assert counts(load(place, path, "--clinic", "b")[1]) == {"loaded": 1}
    assert [lot for *_, lot in standing(place)] == ["B100", "Q777777"]
    path = place.sheet(RATNA, name="c-next.csv")
    assert counts(load(place, path, "--clinic", "c")[1]) == {"loaded": 1}
    assert [lot for *_, lot in standing(place)] == ["B100"]


def test_a_copy_goes_along_when_the_dose_that_it_was_linked_to_is_corrected(place, region):
    region()
    load(place, place.sheet(RATNA.replace("B100", "Q777777"), name="b.csv"), "--clinic", "b")
    cohort(place, "2020-04-15")
    path = two_lots(place)
    assert counts(load(place, path, "--clinic", "b")[1]) == {"loaded": 1}
    assert standing(place) == [("completed", "2020-04-15", "B100")]
    assert counts(cohort(place, "2020-04-15")[1]) == {"unchanged": 1}
    assert counts(cohort(place, "2020-04-15", post="Bidan Fiktif")[1]) == {"loaded": 1}
    assert standing(place) == [("completed", "2020-04-15", "B100")]


def test_a_link_to_a_standing_dose_that_was_cut_off_goes_on(place, region):
    region()
    path = two_lots(place)
    region(after=refusing("entered-in-error"))
    assert counts(load(place, path, "--clinic", "b")[1]) == {"failed": 1}
    region()
    assert counts(load(place, path, "--clinic", "b")[1]) == {"loaded": 1}
    assert standing(place) == [("completed", "2020-04-15", "B100")]


def test_a_link_to_a_standing_dose_whose_answer_was_lost_goes_on(place, region):
    def loses_the_answer(request, _):
        if is_bundle(request) and b"entered-in-error" in request.content:
            raise httpx.ReadError("cut")

    region()
    path = two_lots(place)
    region(after=loses_the_answer)
    load(place, path, "--clinic", "b")
    region()
    assert load(place, path, "--clinic", "b")[0] == 0
    assert standing(place) == [("completed", "2020-04-15", "B100")]


def test_a_copy_goes_along_although_the_answer_was_lost(place, region):
    def loses_the_answer(request, _):
        if is_bundle(request) and b"entered-in-error" in request.content:
            raise httpx.ReadError("cut")

    region()
    load(place, place.sheet(RATNA.replace("B100", "Q777777"), name="b.csv"), "--clinic", "b")
    cohort(place, "2020-04-15")
    path = two_lots(place)
    region(after=loses_the_answer)
    load(place, path, "--clinic", "b")
    region()
    assert load(place, path, "--clinic", "b")[0] == 0
    assert counts(cohort(place, "2020-04-15")[1]) == {"unchanged": 1}
    assert standing(place) == [("completed", "2020-04-15", "B100")]


def test_a_copied_date_that_is_corrected_meets_the_dose_of_who_gave_it(place, region):
    region()
    assert cohort(place, "2020-04-17")[0] == 0
    load(place, place.sheet(RATNA, name="a.csv"), "--clinic", "a")
    assert len(standing(place)) == 2
    assert cohort(place, "2020-04-15")[0] == 0
    assert standing(place) == [("completed", "2020-04-15", "B100")]


def given_and_copied(place, *, copied_first):
    if copied_first:
        cohort(place, "2020-04-15")
    load(place, place.sheet(RATNA, name="a.csv"), "--clinic", "a")
    if not copied_first:
        cohort(place, "2020-04-15")
    assert standing(place) == [("completed", "2020-04-15", "B100")]


@pytest.mark.parametrize("copied_first", [False, True])
@pytest.mark.parametrize(("day", "status"), [("2020-04-15", "Tidak diberikan"), ("2020-04-19", "ideal")])
def test_a_copy_does_not_take_back_what_the_giver_says(place, region, day, status, copied_first):
    region()
    given_and_copied(place, copied_first=copied_first)
    code, summary, _ = cohort(place, day, status)
    assert (code, counts(summary), summary["reasons"]) == (3, {"review": 1}, {"dose-differs": 1})
    assert standing(place) == [("completed", "2020-04-15", "B100")]
    (item,) = place.json("review", "list", "--env", "region")
    assert place.run("review", "link", item["id"], item["patient_id"], "--env", "region")[0] == 0
    assert standing(place) == [("completed", "2020-04-15", "B100")]
    assert counts(cohort(place, day, status)[1]) == {"unchanged": 1}


def test_an_older_export_changes_nothing_of_a_row_of_which_a_part_is_asked_about(place, region):
    region()
    given_and_copied(place, copied_first=False)
    cohort(place, "2020-04-19")
    before = versions(place)
    older = place.home / "cohort-2020-04-15-ideal-RSUD Fiktif.csv"
    os.utime(older, (0, 0))
    code, summary, _ = load(place, older, "--clinic", "cohort")
    assert (code, counts(summary), summary["reasons"]) == (0, {"unchanged": 1}, {"older-export": 1})
    assert versions(place) == before
    assert cohort(place, "2020-04-19")[1]["reasons"] == {"dose-differs": 1}


def test_a_copy_that_an_operator_says_is_another_dose_is_made_beside_it(place, region):
    region()
    given_and_copied(place, copied_first=True)
    cohort(place, "2020-04-19")
    (item,) = place.json("review", "list", "--env", "region")
    assert place.run("review", "create", item["id"], "--env", "region")[0] == 0
    assert [day for _, day, _ in standing(place)] == ["2020-04-15", "2020-04-19"]
    assert counts(cohort(place, "2020-04-19")[1]) == {"unchanged": 1}


def test_the_giver_takes_back_what_was_copied(place, region):
    region()
    given_and_copied(place, copied_first=True)
    path = place.sheet(RATNA.replace("B100", "menolak"), name="a-next.csv")
    assert load(place, path, "--clinic", "a")[0] == 0
    assert [status for status, *_ in standing(place)] == ["not-done"]


def test_one_giver_alone_does_not_take_back_what_another_says_was_given(place, region):
    region()
    refused = RATNA.replace("B100", "menolak")
    for clinic in "ab":
        load(place, place.sheet(RATNA, name=f"{clinic}.csv"), "--clinic", clinic)
    path = place.sheet(refused, name="b-next.csv")
    assert load(place, path, "--clinic", "b")[1]["reasons"] == {"dose-differs": 1}
    assert standing(place) == [("completed", "2020-04-15", "B100")]
    (item,) = place.json("review", "list", "--env", "region")
    assert place.run("review", "link", item["id"], item["patient_id"], "--env", "region")[0] == 0
    assert counts(load(place, path, "--clinic", "b")[1]) == {"unchanged": 1}
    assert counts(load(place, place.sheet(refused, name="a-next.csv"), "--clinic", "a")[1]) == {"loaded": 1}
    assert [status for status, *_ in standing(place)] == ["not-done"]


@pytest.mark.parametrize("corrected", ["B-100", "Q777777", "menolak"])
def test_a_correction_leaves_what_another_system_wrote_as_it_is(place, region, corrected):
    server = region().server
    load(place, place.sheet(RATNA_POLIO))
    (patient,) = content(place)[0]
    foreign = {
        "resourceType": "Immunization",
        "id": "foreign",
        "status": "completed",
        "identifier": [{"system": "https://rsud.test/dose", "value": "1"}],
        "vaccineCode": {"coding": [{"system": systems.CVX, "code": "19"}]},
        "occurrenceDateTime": "2020-04-15",
        "lotNumber": "B100",
        "primarySource": True,
        "patient": {"reference": f"Patient/{patient}"},
    }
    body = orjson.dumps(foreign)
    assert server.handle("PUT", "/Immunization/foreign", query="", headers={}, body=body, base="").status == 201
    assert counts(load(place, place.sheet(RATNA, name="a.csv"))[1]) == {"loaded": 1}
    before = content(place)[1]
    path = place.sheet(RATNA.replace("B100", corrected), name="a-next.csv")
    reasons = load(place, path)[1]["reasons"]
    assert reasons == ({} if corrected == "B-100" else {"dose-differs": 1})
    assert content(place)[1] == before


def test_one_giver_alone_does_not_change_the_day_that_another_one_still_says(place, region):
    region()
    corrected = {clinic: place.home / f"{clinic}-next.csv" for clinic in "ab"}
    for clinic in "ab":
        report = place.home / f"{clinic}-report.csv"
        load(place, place.sheet(RATNA, name=f"{clinic}.csv"), "--clinic", clinic, "--report", report)
        text = report.read_text(encoding="utf-8-sig").replace("15/04/2020", "17/04/2020")
        corrected[clinic].write_text(text, encoding="utf-8-sig")
    assert load(place, corrected["b"], "--clinic", "b")[1]["reasons"] == {"dose-differs": 1}
    assert [day for _, day, _ in standing(place)] == ["2020-04-15"]
    assert counts(load(place, corrected["a"], "--clinic", "a")[1]) == {"loaded": 1}
    assert [day for _, day, _ in standing(place)] == ["2020-04-17"]
    assert counts(load(place, corrected["b"], "--clinic", "b")[1]) == {"loaded": 1}
    assert counts(load(place, corrected["b"], "--clinic", "b")[1]) == {"unchanged": 1}
    assert [day for _, day, _ in standing(place)] == ["2020-04-17"]
