import pytest
from tests.fakes.fhir_samples import LOCAL, sample_immunization, sample_patient

NAME = "urn:uuid:00000000-0000-4000-8000-000000000001"


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def post(resource, *, full_url="", **request):
    named = {"fullUrl": full_url} if full_url else {}
    return named | {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}


def put(resource, **request):
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, **request}}


def responses(answer):
    assert answer.status == 200, answer.content
    return [entry["response"] for entry in answer.content["entry"]]


def test_a_batch_entry_tells_location_version_and_moment(call):
    (response,) = responses(call("POST", "", bundle("batch", post(sample_patient()))))
    assert response["status"] == "201 Created"
    kind, _, history, version = response["location"].split("/")
    assert (kind, history, version, response["etag"]) == ("Patient", "_history", "1", 'W/"1"')
    assert response["lastModified"].endswith("Z")


@pytest.mark.parametrize(
    "poison",
    [
        None, 1, {}, {"request": None}, {"request": {"method": "POST"}}, {"request": {"method": "BREW", "url": "Patient"}},
        {"request": {"method": "POST", "url": "Patient"}}, {"resource": [], "request": {"method": "POST", "url": "Patient"}},
        {"resource": {}, "request": {"method": "POST", "url": ""}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient", "ifNoneExist": 1}},
    ],
)  # fmt: skip
def test_a_poisoned_entry_costs_only_itself(call, poison):
    answers = responses(call("POST", "", bundle("batch", post(sample_patient(1)), poison, post(sample_patient(2)))))
    assert [answer["status"][:1] for answer in answers] == ["2", "4", "2"]
    assert answers[1]["outcome"]["resourceType"] == "OperationOutcome"


def test_entries_of_a_batch_cannot_refer_to_each_other(call):
    entries = [post(sample_patient(), full_url=NAME), post(sample_immunization(NAME))]
    answers = responses(call("POST", "", bundle("batch", *entries)))
    assert [answer["status"][:3] for answer in answers] == ["201", "422"]


def test_a_batch_reads_searches_and_deletes(call):
    patient = call.create(sample_patient())
    entries = [
        {"request": {"method": "GET", "url": f"Patient/{patient['id']}"}},
        {"request": {"method": "GET", "url": "Patient?gender=female"}},
        {"request": {"method": "DELETE", "url": f"Patient/{patient['id']}"}},
    ]
    answer = call("POST", "", bundle("batch", *entries))
    assert [response["status"][:3] for response in responses(answer)] == ["200", "200", "204"]
    assert answer.content["entry"][1]["resource"]["total"] == 1


def test_identical_conditional_creates_in_one_batch_create_once(call):
    entry = post(sample_patient(), ifNoneExist=f"identifier={LOCAL}|p1")
    assert [r["status"][:3] for r in responses(call("POST", "", bundle("batch", entry, entry)))] == ["201", "200"]


def test_a_stale_entry_is_412(call):
    patient = call.create(sample_patient())
    (answer,) = responses(call("POST", "", bundle("batch", put(patient, ifMatch='W/"9"'))))
    assert answer["status"].startswith("412")


def test_prefer_brings_what_was_written(call):
    answer = call("POST", "", bundle("batch", post(sample_patient())), prefer="return=representation")
    assert answer.content["entry"][0]["resource"]["gender"] == "female"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_conditional_reference_finds_its_one_match(call, kind):
    patient = call.create(sample_patient())
    dose = sample_immunization(f"Patient?identifier={LOCAL}|p1")
    responses(call("POST", "", bundle(kind, post(dose))))
    assert len(call.find("Immunization", f"patient={patient['id']}")) == 1


def test_a_conditional_reference_without_match_is_412(call):
    answer = call("POST", "", bundle("transaction", post(sample_immunization(f"Patient?identifier={LOCAL}|none"))))
    assert answer.status == 412


def test_a_transaction_links_to_whom_its_condition_found(call):
    patient = call.create(sample_patient())
    entries = [
        post(sample_immunization(NAME)),
        post(sample_patient(), full_url=NAME, ifNoneExist=f"identifier={LOCAL}|p1"),
    ]
    answers = responses(call("POST", "", bundle("transaction", *entries)))
    assert [answer["status"][:3] for answer in answers] == ["201", "200"]
    assert len(call.find("Immunization", f"patient={patient['id']}")) == 1


def test_the_same_condition_twice_in_a_transaction_creates_once(call):
    entries = [post(sample_patient(), ifNoneExist=f"identifier={LOCAL}|p1") for _ in range(2)]
    answers = responses(call("POST", "", bundle("transaction", *entries)))
    assert [answer["status"][:3] for answer in answers] == ["201", "200"]
    assert len(call.find("Patient", f"identifier={LOCAL}|p1")) == 1


@pytest.mark.parametrize(
    "culprit",
    [
        post(sample_patient() | {"gender": "L"}),
        post(sample_immunization("Patient/none")),
        post(sample_immunization("urn:uuid:00000000-0000-4000-8000-000000000009")),
        {"request": {"method": "GET", "url": "Patient/none"}},
        put(sample_patient() | {"id": "x"}, ifMatch='W/"1"'),
        None,
    ],
)
def test_a_refused_transaction_leaves_nothing_and_names_the_entry(call, culprit):
    answer = call("POST", "", bundle("transaction", post(sample_patient()), culprit))
    assert answer.status >= 400
    assert answer.content["resourceType"] == "OperationOutcome"
    assert call.find("Patient", "") == []
    assert call("GET", "/_history").content["total"] == 0


def test_a_transaction_deletes_whom_nobody_refers_to_any_more(call):
    patient, other = call.create(sample_patient(1)), call.create(sample_patient(2))
    dose = call.create(sample_immunization(f"Patient/{patient['id']}"))
    removal = {"request": {"method": "DELETE", "url": f"Patient/{patient['id']}"}}
    assert call("POST", "", bundle("transaction", removal)).status == 409
    moved = put(dose | {"patient": {"reference": f"Patient/{other['id']}"}})
    assert call("POST", "", bundle("transaction", removal, moved)).status == 200
    assert call.find("Patient", "") == [other["id"]]


def test_two_entries_may_not_write_the_same_resource(call):
    patient = call.create(sample_patient())
    assert call("POST", "", bundle("transaction", put(patient), put(patient))).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Bundle", "type": "message"},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
    ],
)
def test_what_is_no_batch_is_refused(call, body):
    assert call("POST", "", body).status == 400
