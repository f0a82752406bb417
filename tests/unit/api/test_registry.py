"""The registry's endpoint as its clients ask it: getting in, searching, and what stays closed."""

import asyncio
import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.fakes.fhir_samples import NIK, sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.fhir.validation import validate
from fhir_gateway.registry.parameters import SEARCHES
from fhir_gateway.serving.registry.keys import RegistryKeys


@pytest.fixture
def registry(served):
    return Puller(served)


async def doses(registry, number=5):
    (patient,) = await registry.fill(sample_patient(1))
    return patient, await registry.fill(*(sample_immunization(f"Patient/{patient}", n) for n in range(number)))


def ids(bundle):
    return [one["resource"]["id"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "match"]


def link(bundle, relation):
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), "")


async def test_a_registered_client_gets_a_token_for_five_minutes(registry):
    answer = await registry.ask_token("system/Immunization.read system/Condition.read")
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 300, "system/Immunization.rs")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, 401, "invalid_client"),
        ({"client_assertion": "a.b.c"}, 401, "invalid_client"),
        ({"scope": "system/Patient.write"}, 400, "invalid_scope"),
        ({"scope": "system/Nonsense.rs"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
    ],
)
async def test_tokens_are_refused_as_oauth_says_it(registry, changes, status, error):
    answer = await registry.ask_token(**changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]


async def test_an_assertion_is_taken_once(registry):
    assertion = registry.assertion()
    assert (await registry.ask_token(assertion=assertion)).status_code == 200
    answer = await registry.ask_token(assertion=assertion)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_the_token_is_no_json_matter(registry):
    answer = await registry.served.client.post(f"{registry.base}/auth/token", json={"grant_type": "client_credentials"})
    assert answer.json()["error"] == "invalid_request"


async def test_a_revoked_client_is_out_at_once(registry):
    token = await registry.token()
    with registry.ledger() as ledger, ledger.transaction():
        ledger.registry_clients.revoke(registry.id, registry.now())
    assert_is_problem(await registry.get("Patient", token), 401)
    assert (await registry.ask_token()).json()["error"] == "invalid_client"


async def test_a_withdrawn_key_ends_its_tokens_a_rotated_one_does_not(registry):
    token = await registry.token()
    keys = RegistryKeys(registry.settings.folder)
    keys.rotate(registry.now())
    assert (await registry.get("Patient", token)).status_code == 200
    keys.rotate(registry.now(), withdraw=True)
    assert_is_problem(await registry.get("Patient", token), 401)


async def test_the_keys_are_published_without_their_secrets(registry):
    await registry.token()
    answer = await registry.served.get("/north/fhir/.well-known/jwks.json")
    assert [set(one) & {"d"} for one in answer.json()["keys"]] == [set()]


ROUTES = ["Immunization", "Patient", "Organization", "Immunization/1", "Patient/1"]


@pytest.mark.parametrize("path", ROUTES)
async def test_nothing_of_a_person_opens_without_a_token(served, path):
    for token in ("", "rubbish", served.key()[1]):
        assert_is_problem(await served.get(f"/north/fhir/{path}", token), 401)


@pytest.mark.parametrize("path", [*ROUTES, "Immunization/_search", "Patient/_search"])
async def test_one_environment_s_token_opens_nothing_of_another(served, path):
    north, south = Puller(served), Puller(served, "south")
    token = await south.token()
    if path.endswith("_search"):
        assert_is_problem(await north.post(path, {}, token), 401)
    else:
        assert_is_problem(await north.get(path, token), 401)


async def test_what_needs_no_token(served):
    for path in ("metadata", ".well-known/smart-configuration", ".well-known/jwks.json"):
        assert (await served.get(f"/north/fhir/{path}")).status_code == 200


async def test_the_smart_configuration_leads_to_the_token(served):
    configuration = (await served.get("/north/fhir/.well-known/smart-configuration")).json()
    assert configuration["token_endpoint"] == "http://gateway.test/north/fhir/auth/token"
    assert configuration["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert configuration["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]


async def test_a_scope_opens_its_type_only(registry):
    token = await registry.token("system/Immunization.s")
    assert (await registry.get("Immunization", token)).status_code == 200
    assert_is_problem(await registry.get("Patient", token), 403)
    assert_is_problem(await registry.get("Immunization/1", token), 403)
    assert_is_problem(await registry.get("Immunization?_include=Immunization:patient", token), 403)


async def test_a_page_s_link_opens_no_more_than_the_token_of_now(registry):
    await doses(registry)
    following = link((await registry.get("Immunization?_include=Immunization:patient&_count=1")).json(), "next")
    assert_is_problem(await registry.get(following, await registry.token("system/Immunization.rs")), 403)
    assert (await registry.get(following)).status_code == 200


async def test_pages_are_followed_by_their_links(registry):
    _, expected = await doses(registry)
    token, got, url = await registry.token(), [], "Immunization?_count=2"
    while url:
        answer = await registry.get(url, token)
        assert answer.headers["content-type"] == "application/fhir+json"
        bundle = answer.json()
        assert validate(bundle) == ()
        got += ids(bundle)
        url = link(bundle, "next")
    assert got == expected


async def test_no_address_names_a_person(registry):
    _, expected = await doses(registry)
    value = sample_patient(1)["identifier"][0]["value"]
    form = {"patient.identifier": f"{NIK}|{value}", "_count": "2"}
    bundle = (await registry.post("Immunization/_search", form)).json()
    links = [one["url"] for one in bundle["link"]]
    assert not any(value in one or "identifier" in one for one in links)
    following = (await registry.get(link(bundle, "next"))).json()
    assert ids(bundle) + ids(following) == expected[:4]


