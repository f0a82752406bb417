from datetime import UTC, datetime

from fhir_gateway.fhir.validation import validate
from fhir_gateway.registry.capabilities import Endpoint, capability_statement, served_searches
from fhir_gateway.registry.parameters import SEARCHES

EVERYTHING = {resource_type: set(parameters) for resource_type, parameters in SEARCHES.items()}


def words(history):
    return statement(served_searches(EVERYTHING), history)["rest"][0]["documentation"]


def statement(served, history=()):
    started = datetime(2024, 5, 1, tzinfo=UTC)
    base = "https://registry.example/purbalingga/fhir"
    return capability_statement(Endpoint(served, base, f"{base}/auth/token", "1.0", started, history))


def test_it_is_valid():
    assert validate(statement(served_searches(EVERYTHING))) == ()


def test_only_what_the_server_behind_can_do_is_served():
    served = served_searches({"Immunization": {"patient", "status"}, "Patient": {"identifier"}})
    assert served == {
        "Immunization": {"_id", "_lastUpdated", "patient", "patient.identifier", "status"},
        "Patient": {"_id", "_lastUpdated", "identifier"},
    }


def test_it_declares_what_is_served_and_nothing_else():
    served = served_searches({"Immunization": {"patient"}})
    declared = {
        one["type"]: {parameter["name"] for parameter in one["searchParam"]}
        for one in statement(served)["rest"][0]["resource"]
    }
    assert declared == {"Immunization": {"_id", "_lastUpdated", "patient"}, "Group": {"_id"}}


def test_exports_are_declared_at_every_level():
    rest = statement(served_searches(EVERYTHING))["rest"][0]
    named = {one["type"]: [each["name"] for each in one.get("operation", ())] for one in rest["resource"]}
    assert named == {"Group": ["group-export"], "Immunization": [], "Organization": [], "Patient": ["patient-export"]}
    assert [one["name"] for one in rest["operation"]] == ["export"]


def test_it_says_whether_deletions_are_told():
    assert "keeps no history of Immunization, Patient" in words(())
    assert "keeps no history of Immunization:" in words(("Patient",))
    assert "tells deletions" in words(("Immunization", "Patient"))
