"""What a server holds that is odd: Patients out of use that nobody replaced, decimals with their digits."""

import json
from decimal import Decimal

import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO
from tests.flows.test_load import counts

from fhir_gateway.domain import systems
from fhir_gateway.fhir import json_text


@pytest.mark.parametrize("successor", ["itself", "gone"])
def test_a_person_who_was_replaced_by_nobody_goes_to_review(place, successor):
    place.load(place.sheet(RATNA))
    (patient,) = place.content()[0].values()
    other = patient["id"] if successor == "itself" else "gone"
    link = {"other": {"reference": f"https://elsewhere.test/fhir/Patient/{other}"}, "type": "replaced-by"}
    put(place, {**patient, "active": False, "link": [link]})
    summary = place.load(place.sheet(RATNA_POLIO, name="next.csv"))
    assert (counts(summary), summary["reasons"]) == ({"review": 1}, {"replaced-by-nobody": 1})
    assert [len(part) for part in place.content()] == [1, 1]
    assert place.json("review", "list")[0]["candidates"] == [patient["id"]]


def test_a_nik_that_stands_on_a_replaced_patient_alone_leads_to_the_master(place):
    place.load(place.sheet(RATNA))
    (patient,) = place.content()[0].values()
    golden = {**patient, "id": "golden", "identifier": [{"system": systems.NIK, "value": "5201014101200005"}]}
    put(place, golden)
    link = {"other": {"reference": "Patient/golden"}, "type": "replaced-by"}
    put(place, {**patient, "active": False, "link": [link]})
    summary = place.load(place.sheet(RATNA_POLIO, name="next.csv"))
    assert counts(summary) == {"loaded": 1}
    patients, doses = place.content()
    assert set(patients) == {patient["id"], "golden"}
    assert {dose["patient"]["reference"] for dose in doses.values()} == {f"Patient/{one}" for one in patients}
    code, _, err = place.run("load", place.sheet(RATNA), "--report", place.home / "again.csv")
    assert code == 0, err
    (row,) = place.report(place.home / "again.csv")
    assert (row["gateway_status"], row["patient_id"]) == ("unchanged", "golden")


def test_what_a_replaced_patient_alone_tells_is_known_and_its_doses_are_not_doubled(place):
    place.load(place.sheet(RATNA))
    (patient,) = place.content()[0].values()
    put(place, {"resourceType": "Patient", "id": "golden", "birthDate": "2020-03-12", "name": [{"text": "Dewanti R."}]})
    link = {"other": {"reference": "Patient/golden"}, "type": "replaced-by"}
    put(place, {**patient, "active": False, "link": [link]})
    spelled, unnumbered = RATNA.replace("Dewanti", "Dewanty"), RATNA_POLIO.replace("3303015203200003", "")
    summary = place.load(place.sheet(spelled, unnumbered, name="next.csv"))
    patients, doses = place.content()
    assert (counts(summary), set(patients)) == ({"loaded": 2}, {patient["id"], "golden"})
    assert sorted(dose["occurrenceDateTime"] for dose in doses.values()) == ["2020-04-15", "2020-05-15"]


def test_a_dose_whose_reference_names_a_version_of_the_patient_is_known(place):
    place.load(place.sheet(RATNA))
    (patient,) = place.content()[0].values()
    theirs = {
        "resourceType": "Immunization",
        "id": "theirs",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "178"}]},
        "patient": {"reference": f"Patient/{patient['id']}/_history/1"},
        "occurrenceDateTime": "2020-05-15",
    }
    put(place, theirs)
    assert counts(place.load(place.sheet(RATNA_POLIO, name="next.csv"))) == {"loaded": 1}
    doses = place.content()[1]
    assert (len(doses), "theirs" in doses) == (2, True)
    assert "2020-05-15" in place.run("person", "show", patient["id"])[1]


def test_who_is_said_to_be_replaced_and_is_not_keeps_the_own_doses(place):
    place.load(place.sheet(RATNA, BAYU.replace("20/08/2019;BCG;1;B100", "15/05/2020;bOPV;1;P200")))
    bayu, ratna = sorted(place.content()[0].values(), key=lambda one: one["birthDate"])
    put(place, {**ratna, "link": [{"other": {"reference": f"Patient/{bayu['id']}"}, "type": "replaces"}]})
    assert counts(place.load(place.sheet(RATNA_POLIO, name="next.csv"))) == {"loaded": 1}
    owners = [dose["patient"]["reference"].rpartition("/")[2] for dose in place.content()[1].values()]
    assert sorted(owners) == sorted([ratna["id"], ratna["id"], bayu["id"]])


def test_a_given_name_or_line_that_is_an_extension_alone_stops_nothing(place):
    place.load(place.sheet(RATNA))
    (patient,) = place.content()[0].values()
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    name = {"given": ["Ratna", None], "_given": [None, absent], "family": "Dewanti"}
    line = {"line": ["Bukateja", None], "_line": [None, absent]}
    put(place, {**patient, "name": [name], "address": [line], "contact": [{"name": name}]})
    assert counts(place.load(place.sheet(RATNA_POLIO, name="next.csv"))) == {"loaded": 1}
    for command in (("person", "show", patient["id"]), ("identity", "compare", "next.csv:1", patient["id"])):
        code, out, err = place.run(*command, "--reveal")
        assert code == 0, err
        assert "Ratna Dewanti" in out
        assert "None" not in out


def put(place, resource):
    from fhir_gateway.embedded_server.server import EmbeddedServer  # noqa: PLC0415

    server = EmbeddedServer(place.home / ".fhir-gateway" / "embedded")
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = server.handle("PUT", path, query="", headers={}, body=json_text.dump(resource), base="http://x/fhir")
    server.close()
    assert answer.status in {200, 201}, answer.body


def test_a_decimal_of_the_server_keeps_its_digits_in_json(place):
    place.load(place.sheet(RATNA))
    (patient_id,), (dose_id,) = place.content()
    quantity = {"value": Decimal("0.50"), "unit": "mL"}
    put(place, {**place.server("Immunization")[dose_id], "doseQuantity": quantity})
    code, out, _ = place.run("person", "show", patient_id, "--json")
    assert code == 0
    assert '"value": 0.50' in out
    assert json.loads(out)["immunizations"][0]["doseQuantity"]["value"] == 0.5
