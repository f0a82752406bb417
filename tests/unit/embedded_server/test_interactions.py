import json
from decimal import Decimal

import pytest
from tests.fakes.fhir_samples import LOCAL, sample_immunization, sample_patient


def words(answer):
    return " ".join(issue["diagnostics"] for issue in answer.content["issue"])


def test_a_client_may_choose_the_id(call):
    answer = call("PUT", "/Patient/my-id", sample_patient() | {"id": "my-id"})
    assert answer.status == 201
    assert answer.headers["Location"] == "http://embedded/fhir/Patient/my-id/_history/1"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")


def test_an_update_needs_the_id_of_its_url(call):
    assert call("PUT", "/Patient/a", sample_patient() | {"id": "b"}).status == 400
    assert call("PUT", "/Patient/a", sample_patient()).status == 400
    assert call("PUT", "/Patient/a_b", sample_patient() | {"id": "a_b"}).status == 400


def test_if_match_needs_the_version_that_stands(call):
    patient = call.create(sample_patient())
    url = f"/Patient/{patient['id']}"
    assert call("PUT", url, patient | {"gender": "male"}, if_match='W/"1"').status == 200
    assert call("PUT", url, patient | {"gender": "other"}, if_match='W/"1"').status == 412
    assert call("DELETE", url, if_match='W/"1"').status == 412
    assert call("PUT", "/Patient/none", patient | {"id": "none"}, if_match='W/"1"').status == 412
    assert call("PUT", url, patient, if_match="rubbish").status == 412


def test_a_deleted_resource_is_410_and_may_come_back(call):
    patient = call.create(sample_patient())
    url = f"/Patient/{patient['id']}"
    assert call("DELETE", url).status == 204
    assert call("DELETE", url).status == 204
    assert call("GET", url).status == 410
    assert call("PUT", url, patient).status == 201
    assert call("GET", url).content["meta"]["versionId"] == "3"
    assert call("GET", f"{url}/_history/2").status == 410


def test_the_servers_meta_is_its_own(call):
    patient = sample_patient()
    patient["meta"] |= {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}
    stored = call.create(patient)
    assert stored["meta"]["versionId"] == "1"
    assert not stored["meta"]["lastUpdated"].startswith("2001")
    assert stored["meta"]["source"] == patient["meta"]["source"]


def test_a_reference_to_nobody_is_refused_in_words(call):
    answer = call("POST", "/Immunization", sample_immunization("Patient/none"))
    assert answer.status == 422
    assert words(answer) == "patient refers to a Patient that is not on this server"


def test_references_to_a_deleted_patient_or_another_type_are_refused(call):
    patient = call.create(sample_patient())
    call("DELETE", f"/Patient/{patient['id']}")
    assert call("POST", "/Immunization", sample_immunization(f"Patient/{patient['id']}")).status == 422
    assert call("POST", "/Immunization", sample_immunization("Practitioner/1")).status == 422


def test_a_reference_to_another_server_is_its_own_business(call):
    assert call("POST", "/Immunization", sample_immunization("https://other.example/fhir/Patient/1")).status == 201


def test_an_invalid_resource_is_422_with_every_problem(call):
    answer = call("POST", "/Patient", sample_patient() | {"gender": "L", "birthDate": "2024-02-30"})
    assert answer.status == 422
    assert {issue["expression"][0] for issue in answer.content["issue"]} == {"Patient.gender", "Patient.birthDate"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[]", {}, 400),
        (b'{"resourceType":"Immunization"}', {}, 400),
        (b"<Patient/>", {"content_type": "application/fhir+xml"}, 415),
        (b"{}", {"accept": "application/fhir+xml"}, 406),
        (
            b'{"resourceType":"Patient","extension":' + b'[{"url":"a","extension":' * 400 + b"[]" + b"}]" * 400 + b"}",
            {},
            400,
        ),
    ],
)
def test_a_wrong_body_is_refused(call, body, headers, status):
    answer = call("POST", "/Patient", body, **headers)
    assert answer.status == status
    assert answer.content["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Pasien", 404),
        ("GET", "/Patient/1", 404),
        ("GET", "/Patient/1/$everything", 404),
        ("GET", "/Patient/1/2/3", 404),
        ("PATCH", "/Patient/1", 405),
        ("GET", "", 405),
        ("POST", "/metadata", 405),
        ("GET", "/Patient/1/_history", 404),
        ("GET", "/Patient/%00", 404),
        ("POST", "/Patient/1", 405),
    ],
)
def test_what_is_not_there_or_not_supported_is_told(call, method, path, status):
    answer = call(method, path)
    assert answer.status == status
    assert answer.content["resourceType"] == "OperationOutcome"


