from fhir_gateway.bundling import immunizations, patients
from fhir_gateway.bundling.absences import DATA_ABSENT_REASON, without_absences

UNKNOWN = {"url": DATA_ABSENT_REASON, "valueCode": "unknown"}
OTHER = {"url": "urn:other", "valueString": "stays"}


def test_a_patient_who_gets_a_value_is_not_said_to_lack_it():
    current = {"gender": "male", "_birthDate": {"extension": [UNKNOWN]}, "_gender": {"extension": [OTHER]}}
    enriched = patients.enriched(current, {"birthDate": "2020-03-05"})
    assert enriched == {"gender": "male", "birthDate": "2020-03-05", "_gender": {"extension": [OTHER]}}
    assert patients.enriched({"_birthDate": {"extension": [UNKNOWN]}}, {"gender": "male"})["_birthDate"]


def test_a_dose_that_gets_its_lot_is_not_said_to_lack_it():
    theirs = {"status": "completed", "_lotNumber": {"extension": [UNKNOWN]}}
    assert immunizations.improved(theirs, {"lotNumber": "A1"}) == {"status": "completed", "lotNumber": "A1"}
    assert immunizations.corrected(theirs, {}, {"lotNumber": "A1"}) == {"status": "completed", "lotNumber": "A1"}


def test_what_else_stands_beside_a_value_stays():
    beside = {"id": "b", "extension": [UNKNOWN, OTHER]}
    assert without_absences({"birthDate": "2020", "_birthDate": beside}) == {
        "birthDate": "2020",
        "_birthDate": {"id": "b", "extension": [OTHER]},
    }
    assert without_absences({"birthDate": "2020", "_birthDate": {"id": "b", "extension": [UNKNOWN]}}) == {
        "birthDate": "2020",
        "_birthDate": {"id": "b"},
    }
    lists = {"given": ["a", None], "_given": [None, {"extension": [UNKNOWN]}]}
    assert without_absences(lists) == lists
