"""SMART Backend Services, line by line: how a client is let in, what its token opens, and what nothing opens."""

import base64
import hmac
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import httpx
import pytest
from fastapi.routing import APIRoute
from joserfc.jwk import ECKey, RSAKey
from tests.fakes.fhir_samples import NIK, sample_immunization, sample_patient
from tests.fakes.pulling_client import JWKS, KEY, Puller, registered, signed
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role

OTHER = ECKey.generate_key("P-384", {"kid": "k-1"})
RSA = RSAKey.generate_key(2048, {"kid": "k-1"})
PUBLIC = {
    "/{environment}/fhir/metadata",
    "/{environment}/fhir/.well-known/smart-configuration",
    "/{environment}/fhir/.well-known/jwks.json",
    "/{environment}/fhir/auth/token",
}
"""What needs no credentials, and tells of nobody."""


def part(content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def keyless(claims, algorithm):
    return f"{part({'alg': algorithm, 'kid': 'k-1'})}.{part(claims)}."


def with_public_key_as_secret(claims):
    text = f"{part({'alg': 'HS256', 'kid': 'k-1'})}.{part(claims)}"
    secrets = (KEY.as_pem(private=False), JWKS.encode())
    return [
        f"{text}.{base64.urlsafe_b64encode(hmac.digest(one, text.encode(), 'sha256')).decode().rstrip('=')}"
        for one in secrets
    ]


async def test_the_smart_configuration_names_token_endpoint_method_algorithms_and_scopes(registry):
    said = (await registry.served.get("/north/fhir/.well-known/smart-configuration")).json()
    assert said["token_endpoint"] == f"{registry.base}/auth/token"
    assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(said["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert said["grant_types_supported"] == ["client_credentials"]
    assert {"system/*.rs", "system/Immunization.rs", "system/Patient.rs"} <= set(said["scopes_supported"])
    assert {"client-confidential-asymmetric", "permission-v2"} <= set(said["capabilities"])


async def test_an_assertion_with_iss_sub_aud_exp_kid_and_a_new_jti_is_taken(registry):
    assert (await registry.ask_token()).status_code == 200


class Published(BaseHTTPRequestHandler):
    """A client's JWKS at an address of its own."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=60")
        self.end_headers()
        self.wfile.write(JWKS.encode())

    def log_message(self, *_):
        """Say nothing."""


async def test_a_client_may_publish_its_keys_at_a_url_and_name_it_as_jku(served):
    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        puller = Puller(served, client_id=registered(served.home, "north", jwks_url=url))
        for header in ({}, {"jku": url}):
            answer = await puller.ask_token(assertion=signed(puller.claims(), **header))
            assert answer.status_code == 200
        elsewhere = signed(puller.claims(), jku=f"{url}?other")
        assert (await puller.ask_token(assertion=elsewhere)).json()["error"] == "invalid_client"
        server.shutdown()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"aud": "http://gateway.test/south/fhir/auth/token"},
        {"aud": "http://gateway.test/north/fhir"},
        {"aud": "https://elsewhere.test/auth/token"},
        {"exp": 1},
        {"exp": time.time() + 3600},
        {"exp": lambda: time.time() + 305},
        {"exp": None},
        {"exp": "soon"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"nbf": time.time() + 3600},
    ],
)
async def test_wrong_claims_are_invalid_client(registry, changes):
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    answer = await registry.ask_token(assertion=registry.assertion(**changes))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_client_id_beside_the_assertion_must_be_the_same_client(registry):
    assert (await registry.ask_token(client_id=registry.id)).status_code == 200
    answer = await registry.ask_token(client_id=Puller(registry.served).id)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_an_assertion_may_live_the_whole_five_minutes(registry):
    assert (await registry.ask_token(assertion=registry.assertion(exp=int(time.time()) + 300))).status_code == 200


async def test_failures_of_others_at_the_same_address_shut_nobody_out(registry):
    refused = [await registry.ask_token(assertion="no assertion") for _ in range(62)]
    assert [one.status_code for one in refused[58:]] == [401, 401, 429, 429]
    assert int(refused[-1].headers["Retry-After"]) > 0
    assert (await registry.ask_token()).status_code == 200


async def test_a_replayed_jti_is_invalid_client_also_in_another_assertion(registry):
    assert (await registry.ask_token(assertion=registry.assertion(jti="once"))).status_code == 200
    answer = await registry.ask_token(assertion=registry.assertion(jti="once", exp=int(time.time()) + 100))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_another_client_s_jti_is_its_own(registry):
    assert (await registry.ask_token(assertion=registry.assertion(jti="once"))).status_code == 200
    other = Puller(registry.served)
    assert (await other.ask_token(assertion=other.assertion(jti="once"))).status_code == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "", None])
async def test_no_signature_is_invalid_client(registry, algorithm):
    answer = await registry.ask_token(assertion=keyless(registry.claims(), algorithm))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_hs256_with_the_public_key_is_invalid_client(registry):
    for forged in with_public_key_as_secret(registry.claims()):
        answer = await registry.ask_token(assertion=forged)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims: signed(claims, key=OTHER),
        lambda claims: signed(claims, key=RSA, algorithm="RS384"),
        lambda claims: signed(claims, kid="k-2"),
        lambda claims: signed(claims, key=OTHER, jwk=OTHER.as_dict(private=False)),
        lambda claims: signed(claims, jku="https://elsewhere.test/jwks.json"),
    ],
    ids=["another key", "another kind of key", "an unknown kid", "a key of its own making", "a jku not registered"],
)
async def test_another_client_s_key_is_invalid_client(registry, forge):
    answer = await registry.ask_token(assertion=forge(registry.claims()))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_one_client_s_assertion_is_no_other_s(registry):
    other = Puller(registry.served)
    mixed = registry.claims() | {"sub": other.id}
    assert (await registry.ask_token(assertion=signed(mixed))).json()["error"] == "invalid_client"


async def test_tokens_live_five_minutes_and_cannot_be_refreshed(registry):
    answer = (await registry.ask_token()).json()
    assert 0 < answer["expires_in"] <= 300
    assert "refresh_token" not in answer
    refused = await registry.ask_token(grant_type="refresh_token")
    assert refused.json()["error"] == "unsupported_grant_type"


async def test_scopes_are_narrowed_to_what_is_granted(served):
    puller = Puller(served, granted="system/Immunization.rs system/Patient.r")
    assert (await puller.ask_token("system/*.rs")).json()["scope"] == "system/Immunization.rs system/Patient.r"
    assert (await puller.ask_token("system/*.read")).json()["scope"] == "system/Immunization.rs system/Patient.r"


@pytest.mark.parametrize(
    "scope", ["", "launch", "patient/Patient.rs", "system/Nothing.rs", "system/Immunization.cruds", "system/*.*"]
)
async def test_unknown_and_writing_scopes_are_invalid_scope(registry, scope):
    answer = await registry.ask_token(scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_a_forged_access_token_opens_nothing(registry):
    token = await registry.token()
    header, claims = (json.loads(base64.urlsafe_b64decode(one + "==")) for one in token.split(".")[:2])
    signature = token.split(".")[2]
    later = claims | {"exp": claims["exp"] + 100000}
    forged = [
        f"{part(header)}.{part(later)}.{signature}",
        f"{part(header | {'alg': 'none'})}.{part(claims)}.",
        signed(claims, key=OTHER, typ="at+jwt", kid=header["kid"]),
        signed(claims, typ="at+jwt"),
        registry.assertion(),
        token[:-4],
        "",
        "x",
    ]
    for one in forged:
        assert_is_problem(await registry.served.get("/north/fhir/Patient", one), 401, "login")


async def test_an_access_token_in_the_address_opens_nothing(registry):
    token = await registry.token()
    assert_is_problem(await registry.served.get(f"/north/fhir/Patient?access_token={token}"), 401)


def routes_of_environments(app):
    return [one for one in app.routes if "{environment}" in (getattr(one, "path", None) or "")]


async def test_no_route_of_another_environment_opens(served, monkeypatch):
    """Every route there is, with every credential of the environment beside it, and with none."""
    addresses = map(str, count())  # who fails often from one address is throttled: that would hide who is refused
    monkeypatch.setattr("fhir_gateway.api.security.client_address", lambda _: next(addresses))
    north = Puller(served)
    credentials = [
        "",
        await north.token(),
        served.key(Role.OPERATOR, "north")[1],
        served.key(Role.AUDITOR, "north")[1],
    ]
    tried, public = 0, set()
    for route in routes_of_environments(served.app):
        filled = route.path.replace("{environment}", "south").replace("{resource_type}", "Patient")
        for name in route.param_convertors:
            filled = filled.replace(f"{{{name}}}", "1")
        for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
            for credential in credentials:
                answer = await served.ask(method, filled, credential)
                if route.path in PUBLIC:
                    public.add(route.path)
                    continue
                assert answer.status_code == 401, (method, route.path, answer.status_code)
                tried += 1
    assert public == PUBLIC
    assert tried >= 4 * 15


OPEN_TO_ALL = PUBLIC | {"/health/live", "/health/ready"}


async def test_without_credentials_nothing_else_opens(served):
    """Every route there is, asked from another machine, and from this one."""
    opened = set()
    for route in (one for one in served.app.routes if isinstance(one, APIRoute) and one.path != "/console"):
        filled = route.path.replace("{environment}", "north").replace("{resource_type}", "Patient")
        for name in route.param_convertors:
            filled = filled.replace(f"{{{name}}}", "1")
        for method in sorted(route.methods):
            answers = [
                await asked_from("192.0.2.9", served, method, filled),
                await asked_from("127.0.0.1", served, method, filled),
            ]
            opened |= {route.path for answer in answers if answer.status_code != 401}
    assert opened == OPEN_TO_ALL


async def asked_from(address, served, method, path):
    edge = served.client._transport.app
    transport = httpx.ASGITransport(app=edge, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        return await client.request(method, path)


async def test_tokens_assertions_and_people_stand_in_no_log(served, caplog):
    caplog.set_level(1)
    registry = Puller(served)
    nik = sample_patient(1)["identifier"][0]["value"]
    (patient,) = await registry.fill(sample_patient(1))
    (dose,) = await registry.fill(sample_immunization(f"Patient/{patient}", 1))
    assertion = registry.assertion()
    token = (await registry.ask_token(assertion=assertion)).json()["access_token"]
    person = f"{NIK}|{nik}"
    await registry.post("Immunization/_search", {"patient.identifier": person}, token)
    await registry.get(f"Immunization?patient.identifier={person}", token)
    await registry.get(f"Patient?identifier={person}&nonsense={nik}", token)
    await registry.get(f"Patient/{nik}", token)
    await registry.get(f"Immunization/{dose}/_history", token)
    await served.get("/north/fhir/Patient", token[:-3] + "abc")
    await registry.ask_token(assertion=assertion)
    await registry.ask_token(assertion=registry.assertion(aud=nik))
    auditor = served.key(Role.AUDITOR)[1]
    await served.ask("POST", "/north/audit-events/search", auditor, json={"nik": nik})
    written = [one for one in caplog.records if not _by_the_test_s_own_client(one)]
    assert any(one.name.startswith("fhir_gateway") for one in written)
    secrets = (nik, token, assertion, auditor, "Contoh Rekaan", "Jalan Rekaan", token.split(".")[2])
    for record in written:
        text = logging.Formatter("%(name)s %(message)s").format(record)
        assert not [number for number, secret in enumerate(secrets) if secret in text], record.name


def _by_the_test_s_own_client(record):
    return record.name == "httpx" and "http://gateway.test" in record.getMessage()
