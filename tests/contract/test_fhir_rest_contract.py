"""What every FHIR server that the gateway loads into must do, over HTTP.

`fhir_base_url` is parametrised: another server is one more starter in SERVERS.
"""

import threading
import uuid
from collections.abc import Iterator

import httpx
import pytest
from tests.fakes.fhir_samples import LOCAL, NIK, sample_immunization, sample_patient
from tests.fakes.serving_thread import embedded_server_over_http

SEARCH = {"Content-Type": "application/x-www-form-urlencoded"}


def start_embedded(folder) -> Iterator[str]:
    with embedded_server_over_http(folder) as url:
        yield url


SERVERS = {"embedded": start_embedded}


@pytest.fixture(scope="module", params=sorted(SERVERS))
def fhir_base_url(request, tmp_path_factory) -> Iterator[str]:
    yield from SERVERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def client(fhir_base_url) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fhir_base_url, timeout=60, trust_env=False) as client:
        yield client


def unique_patient() -> dict:
    patient = sample_patient()
    patient["identifier"] = [{"system": LOCAL, "value": uuid.uuid4().hex}]
    return patient


def condition(resource: dict) -> str:
    return f"identifier={LOCAL}|{resource['identifier'][0]['value']}"


def entry(resource: dict, *, condition: str = "", method: str = "POST", url: str = "", full_url: str = "") -> dict:
    request = {"method": method, "url": url or resource["resourceType"]}
    built = {"resource": resource, "request": request | ({"ifNoneExist": condition} if condition else {})}
    return built | ({"fullUrl": full_url} if full_url else {})


def post_bundle(client: httpx.Client, kind: str, *entries: dict) -> httpx.Response:
    return client.post("/", json={"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def count(client: httpx.Client, resource: dict) -> int:
    kind = resource["resourceType"]
    found = client.post(f"/{kind}/_search", content=httpx.QueryParams(condition(resource)).__str__(), headers=SEARCH)
    return len(found.json().get("entry", []))


def statuses(bundle: httpx.Response) -> list[int]:
    return [int(entry["response"]["status"][:3]) for entry in bundle.json()["entry"]]


def created(client: httpx.Client, resource: dict) -> dict:
    response = client.post(f"/{resource['resourceType']}", json=resource)
    assert response.status_code == 201
    return client.get(response.headers["location"].partition("/_history")[0]).json()


def test_the_server_says_that_it_is_r4(client):
    statement = client.get("/metadata").json()
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"].startswith("4.0")


def test_what_was_created_can_be_read(client):
    patient = unique_patient()
    stored = created(client, patient)
    assert {name: value for name, value in stored.items() if name not in ("id", "meta")} == {
        name: value for name, value in patient.items() if name != "meta"
    }
    assert stored["meta"]["versionId"] == "1"


def test_a_conditional_create_creates_once(client):
    patient = unique_patient()
    first = client.post("/Patient", json=patient, headers={"If-None-Exist": condition(patient)})
    second = client.post("/Patient", json=patient, headers={"If-None-Exist": condition(patient)})
    assert (first.status_code, second.status_code) == (201, 200)
    assert count(client, patient) == 1


def test_conditional_creates_at_the_same_moment_create_once(client, fhir_base_url):
    patient = unique_patient()

    def create() -> None:
        httpx.post(
            f"{fhir_base_url}/Patient",
            json=patient,
            headers={"If-None-Exist": condition(patient)},
            trust_env=False,
            timeout=60,
        )

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(client, patient) == 1


def test_a_condition_that_matches_several_is_412(client):
    patient = unique_patient()
    for _ in range(2):
        created(client, patient)
    response = client.post("/Patient", json=patient, headers={"If-None-Exist": condition(patient)})
    assert response.status_code == 412


def test_a_stale_version_is_refused(client):
    stored = created(client, unique_patient())
    stored["gender"] = "male"
    url = f"/Patient/{stored['id']}"
    assert client.put(url, json=stored, headers={"If-Match": 'W/"1"'}).status_code == 200
    stored["gender"] = "other"
    assert client.put(url, json=stored, headers={"If-Match": 'W/"1"'}).status_code in (409, 412)
    assert client.get(url).json()["gender"] == "male"


def test_an_identical_update_makes_no_version(client):
    stored = created(client, unique_patient())
    assert client.put(f"/Patient/{stored['id']}", json=stored).status_code == 200
    assert client.get(f"/Patient/{stored['id']}").json()["meta"]["versionId"] == "1"


def test_earlier_versions_can_be_read(client):
    stored = created(client, unique_patient())
    url = f"/Patient/{stored['id']}"
    client.put(url, json=stored | {"gender": "male"})
    assert client.get(f"{url}/_history/1").json()["gender"] == "female"
    assert [e["resource"]["meta"]["versionId"] for e in client.get(f"{url}/_history").json()["entry"]] == ["2", "1"]


def test_a_deleted_resource_is_gone(client):
    stored = created(client, unique_patient())
    assert client.delete(f"/Patient/{stored['id']}").status_code in (200, 204)
    assert client.get(f"/Patient/{stored['id']}").status_code in (404, 410)
    assert count(client, stored) == 0


def test_a_patient_with_doses_cannot_be_deleted(client):
    patient = created(client, unique_patient())
    created(client, sample_immunization(f"Patient/{patient['id']}"))
    assert client.delete(f"/Patient/{patient['id']}").status_code == 409


def test_batch_entries_stand_each_for_itself(client):
    good, bad = unique_patient(), unique_patient() | {"gender": "L"}
    response = post_bundle(client, "batch", entry(good, condition=condition(good)), entry(bad), {"resource": good})
    assert response.status_code == 200
    assert statuses(response)[0] == 201
    assert all(status in (400, 422) for status in statuses(response)[1:])
    assert count(client, good) == 1


def test_a_repeated_batch_creates_nothing_again(client):
    patients = [unique_patient() for _ in range(20)]
    entries = [entry(patient, condition=condition(patient)) for patient in patients]
    assert statuses(post_bundle(client, "batch", *entries)) == [201] * 20
    again = post_bundle(client, "batch", *entries)
    assert statuses(again) == [200] * 20
    assert all(count(client, patient) == 1 for patient in patients)


def test_a_transaction_resolves_what_its_entries_say_of_each_other(client):
    patient = unique_patient()
    name = f"urn:uuid:{uuid.uuid4()}"
    response = post_bundle(
        client,
        "transaction",
        entry(sample_immunization(name)),
        entry(patient, condition=condition(patient), full_url=name),
    )
    assert statuses(response) == [201, 201]
    dose = client.get(response.json()["entry"][0]["response"]["location"].partition("/_history")[0]).json()
    assert count(client, patient) == 1
    assert client.get(f"/{dose['patient']['reference']}").status_code == 200


def test_a_transaction_is_all_or_nothing(client):
    good, bad = unique_patient(), unique_patient() | {"gender": "L"}
    assert post_bundle(client, "transaction", entry(good), entry(bad)).status_code in (400, 412, 422)
    assert count(client, good) == 0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("birthdate=1990-01-01&gender=female", True),
        ("birthdate=1990-01-02", False),
        ("birthdate=ge1990&birthdate=lt1991", True),
        ("family=rekaan&given=contoh", True),
        ("name=rek", True),
        ("phone=%2B628110000001", True),
        ("gender=male,female", True),
        ("gender=male", False),
        ("active=true", True),
    ],
)
def test_patients_are_found_by_what_they_carry(client, query, found):
    stored = created(client, unique_patient())
    bundle = client.get(f"/Patient?{query}&{httpx.QueryParams(condition(stored))}").json()
    assert [e["resource"]["id"] for e in bundle.get("entry", [])] == ([stored["id"]] if found else [])


