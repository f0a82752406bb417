"""What other people's servers really answer, over plain HTTP: the ground that the gateway's client stands on.

The first half holds on every server. The second half nails down where they differ, each difference once: when a new
release of a server changes one, this file says so before a load does.
"""

from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.real_server.messages import PERSON, batch, conditional_create, immunization, patient, update
from tests.real_server.servers import RunningServer

pytestmark = pytest.mark.real_server

Connect = Callable[[str], httpx.Client]


@pytest.fixture
def server(real_server: str, connect: Connect) -> httpx.Client:
    return connect(real_server)


@pytest.fixture
def plain(hapi: str, connect: Connect) -> httpx.Client:
    return connect(hapi)


@pytest.fixture
def validating(hapi_validating: str, connect: Connect) -> httpx.Client:
    return connect(hapi_validating)


@pytest.fixture
def router(medplum: str, connect: Connect) -> httpx.Client:
    return connect(medplum)


@pytest.fixture
def value(request: pytest.FixtureRequest) -> str:
    """An identifier that no other test of this session uses."""
    return request.node.name.replace("[", "-").replace("]", "")


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["response"]["status"].split()[0] for entry in answer.json()["entry"]]


def matches(answer: httpx.Response) -> list[dict]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def pages(client: httpx.Client, url: str) -> Iterator[list[dict]]:
    while url:
        answer = client.get(url)
        yield matches(answer)
        url = next((link["url"] for link in answer.json().get("link", []) if link["relation"] == "next"), "")


# What every one of them does


def test_the_capability_statement_says_r4_and_searches_by_identifier(server):
    statement = server.get("/metadata").json()
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    types = {one["type"]: one for one in statement["rest"][0]["resource"]}
    for name in ("Patient", "Immunization"):
        assert "identifier" in {parameter["name"] for parameter in types[name]["searchParam"]}


def test_a_second_conditional_create_finds_the_first(server, value):
    header = {"If-None-Exist": f"identifier={PERSON}|{value}"}
    first = server.post("/Patient", json=patient(value), headers=header)
    second = server.post("/Patient", json=patient(value), headers=header)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(matches(server.get("/Patient", params={"identifier": f"{PERSON}|{value}"}))) == 1


def test_entries_of_a_batch_have_their_own_statuses(server, value):
    known = conditional_create(patient(value))
    assert statuses(server.post("/", json=batch(known))) == ["201"]
    answer = server.post("/", json=batch(known, conditional_create(patient(f"{value}-b")), known))
    assert statuses(answer) == ["200", "201", "200"]


def test_entries_of_a_batch_say_where_the_resource_is(server, value):
    answer = server.post("/", json=batch(conditional_create(patient(value))))
    location = answer.json()["entry"][0]["response"]["location"]
    patient_id = location.split("/_history")[0].rpartition("/")[2]
    assert server.get(f"/Patient/{patient_id}").json()["identifier"][0]["value"] == value


