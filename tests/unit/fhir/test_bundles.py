import pytest
from tests.fakes.fhir_samples import sample_patient

from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.fhir.bundles import build_bundle, parse_answer, parse_answers, read_etag, read_location, read_status


def test_a_conditional_create_is_percent_encoded():
    entry = BundleEntry("k", "POST", "Patient", sample_patient(), if_none_exist="identifier=http://a.example/é|1&2")
    bundle = build_bundle("batch", [entry])
    assert bundle["type"] == "batch"
    (built,) = bundle["entry"]
    assert built["resource"] is entry.resource
    assert built["request"]["ifNoneExist"].startswith("identifier=http:%2F%2Fa.example%2F%C3%A9%7C1")


def test_an_update_carries_a_weak_etag():
    (built,) = build_bundle("transaction", [BundleEntry("k", "PUT", "Patient/1", {"a": 1}, if_match="3")])["entry"]
    assert built["request"] == {"method": "PUT", "url": "Patient/1", "ifMatch": 'W/"3"'}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("201 Created", 201),
        ("HTTP/1.1 201 Created", 201),
        ("HTTP/2 201", 201),
        ("HTTP/1.1", 0),
        ("200", 200),
        (" 412", 412),
        (409, 409),
        ("Created", 0),
        (None, 0),
        ("", 0),
    ],
)
def test_a_status_is_read_however_it_is_written(text, status):
    assert read_status(text) == status


@pytest.mark.parametrize(
    ("text", "version"), [('W/"1"', "1"), ('"2"', "2"), ("3", "3"), (None, ""), ("", ""), ({}, ""), ("W/", "")]
)
def test_an_etag_is_read_however_it_is_written(text, version):
    assert read_etag(text) == version


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Patient/1/_history/2", ("Patient", "1", "2")),
        ("/Patient/1", ("Patient", "1", "")),
        ("https://a.example/fhir/Patient/1/_history/2", ("Patient", "1", "2")),
        ("https://a.example/fhir/Patient/1/", ("Patient", "1", "")),
        ("/fhir/R4/Patient/1/_history/2", ("Patient", "1", "2")),
        ("4_0_1/Patient/1", ("Patient", "1", "")),
        ("nowhere", ("", "", "")),
        ("https://a.example/fhir/_history/2", ("", "", "")),
        (None, ("", "", "")),
    ],
)
def test_a_location_is_read_however_it_is_written(text, parts):
    assert read_location(text) == parts


def test_the_id_comes_from_the_resource_where_no_location_is_given():
    answer = parse_answer(
        {"response": {"status": "200"}, "resource": {"resourceType": "Patient", "id": "a", "meta": {"versionId": "4"}}}
    )
    assert (answer.status, answer.resource_type, answer.id, answer.version) == (200, "Patient", "a", "4")


def test_a_refusal_is_told_in_words():
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": "no such thing"}]}
    answer = parse_answer({"response": {"status": "422 Unprocessable", "outcome": outcome}})
    assert (answer.status, answer.message, answer.id) == (422, "no such thing", "")


@pytest.mark.parametrize("entry", [None, 1, [], {}, {"response": None}, {"response": []}, {"response": {"status": {}}}])
def test_an_entry_without_answer_has_status_0(entry):
    assert parse_answer(entry).status == 0


@pytest.mark.parametrize(
    "bundle", [None, [], "x", {}, {"resourceType": "Patient"}, {"resourceType": "Bundle", "entry": 1}]
)
def test_what_is_no_bundle_is_told(bundle):
    assert parse_answers(bundle) is None


def test_answers_keep_their_order():
    bundle = {"resourceType": "Bundle", "entry": [{"response": {"status": "201"}}, {"response": {"status": "400"}}]}
    assert [answer.status for answer in parse_answers(bundle) or ()] == [201, 400]