@pytest.mark.parametrize("query", ["date=2024-01-02", "vaccine-code=08", "status=completed", "lot-number=LOT-1"])
def test_doses_are_found_with_their_patient(client, query):
    patient = created(client, unique_patient())
    dose = created(client, sample_immunization(f"Patient/{patient['id']}"))
    bundle = client.get(f"/Immunization?patient={patient['id']}&{query}&_include=Immunization:patient").json()
    assert {e["resource"]["id"] for e in bundle["entry"]} == {dose["id"], patient["id"]}


def test_a_thousand_identifiers_go_by_post(client):
    stored = created(client, unique_patient())
    values = [f"{NIK}|{number:016d}" for number in range(999)] + [condition(stored).removeprefix("identifier=")]
    found = client.post("/Patient/_search", data={"identifier": ",".join(values)})
    assert [e["resource"]["id"] for e in found.json()["entry"]] == [stored["id"]]


def test_an_unknown_parameter_does_not_return_everybody(client):
    created(client, unique_patient())
    response = client.get("/Patient?no-such-parameter=x", headers={"Prefer": "handling=strict"})
    assert response.status_code == 400 or not response.json().get("entry")


def test_all_pages_together_hold_every_match_once(client):
    patient = unique_patient()
    ids = sorted(created(client, patient)["id"] for _ in range(7))
    pages = [client.get(f"/Patient?_count=3&{httpx.QueryParams(condition(patient))}").json()]
    while links := [link["url"] for link in pages[-1]["link"] if link["relation"] == "next"]:
        pages.append(client.get(links[0]).json())
    assert sorted(e["resource"]["id"] for page in pages for e in page["entry"]) == ids
    assert len(pages) == 3


def test_every_refusal_is_an_operation_outcome(client):
    for response in (
        client.get("/Patient/no-such-id"),
        client.post("/Patient", json={"resourceType": "Patient", "x": 1}),
    ):
        assert response.status_code >= 400
        assert response.json()["resourceType"] == "OperationOutcome"
