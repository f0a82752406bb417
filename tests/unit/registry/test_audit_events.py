import base64
from datetime import UTC, datetime

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from fhir_gateway.domain.registry import Disclosure, Pull, PullKind, Request
from fhir_gateway.registry.audit_events import audit_event, event_id

NOW = datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
BASE = "https://gateway.test/north/fhir"
QUERIES = {
    PullKind.SEARCH: b"lot-number=%3CAB%3E&_count=5",
    PullKind.READ: b"Immunization/d-1",
    PullKind.HISTORY: b"Immunization/_history?_count=5",
    PullKind.EXPORT: b"",
}


def disclosure(kind, patient="p-1"):
    request = Request("c-1", "t-1", kind, "Immunization", QUERIES[kind], "192.0.2.7", NOW)
    return Disclosure(Pull(7, request, 3), patient)


def told(kind, patient="p-1"):
    return audit_event(disclosure(kind, patient), client_name="Registry", base=BASE, environment="north")


def entity(event, role):
    return next(one for one in event["entity"] if one["role"]["code"] == role)


@pytest.mark.parametrize("kind", PullKind)
@pytest.mark.parametrize("patient", ["p-1", ""])
def test_every_event_is_valid(kind, patient):
    AuditEvent.model_validate(told(kind, patient))


@pytest.mark.parametrize(
    ("kind", "patient", "pattern"),
    [
        (PullKind.SEARCH, "p-1", ["PatientQuery"]),
        (PullKind.SEARCH, "", ["Query"]),
        (PullKind.READ, "p-1", ["PatientRead"]),
        (PullKind.READ, "", ["Read"]),
        (PullKind.EXPORT, "", []),
    ],
)
def test_it_names_its_pattern(kind, patient, pattern):
    profiles = told(kind, patient).get("meta", {}).get("profile", [])
    assert [one.rpartition(".")[2] for one in profiles] == pattern


def test_a_search_has_its_raw_query_and_the_patient():
    event = told(PullKind.SEARCH)
    assert base64.b64decode(entity(event, "24")["query"]) == QUERIES[PullKind.SEARCH]
    assert entity(event, "1")["what"] == {"reference": "Patient/p-1"}
    assert (event["action"], event["outcome"], event["recorded"]) == ("E", "0", "2024-05-01T08:30:00.000+00:00")


def test_a_reading_has_what_was_read():
    event = told(PullKind.READ)
    assert entity(event, "4")["what"] == {"reference": "Immunization/d-1"}
    assert event["action"] == "R"


def test_an_export_has_its_count():
    event = told(PullKind.EXPORT, "")
    assert entity(event, "24")["detail"] == [{"type": "resources", "valueString": "3"}]
    assert event["type"]["code"] == "110106"


def test_the_client_asks_and_the_gateway_answers():
    def roles(event):
        return [(one["type"]["coding"][0]["code"], one["network"]["address"]) for one in event["agent"]]

    assert roles(told(PullKind.SEARCH)) == [("110153", "192.0.2.7"), ("110152", BASE)]
    assert roles(told(PullKind.READ)) == [("110152", "192.0.2.7"), ("110153", BASE)]
    client = told(PullKind.READ)["agent"][0]
    assert (client["who"], client["requestor"]) == ({"identifier": {"value": "c-1"}, "display": "Registry"}, True)


def test_ids_are_of_one_event_each_and_name_nobody():
    first, second = disclosure(PullKind.SEARCH), disclosure(PullKind.SEARCH, "p-2")
    assert event_id(first) == event_id(disclosure(PullKind.SEARCH)) != event_id(second)
    assert "p-1" not in event_id(first)
