"""Corrected exports: what stands becomes what they say, also after a run that lost sight of what it posted."""

import httpx
from tests.fakes.disturbed_server import is_bundle
from tests.fakes.scripted_server import answer
from tests.flows.conftest import RATNA
from tests.flows.loading_from_region import content, counts, load


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
