"""What a client can take, and what it is told about an address: Accept, HEAD, Allow, strict readings."""

import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller
from tests.fakes.served_gateway import assert_is_problem

TAKES = [
    "application/fhir+json",
    "application/json",
    "json",
    "*/*",
    "application/*",
    "text/html, */*;q=0.1",
    'application/fhir+json; fhirVersion="4.0"',
    "application/fhir+xml;q=0.9, application/fhir+json;q=0.5",
]
TAKES_NOTHING = [
    "application/fhir+xml",
    "text/html",
    "application/fhir+json;q=0",
    "application/fhir+json; fhirVersion=3.0",
    "application/fhir+ndjson",
    "nonsense",
]
ADDRESSES = ["Immunization", "Patient/{patient}", "Patient/{patient}/_history", "Patient/_history", "Group", "metadata"]


@pytest.fixture
def registry(served):
    return Puller(served)


@pytest.fixture
async def patient(registry):
    (patient,) = await registry.fill(sample_patient(1))
    await registry.fill(*(sample_immunization(f"Patient/{patient}", number) for number in range(3)))
    return patient


@pytest.mark.parametrize("accept", TAKES)
async def test_json_is_given_to_whoever_takes_it(registry, accept):
    answer = await registry.get("Immunization", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json")


async def test_who_takes_no_json_is_told_so(registry, patient):
    token = await registry.token()
    for address in ADDRESSES:
        for accept in TAKES_NOTHING:
            answer = await registry.get(address.format(patient=patient), token, headers={"Accept": accept})
            assert_is_problem(answer, 406, "not-supported")
    assert_is_problem(await registry.get("Patient?_format=xml", token, headers={"Accept": "*/*"}), 406)


async def test_format_outranks_accept(registry):
    for wanted in ("json", "application/fhir%2Bjson", "application/fhir+json"):
        answer = await registry.get(f"Patient?_format={wanted}", headers={"Accept": "text/html"})
        assert answer.status_code == 200


async def test_without_a_token_nobody_is_told_about_formats(registry):
    assert_is_problem(await registry.served.get("/north/fhir/Patient", headers={"Accept": "text/html"}), 401)


async def test_a_reading_refuses_what_it_does_not_know(registry, patient):
    token = await registry.token()
    assert_is_problem(await registry.get(f"Patient/{patient}?nonsense=1", token), 400, "not-supported")
    assert_is_problem(await registry.get("Group/district-1?nonsense=1", token), 400, "not-supported")
    assert_is_problem(await registry.get(f"Patient/{patient}?_elements=a-b", token), 400, "value")
    lenient = await registry.get(f"Patient/{patient}?nonsense=1", token, headers={"Prefer": "handling=lenient"})
    assert lenient.status_code == 200


async def test_a_reading_gives_some_elements(registry, patient):
    found = (await registry.get(f"Patient/{patient}?_elements=birthDate&_format=json")).json()
    assert set(found) == {"resourceType", "id", "meta", "birthDate"}
    assert found["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_head_says_what_get_would_and_tells_nothing(registry, patient):
    token = await registry.token()
    for address in ADDRESSES:
        path = f"/north/fhir/{address.format(patient=patient)}"
        head = await registry.served.ask("HEAD", path, token)
        got = await registry.served.get(path, token)
        assert (head.status_code, head.content) == (200, b""), address
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == got.headers["content-length"], address
    key = registry.served.key()[1]
    for path in ("/health/live", "/metrics", "/docs"):
        head = await registry.served.ask("HEAD", path, key)
        assert (head.status_code, head.content) == (200, b""), path
    assert (await registry.served.ask("HEAD", "/north/fhir/Patient")).status_code == 401


async def test_what_was_asked_by_head_is_not_noted_as_given(registry, patient):
    await registry.served.ask("HEAD", f"/north/fhir/Patient/{patient}", await registry.token())
    with registry.ledger() as ledger:
        (pull,) = ledger.pulls.all()
        assert (pull.request.kind, pull.count, list(ledger.pulls.patients_of(pull.id))) == ("read", 0, [])


async def test_head_begins_no_export(registry):
    headers = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
    answer = await registry.served.ask("HEAD", "/north/fhir/$export", await registry.token(), headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    with registry.ledger() as ledger:
        assert ledger.exports.all() == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/north/fhir/Patient", "GET, HEAD"),
        ("PUT", "/north/fhir/Patient/1", "GET, HEAD"),
        ("DELETE", "/north/fhir/$export", "GET, HEAD, POST"),
        ("PUT", "/north/fhir/bulk-status/1", "DELETE, GET, HEAD"),
        ("DELETE", "/north/merges", "GET, HEAD, POST"),
        ("POST", "/health/live", "GET, HEAD"),
    ],
)
async def test_all_methods_of_an_address_are_named(served, method, path, allowed):
    answer = await served.ask(method, path)
    assert_is_problem(answer, 405)
    assert answer.headers["allow"] == allowed


async def test_groups_come_page_by_page(registry):
    people = await registry.fill(sample_patient(1))
    for clinic in ("a", "b", "c"):
        dose = sample_immunization(f"Patient/{people[0]}", ord(clinic))
        await registry.fill(dose | {"meta": {"source": f"urn:fhir-gateway:source:{clinic}:simrs"}})
    token, got, url = await registry.token(), [], "Group?_count=2"
    while url:
        bundle = (await registry.get(url, token)).json()
        assert len(bundle["entry"]) <= 2
        got += [one["resource"]["id"] for one in bundle["entry"]]
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
    assert len(got) == bundle["total"] >= 3
    assert got == sorted(set(got))
    assert_is_problem(await registry.get("Group?_count=x", token), 400)