def test_many_identifiers_are_found_by_a_posted_search(server, value):
    server.post("/", json=batch(*(conditional_create(patient(f"{value}-{number}")) for number in range(3))))
    wanted = ",".join(f"{PERSON}|{value}-{number}" for number in range(400))
    found = server.post(
        "/Patient/_search",
        data={"identifier": wanted},
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert {one["identifier"][0]["value"] for one in matches(found)} == {f"{value}-{number}" for number in range(3)}


def test_an_address_that_is_too_long_is_refused_without_fhir(server):
    answer = server.get("/Patient", params={"identifier": ",".join(f"{PERSON}|{number:032d}" for number in range(400))})
    assert answer.status_code in {414, 431}
    assert "json" not in answer.headers.get("content-type", "")


def test_patients_are_found_by_birth_date_and_gender(server, value):
    created = server.post("/Patient", json=patient(value, birthDate="1931-01-31")).json()
    found = matches(server.get("/Patient", params={"birthdate": "1931-01-31", "gender": "female"}))
    assert created["id"] in {one["id"] for one in found}
    assert {one["birthDate"] for one in found} == {"1931-01-31"}


def test_a_stale_version_is_not_overwritten(server, value):
    first = server.post("/Patient", json=patient(value)).json()
    version = first["meta"]["versionId"]
    changed, stale = {**first, "gender": "male"}, {**first, "gender": "unknown"}
    assert statuses(server.post("/", json=batch(update(changed, version=version)))) == ["200"]
    assert statuses(server.post("/", json=batch(update(stale, version=version))))[0] in {"409", "412"}
    assert server.get(f"/Patient/{first['id']}").json()["gender"] == "male"


def test_a_deleted_patient_is_gone(server, value):
    created = server.post("/Patient", json=patient(value)).json()
    assert server.delete(f"/Patient/{created['id']}").is_success
    assert server.get(f"/Patient/{created['id']}").status_code in {404, 410}
    assert matches(server.get("/Patient", params={"identifier": f"{PERSON}|{value}"})) == []


def test_doses_are_found_by_their_patient(server, value):
    person = server.post("/Patient", json=patient(value)).json()
    dose = server.post("/Immunization", json=immunization(person["id"]))
    assert dose.status_code == 201, dose.text
    found = matches(server.get("/Immunization", params={"patient": f"Patient/{person['id']}"}))
    assert [one["id"] for one in found] == [dose.json()["id"]]


# Where they differ


def test_hapi_refuses_a_whole_batch_for_one_entry_that_it_cannot_parse(plain, value):
    answer = plain.post(
        "/", json=batch(conditional_create(patient(value)), conditional_create({**patient("L"), "gender": "L"}))
    )
    assert answer.status_code == 400
    assert matches(plain.get("/Patient", params={"identifier": f"{PERSON}|{value}"})) == []


def test_validating_hapi_refuses_a_whole_batch_for_one_invalid_entry(validating, value):
    wrong = {**patient(f"{value}-wrong"), "nonsense": 1}
    answer = validating.post("/", json=batch(conditional_create(patient(value)), conditional_create(wrong)))
    assert answer.status_code == 422
    assert matches(validating.get("/Patient", params={"identifier": f"{PERSON}|{value}"})) == []


def test_validating_hapi_wants_a_full_url_around_relative_references(validating, value):
    person = validating.post("/Patient", json=patient(value)).json()
    entry = conditional_create(immunization(person["id"], identifier=[{"system": PERSON, "value": value}]))
    named = {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", **entry}
    assert validating.post("/", json=batch(entry)).status_code == 422
    assert statuses(validating.post("/", json=batch(named))) == ["201"]


def test_validating_hapi_mixes_warnings_into_its_refusals(validating, value):
    issues = validating.post("/Patient", json={**patient(value), "nonsense": 1}).json()["issue"]
    assert {issue["severity"] for issue in issues} == {"error", "warning"}


def test_hapi_drops_unknown_elements_silently_unless_it_validates(plain, validating, value):
    sent = {**patient(value), "nonsense": 1}
    stored = plain.post("/Patient", json=sent)
    assert stored.status_code == 201
    assert "nonsense" not in stored.json()
    assert validating.post("/Patient", json=sent).status_code == 422


def test_hapi_takes_half_an_immunization_unless_it_validates(plain, validating):
    half = {"resourceType": "Immunization", "status": "completed"}
    assert plain.post("/Immunization", json=half).status_code == 201
    assert validating.post("/Immunization", json=half).status_code == 422


def test_medplum_stores_whatever_it_gets(router, value):
    wrong = {**patient(value), "gender": "L", "birthDate": "2020-13-01", "nonsense": 1}
    assert statuses(router.post("/", json=batch(conditional_create(wrong)))) == ["201"]
    assert router.post("/Immunization", json=immunization("nobody")).status_code == 201


def test_hapi_refuses_a_reference_to_nobody(plain):
    assert plain.post("/Immunization", json=immunization("nobody")).status_code == 400


def test_hapi_refuses_absolute_references_even_to_itself(plain, value):
    person = plain.post("/Patient", json=patient(value)).json()
    absolute = {**immunization("x"), "patient": {"reference": f"{plain.base_url}Patient/{person['id']}"}}
    assert plain.post("/Immunization", json=absolute).status_code == 400


def test_hapi_appends_its_request_id_to_the_source(plain, value):
    stored = plain.post(
        "/Patient", json={**patient(value), "meta": {"source": "urn:fhir-gateway:source:rs:asik"}}
    ).json()
    assert stored["meta"]["source"].startswith("urn:fhir-gateway:source:rs:asik#")


def test_hapi_gives_no_new_version_for_an_identical_update(plain, value):
    first = plain.post("/Patient", json=patient(value)).json()
    again = plain.put(f"/Patient/{first['id']}", json=first)
    assert again.status_code == 200
    assert again.json()["meta"]["versionId"] == first["meta"]["versionId"]


def test_hapi_says_409_and_medplum_412_to_a_stale_version(plain, router, value):
    answers = {}
    for client in (plain, router):
        first = client.post("/Patient", json=patient(value)).json()
        stale = {"If-Match": f'W/"{first["meta"]["versionId"]}"'}
        client.put(f"/Patient/{first['id']}", json={**first, "gender": "male"}, headers=stale)
        answers[client] = client.put(f"/Patient/{first['id']}", json={**first, "gender": "other"}, headers=stale)
    assert [answers[plain].status_code, answers[router].status_code] == [409, 412]


def test_hapi_creates_what_an_if_match_did_not_find(plain, router, value):
    missing = update({**patient(value), "id": "missing-1"}, version="7")
    assert statuses(plain.post("/", json=batch(missing))) == ["201"]
    assert statuses(router.post("/", json=batch(missing))) == ["404"]


def test_hapi_refuses_a_conditional_create_whose_body_does_not_match(plain, router, value):
    header = {"If-None-Exist": f"identifier={PERSON}|{value}-other"}
    assert plain.post("/Patient", json=patient(value), headers=header).status_code == 400
    assert router.post("/Patient", json=patient(value), headers=header).status_code == 201


def test_hapi_says_410_and_medplum_404_of_the_deleted(plain, router, value):
    codes = []
    for client in (plain, router):
        created = client.post("/Patient", json=patient(value)).json()
        client.delete(f"/Patient/{created['id']}")
        codes.append(client.get(f"/Patient/{created['id']}").status_code)
    assert codes == [410, 404]


def test_an_unknown_search_parameter_is_an_error_on_hapi_and_finds_nothing_on_medplum(plain, router, value):
    for client in (plain, router):
        client.post("/Patient", json=patient(value))
    lenient = {"Prefer": "handling=lenient"}
    assert plain.get("/Patient", params={"nonsense": "1"}, headers=lenient).status_code == 400
    assert matches(router.get("/Patient", params={"nonsense": "1"}, headers={"Prefer": "handling=strict"})) == []


def test_neither_takes_a_list_of_birth_dates(plain, router):
    for client in (plain, router):
        assert client.get("/Patient", params={"birthdate": "1943-01-01,1943-07-01"}).status_code == 400


def test_hapi_takes_a_whole_year_as_its_last_day_for_lower_bounds(plain, value):
    plain.post("/Patient", json=patient(value, birthDate="1944-07-01"))
    assert matches(plain.get("/Patient", params={"birthdate": ["ge1944", "lt1945"]})) == []
    assert len(matches(plain.get("/Patient", params={"birthdate": ["ge1944-01-01", "lt1945-01-01"]}))) == 1


def test_hapi_pages_by_next_links(plain, value):
    people = [conditional_create(patient(f"{value}-{number}", birthDate="1932-02-03")) for number in range(25)]
    plain.post("/", json=batch(*people))
    sizes = [len(page) for page in pages(plain, "/Patient?birthdate=1932-02-03&_count=10")]
    assert sizes == [10, 10, 5]


def test_medplum_gives_no_next_link_but_declares_an_offset(router, value):
    people = [conditional_create(patient(f"{value}-{number}", birthDate="1932-02-03")) for number in range(25)]
    router.post("/", json=batch(*people))
    asked = {"birthdate": "1932-02-03", "_count": "10"}
    first = router.get("/Patient", params=asked).json()
    assert (len(first["entry"]), first["total"], first.get("link")) == (10, 25, None)
    assert len(matches(router.get("/Patient", params={**asked, "_offset": "20"}))) == 5
    declared = router.get("/metadata").json()["rest"][0]["searchParam"]
    assert "_offset" in {parameter["name"] for parameter in declared}


def test_medplum_names_an_entrys_version_in_its_resource_only(router, value):
    entry = router.post("/", json=batch(conditional_create(patient(value)))).json()["entry"][0]
    assert "etag" not in entry["response"]
    assert entry["resource"]["meta"]["versionId"]


def test_hapi_gives_an_empty_body_without_type_for_return_minimal(plain, value):
    answer = plain.post("/Patient", json=patient(value), headers={"Prefer": "return=minimal"})
    assert (answer.status_code, answer.content, answer.headers.get("content-type")) == (201, b"", None)


def test_hapi_declares_transactions_but_not_the_batches_that_it_takes(plain, value):
    interactions = {one["code"] for one in plain.get("/metadata").json()["rest"][0]["interaction"]}
    assert "transaction" in interactions
    assert "batch" not in interactions
    assert statuses(plain.post("/", json=batch(conditional_create(patient(value))))) == ["201"]


def test_hapi_offers_merge_and_export(plain):
    rest = plain.get("/metadata").json()["rest"][0]
    of_patients = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert {"merge", "export"} <= {one["name"] for one in of_patients["operation"]}


# Killed and started again


def test_hapi_on_disk_keeps_what_it_acknowledged_before_a_kill(killable_hapi: RunningServer, connect, value):
    client = connect(killable_hapi.base_url)
    address = killable_hapi.base_url
    people = [conditional_create(patient(f"{value}-{number}")) for number in range(20)]
    acknowledged = statuses(client.post("/", json=batch(*people)))
    killable_hapi.kill()
    with pytest.raises(httpx.ConnectError):
        client.get("/metadata")
    killable_hapi.start()
    assert killable_hapi.base_url == address
    assert acknowledged == ["201"] * 20
    assert statuses(client.post("/", json=batch(*people))) == ["200"] * 20