def test_prefer_decides_on_the_body(call):
    assert call("POST", "/Patient", sample_patient(), prefer="return=minimal").content is None
    assert call("POST", "/Patient", sample_patient(), prefer="return=representation").content["id"]
    answer = call("POST", "/Patient", sample_patient(), prefer="return=OperationOutcome")
    assert answer.content["resourceType"] == "OperationOutcome"
    assert "Location" in answer.headers


def test_if_none_match_spares_the_body(call):
    patient = call.create(sample_patient())
    assert call("GET", f"/Patient/{patient['id']}", if_none_match='W/"1"').status == 304


def test_decimals_keep_their_digits(call, server):
    body = json.dumps(sample_immunization("https://other.example/Patient/1")).replace("0.5", "0.50").encode()
    answer = server.handle("POST", "/Immunization", body=body)
    assert b'"value":0.50,' in answer.body
    assert json.loads(answer.body, parse_float=Decimal)["doseQuantity"]["value"].as_tuple().exponent == -2


def test_a_conditional_update_creates_updates_or_refuses(call):
    patient = sample_patient()
    query = f"identifier={LOCAL}|p1"
    assert call("PUT", "/Patient", patient, query=query).status == 201
    changed = call("PUT", "/Patient", patient | {"gender": "male"}, query=query)
    assert (changed.status, changed.content["meta"]["versionId"]) == (200, "2")
    call.create(patient)
    assert call("PUT", "/Patient", patient, query=query).status == 412
    assert call("PUT", "/Patient", patient).status == 400


def test_a_conditional_delete_takes_one_only(call):
    call.create(sample_patient(1))
    assert call("DELETE", "/Patient", query=f"identifier={LOCAL}|p1").status == 204
    assert call.find("Patient", f"identifier={LOCAL}|p1") == []
    call.create(sample_patient(2))
    call.create(sample_patient(2))
    assert call("DELETE", "/Patient", query=f"identifier={LOCAL}|p2").status == 412
    assert call("DELETE", "/Patient").status == 400


@pytest.mark.parametrize("criteria", ["nonsense", "unknown=1", "_count=1", "identifier="])
def test_a_condition_that_says_nothing_is_400(call, criteria):
    assert call("POST", "/Patient", sample_patient(), if_none_exist=criteria).status == 400
    assert call.find("Patient", "") == []


def test_history_tells_everything_newest_first(call):
    patient = call.create(sample_patient())
    call("PUT", f"/Patient/{patient['id']}", patient | {"gender": "male"})
    call("DELETE", f"/Patient/{patient['id']}")
    other = call.create(sample_patient(2))
    entries = call("GET", "/_history").content["entry"]
    assert [e["request"]["method"] for e in entries] == ["POST", "DELETE", "PUT", "POST"]
    assert "resource" not in entries[1]
    since = call("GET", "/Patient/_history", query=f"_since={other['meta']['lastUpdated']}").content
    assert [e["resource"]["id"] for e in since["entry"]] == [other["id"]]
    page = call("GET", "/_history", query="_count=3").content
    (url,) = [link["url"] for link in page["link"] if link["relation"] == "next"]
    rest = call("GET", "/_history", query=url.partition("?")[2]).content
    assert [len(page["entry"]), len(rest["entry"]), page["total"]] == [3, 1, 4]


def test_the_body_has_a_largest_size(call, monkeypatch):
    monkeypatch.setattr("fhir_gateway.embedded_server.server.LARGEST_BODY", 100)
    assert call("POST", "/Patient", sample_patient()).status == 413