@pytest.mark.parametrize("cursor", ["x", "gAAAAA", "", "../.."])
async def test_a_page_of_somebody_else_s_making_is_refused(registry, cursor):
    assert_is_problem(await registry.get(f"Immunization?_cursor={cursor}"), 400)


async def test_one_environment_s_page_is_none_of_another_s(served):
    north, south = Puller(served), Puller(served, "south")
    await doses(north)
    following = link((await north.get("Immunization?_count=2")).json(), "next")
    query = urlsplit(following).query
    assert_is_problem(await south.get(f"Immunization?{query}"), 400)
    assert_is_problem(await north.get(f"Patient?{query}"), 400)


async def test_the_statement_declares_what_works_and_nothing_else(registry):
    statement = (await registry.served.get("/north/fhir/metadata")).json()
    assert validate(statement) == ()
    values = {"_lastUpdated": "gt2020-01-01", "date": "2024", "status": "completed", "vaccine-code": "08"}
    token = await registry.token()
    for one in statement["rest"][0]["resource"]:
        names = {parameter["name"] for parameter in one["searchParam"]}
        for name in names:
            answer = await registry.post(f"{one['type']}/_search", {name: values.get(name, "1")}, token)
            assert answer.status_code == 200, (one["type"], name, answer.text)
        undeclared = {*SEARCHES.get(one["type"], ()), "name", "birthdate", "performer", "_text"} - names
        for name in undeclared - set(re.findall(r"patient\.identifier", one.get("documentation", ""))):
            assert_is_problem(await registry.post(f"{one['type']}/_search", {name: "1"}, token), 400)


async def test_a_lenient_client_is_warned(registry):
    options = {"headers": {"Prefer": "handling=lenient"}}
    bundle = (await registry.get("Immunization?nonsense=1", **options)).json()
    (entry,) = bundle["entry"]
    assert entry["search"]["mode"] == "outcome"
    assert "nonsense" in entry["resource"]["issue"][0]["diagnostics"]


async def test_a_resource_that_has_not_changed_is_not_sent_again(registry):
    patient, _ = await doses(registry)
    token = await registry.token()
    first = await registry.get(f"Patient/{patient}", token)
    assert first.headers["etag"].startswith('W/"1-')
    again = await registry.get(f"Patient/{patient}", token, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_page_that_has_not_changed_is_not_sent_again_although_its_link_is_sealed_anew(registry):
    await doses(registry)
    token = await registry.token()
    first = await registry.get("Immunization?_count=2", token)
    headers = {"If-None-Match": first.headers["etag"]}
    assert (await registry.get("Immunization?_count=2", token, headers=headers)).status_code == 304
    assert (await registry.get("Immunization?_count=1", token, headers=headers)).status_code == 200


async def test_large_answers_are_packed_for_those_who_take_it(registry):
    await doses(registry)
    token = await registry.token()
    plain = await registry.get("Immunization", token, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = await registry.get("Immunization", token, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    for unwilling in ("gzip;q=0", "br, gzip; q=0.000", "notgzip"):
        answer = await registry.get("Immunization", token, headers={"Accept-Encoding": unwilling})
        assert "content-encoding" not in answer.headers


async def test_every_pull_is_written_down(registry):
    patient, expected = await doses(registry)
    await registry.get("Immunization?status=completed")
    await registry.get(f"Patient/{patient}")
    with registry.ledger() as ledger:
        read, search = ledger.pulls.all()
        assert (search.request.client, search.request.kind, search.count) == (registry.id, "search", len(expected))
        assert parse_qsl(search.request.query.decode()) == [("status", "completed")]
        assert (read.request.kind, read.count) == ("read", 1)
        assert ledger.pulls.of_patient(patient) == [read, search]


async def test_what_is_not_served_is_said_plainly(registry):
    token = await registry.token()
    assert_is_problem(await registry.get("Observation", token), 404)
    assert_is_problem(await registry.get("Patient/nobody", token), 404)
    assert_is_problem(await registry.get("Patient/..%2F..%2Fmetadata", token), 404)
    answer = await registry.served.ask(
        "POST", "/north/fhir/Patient/_search", token, content="{}", headers={"Content-Type": "application/json"}
    )
    assert_is_problem(answer, 415)


async def test_a_client_that_asks_too_often_is_told_when_to_come_again(served):
    environment = served.home / "environments" / "north.toml"
    environment.write_text(environment.read_text() + "\n[registry]\nrequests_per_minute = 3\n")
    registry = Puller(served)
    token = await registry.token()
    answers = [await registry.get("Patient", token) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_serving_notes_what_is_taken_back_on_the_server_itself(registry, monkeypatch):
    _, (dose, *_) = await doses(registry)
    await registry.get("Immunization")
    await registry.change("Immunization", dose, status="entered-in-error")
    environment = registry.served.app.state.serving.opened["north"]
    monkeypatch.setattr("fhir_gateway.serving.exporting.jobs.SWEEP_EVERY", 0.0)
    environment.exports.go_on()
    async with asyncio.timeout(60):
        while not (found := environment.ledger.pulls.outstanding()):  # noqa: ASYNC110 - it tells nobody when it is done
            await asyncio.sleep(0)
    assert [(one.resource, one.reason, one.client) for one in found] == [
        (f"Immunization/{dose}", "withdrawn", registry.id)
    ]
