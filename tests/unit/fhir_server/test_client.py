import asyncio
import gc
import logging
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from itertools import pairwise

import httpx
import pytest
import respx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.fakes.scripted_server import BASE, ScriptedServer, answer, html, in_turn, outcome

from fhir_gateway.domain.errors import PermanentServerError, TransientServerError
from fhir_gateway.fhir_server.client import (
    ATTEMPTS_AT_A_WEB_PAGE,
    LARGEST_ANSWER,
    MOST_ATTEMPTS,
    MOST_IN_FLIGHT,
    FhirClient,
    Request,
)
from fhir_gateway.fhir_server.policy import BasicAuth, BearerAuth, ClientCredentialsAuth, FhirServerPolicy, Secret

GET = Request("GET", "Patient/1")
PATIENT = {"resourceType": "Patient", "id": "1"}
OAUTH = ClientCredentialsAuth("http://login.test/token", "me", Secret("invented-secret"))


@pytest.fixture
def own_authority(tmp_path):
    """A certificate of 127.0.0.1 that nobody but its owner vouches for: its file, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of our own")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "authority.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    file.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


class Encrypted(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/fhir+json")
        self.end_headers()
        self.wfile.write(b'{"resourceType": "Patient", "id": "1"}')

    def log_message(self, *_):
        """Say nothing."""


async def test_an_authority_of_one_s_own_is_trusted_where_the_environment_names_it(own_authority, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_authority, own_authority.with_suffix(".key"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Encrypted) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        policy = FhirServerPolicy(base_url=f"https://127.0.0.1:{server.server_port}/fhir")
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        async with FhirClient(policy) as client:
            with pytest.raises(PermanentServerError, match=r"not trusted.*SSL_CERT_FILE"):
                await client.send(GET)
        monkeypatch.setenv("SSL_CERT_FILE", str(own_authority))
        async with FhirClient(policy) as client:
            assert (await client.send(GET)).body == PATIENT
        server.shutdown()


async def test_a_busy_server_is_asked_again():
    server = ScriptedServer(in_turn(answer(body=PATIENT), answer(500), answer(429), answer(body=PATIENT)))
    async with server.client() as client:
        await client.send(GET)
        assert (await client.send(GET)).body == PATIENT
    assert len(server.requests) == 4
    assert server.waits == []


async def test_a_server_that_stays_busy_is_given_up_after_some_attempts():
    server = ScriptedServer(in_turn(answer(body=PATIENT), answer(500)))
    async with server.client() as client:
        await client.send(GET)
        with pytest.raises(TransientServerError, match="500"):
            await client.send(GET)
    assert len(server.requests) == 1 + MOST_ATTEMPTS


async def test_retry_after_of_429_holds_every_request_back():
    server = ScriptedServer(in_turn(answer(429, Retry_After="60"), answer(body=PATIENT)))
    async with server.client() as client:
        await client.send(GET)
    assert server.time.seconds - 1000 >= 60


async def test_who_asks_for_a_rest_is_told_with_its_length():
    server = ScriptedServer(in_turn(answer(429, Retry_After="60"), answer(body=PATIENT)))
    async with server.client() as client:
        await client.send(GET)
    assert [wait.reason.partition("; ")[2] for wait in server.waits] == ["asking again in 60 s, as it wants"]


@pytest.mark.parametrize("status", [429, 503, 500])
async def test_a_rest_that_is_longer_than_the_patience_is_not_waited_for(status):
    server = ScriptedServer(in_turn(answer(body=PATIENT), answer(status, Retry_After="999999999")))
    async with server.client(wait_for_server=100) as client:
        await client.send(GET)
        for _ in range(2):
            with pytest.raises(TransientServerError, match="left alone for 3600 s, longer than wait_for_server"):
                await client.send(GET)
    assert server.time.seconds - 1000 < 10


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.ReadError("reset"),
    ],
)
async def test_a_server_that_is_back_after_a_while_answers_in_the_end(failure):
    server = ScriptedServer(in_turn(*[failure] * 12, answer(body=PATIENT)))
    async with server.client(wait_for_server=0) as client:
        assert (await client.send(GET)).status == 200
    assert [wait.down for wait in server.waits] == [True, False]


async def test_parked_requests_make_no_attempts_and_end_with_the_patience():
    server = ScriptedServer(in_turn(httpx.ConnectError("refused")))
    async with server.client(wait_for_server=300) as client:
        said = await asyncio.gather(*(client.send(GET) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(error, TransientServerError) for error in said)
    assert len(server.requests) < 100
    assert 300 <= server.time.seconds - 1000 < 400


async def test_a_request_that_always_fails_does_not_wait_for_ever_while_others_succeed():
    def handler(request):
        if request.url.path.endswith("/poison"):
            raise httpx.ReadTimeout("slow")
        return answer(body=PATIENT)

    server = ScriptedServer(handler)
    async with server.client(wait_for_server=0) as client:
        poisoned = asyncio.create_task(client.send(Request("GET", "Patient/poison")))
        while not poisoned.done():
            await client.send(GET)
            await asyncio.sleep(0)
        with pytest.raises(TransientServerError, match="no answer"):
            await poisoned


async def test_a_server_that_never_answers_is_given_up_in_time():
    async def hang():
        await asyncio.Event().wait()

    server = ScriptedServer(lambda _: hang())
    async with server.client(timeout=0.001, wait_for_server=1) as client:
        with pytest.raises(TransientServerError, match=r"no answer within 0\.001 s"):
            await client.send(GET)


async def test_no_more_than_sixteen_requests_are_in_flight():
    flying, most = 0, 0

    async def respond():
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0)
        flying -= 1
        return answer(body=PATIENT)

    server = ScriptedServer(lambda _: respond())
    async with server.client() as client:
        await asyncio.gather(*(client.send(GET) for _ in range(100)))
    assert most == MOST_IN_FLIGHT


async def test_requests_leave_at_the_pace_of_the_policy():
    server = ScriptedServer(in_turn(answer(body=PATIENT)))
    async with server.client(requests_per_second=2) as client:
        for _ in range(9):
            await client.send(GET)
    assert server.time.seconds - 1000 == pytest.approx(4.0)


async def test_a_web_page_in_place_of_a_fhir_server_is_told_at_once():
    server = ScriptedServer(in_turn(html()))
    async with server.client() as client:
        with pytest.raises(PermanentServerError, match=r"No FHIR server at http://fhir\.test/r4.*HTML"):
            await client.send(GET)
    assert len(server.requests) == 1


@pytest.mark.parametrize("rubbish", [html(), html(404), httpx.Response(200, content=b'{"resourceType": "Pat')])
async def test_rubbish_from_a_server_that_spoke_fhir_before_is_asked_again(rubbish):
    server = ScriptedServer(in_turn(answer(body=PATIENT), rubbish, rubbish, answer(body=PATIENT)))
    async with server.client() as client:
        await client.send(GET)
        assert (await client.send(GET)).body == PATIENT


@pytest.mark.parametrize(("page", "sent"), [(html(), ATTEMPTS_AT_A_WEB_PAGE), (html(404), 1), (html(400), 1)])
async def test_a_web_page_where_only_other_requests_get_fhir_is_permanent_within_seconds(page, sent):
    server = ScriptedServer(lambda _: page)
    async with server.client() as client:
        await client.send(Request("GET", "metadata"))
        with pytest.raises(PermanentServerError, match=r"to POST Patient/_search with a web page") as caught:
            await client.send(Request("POST", "Patient/_search", form="a=b"))
    assert caught.value.status == (page.status_code if page.is_error else 0)
    assert len(server.asked()) == sent
    assert sum(server.time.slept) < 2


async def test_what_is_asked_again_is_told_within_seconds_and_not_all_the_time():
    server = ScriptedServer(in_turn(answer(body=PATIENT), lambda: answer(500, outcome())))
    async with server.client() as client:
        await client.send(GET)
        for _ in range(2):
            with pytest.raises(TransientServerError):
                await client.send(GET)
    assert server.told_at[0] < 5
    assert {wait.reason for wait in server.waits} == {"The FHIR server answered 500 to GET Patient/…; asking again"}
    assert min(later - earlier for earlier, later in pairwise(server.told_at)) >= 30


async def test_an_answer_that_is_long_in_coming_is_told(monkeypatch):
    monkeypatch.setattr("fhir_gateway.fhir_server.waiting.SLOW", 0)
    told = asyncio.Event()

    async def answer_when_told():
        await told.wait()
        return answer(body=PATIENT)

    server = ScriptedServer(lambda _: answer_when_told())
    server.waits = Listening(told)
    async with server.client() as client:
        assert (await client.send(GET)).body == PATIENT
    assert [(wait.slow, wait.reason) for wait in server.waits] == [(True, "no answer to GET Patient/… for 0 s")]


class Listening(list):
    """A list that sets an event when something is put into it."""

    def __init__(self, event):
        super().__init__()
        self.event = event

    def append(self, item):
        super().append(item)
        self.event.set()


async def test_missing_credentials_are_permanent_and_clear():
    server = ScriptedServer(in_turn(answer(401, outcome())))
    async with server.client() as client:
        with pytest.raises(PermanentServerError, match=r"401.*credentials") as caught:
            await client.send(GET)
    assert caught.value.status == 401
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (BearerAuth(Secret("invented")), "Bearer invented"),
        (BasicAuth("me", Secret("invented")), "Basic bWU6aW52ZW50ZWQ="),
    ],
)
async def test_fixed_credentials_are_sent(auth, header):
    server = ScriptedServer(in_turn(answer(body=PATIENT)))
    async with server.client(auth=auth) as client:
        await client.send(GET)
    assert server.requests[0].headers["Authorization"] == header


def token_server(*, expires_in, accept=lambda token: True):
    """Return a server that gives out tokens t1, t2, … and accepts those that it is told to."""
    given = []

    def handler(request):
        if request.url.host == "login.test":
            given.append(request)
            return answer(body={"access_token": f"t{len(given)}", "expires_in": expires_in})
        if not accept(request.headers["Authorization"].removeprefix("Bearer ")):
            return answer(401)
        return answer(body=PATIENT)

    return ScriptedServer(handler), given


async def test_a_token_is_fetched_once_for_many_requests_and_renewed_before_it_expires():
    server, given = token_server(expires_in="3599")
    async with server.client(auth=OAUTH) as client:
        await asyncio.gather(*(client.send(GET) for _ in range(20)))
        assert len(given) == 1
        server.time.seconds += 3500
        await client.send(GET)
        assert len(given) == 1
        server.time.seconds += 50
        await client.send(GET)
    assert len(given) == 2
    assert given[0].url.params["grant_type"] == "client_credentials"
    assert b"client_secret=invented-secret" in given[0].content
    assert server.requests[-1].headers["Authorization"] == "Bearer t2"


async def test_a_token_that_the_server_forgot_is_renewed_once():
    server, given = token_server(expires_in=3600, accept=lambda token: token != "t1")
    async with server.client(auth=OAUTH) as client:
        assert (await client.send(GET)).status == 200
    assert len(given) == 2


async def test_tokens_that_are_never_accepted_end_in_a_clear_error():
    server, given = token_server(expires_in=3600, accept=lambda token: False)
    async with server.client(auth=OAUTH) as client:
        with pytest.raises(PermanentServerError, match="401"):
            await client.send(GET)
    assert len(given) == 2


async def test_a_refused_secret_is_told_without_the_secret(caplog):
    caplog.set_level(logging.DEBUG)
    refused = answer(401, {"error": "invalid_client", "error_description": "invented-secret"})
    server = ScriptedServer(in_turn(refused))
    async with server.client(auth=OAUTH) as client:
        with pytest.raises(PermanentServerError, match="invalid_client") as caught:
            await client.send(GET)
    assert "invented-secret" not in f"{caught.value!r}{caplog.text}{OAUTH!r}"


async def test_a_token_server_that_is_down_is_waited_for():
    server = ScriptedServer(
        in_turn(*[httpx.ConnectError("refused")] * 5, answer(body={"access_token": "t"}), answer(body=PATIENT))
    )
    async with server.client(auth=OAUTH) as client:
        assert (await client.send(GET)).status == 200


async def test_a_token_server_s_answer_that_cannot_be_unpacked_is_asked_for_again():
    async def no_gzip():
        yield b"no gzip"

    broken = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=no_gzip())
    server = ScriptedServer(in_turn(broken, answer(body={"access_token": "t"}), answer(body=PATIENT)))
    async with server.client(auth=OAUTH) as client:
        assert (await client.send(GET)).status == 200


async def test_a_token_server_that_drips_is_given_up():
    async def drip():
        while True:
            yield b" "
            await asyncio.sleep(0)

    server = ScriptedServer(lambda _: httpx.Response(200, content=drip()))
    async with server.client(auth=OAUTH, timeout=0.05, wait_for_server=1) as client:
        with pytest.raises(TransientServerError, match="token server gave no answer"):
            await client.send(GET)


async def test_a_token_server_s_endless_answer_is_not_kept():
    sent = []

    async def endless():
        while len(sent) < 10_000:
            sent.append(1)
            yield b" " * 65536

    server = ScriptedServer(lambda _: httpx.Response(200, content=endless()))
    async with server.client(auth=OAUTH) as client:
        with pytest.raises(PermanentServerError, match="gave no token"):
            await client.send(GET)
    assert len(sent) < 100


async def test_redirects_are_followed_on_the_same_server_only():
    server = ScriptedServer(in_turn(answer(307, Location="/other/Patient/1"), answer(body=PATIENT)))
    async with server.client() as client:
        assert (await client.send(GET)).body == PATIENT
    assert str(server.requests[-1].url) == "http://fhir.test/other/Patient/1"


@pytest.mark.parametrize(
    "location", ["http://elsewhere.test/r4/Patient/1", "https://fhir.test/r4/Patient/1", "//x.test/"]
)
async def test_redirects_to_other_servers_are_refused(location):
    server = ScriptedServer(in_turn(answer(302, Location=location)))
    async with server.client(auth=BearerAuth(Secret("invented"))) as client:
        with pytest.raises(PermanentServerError, match="another server"):
            await client.send(GET)
    assert len(server.requests) == 1


async def test_redirects_in_circles_end():
    server = ScriptedServer(in_turn(answer(307, Location="/r4/Patient/1")))
    async with server.client() as client:
        with pytest.raises(PermanentServerError, match="circles"):
            await client.send(GET)


async def test_an_endless_answer_is_cut_off():
    async def endless():
        while True:
            yield b" " * (1 << 20)

    server = ScriptedServer(lambda _: httpx.Response(200, content=endless()))
    async with server.client() as client:
        with pytest.raises(PermanentServerError, match=f"larger than {LARGEST_ANSWER >> 20} MiB"):
            await client.send(GET)


async def test_an_untrusted_certificate_is_permanent():
    error = httpx.ConnectError("tls")
    error.__cause__ = ssl.SSLCertVerificationError(1, "certificate verify failed")
    server = ScriptedServer(in_turn(error))
    async with server.client() as client:
        with pytest.raises(PermanentServerError, match="certificate"):
            await client.send(GET)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "fhir.test/r4",
        "ftp://fhir.test",
        "http://me:pass@fhir.test",
        "http://fhir.test/r4?x=1",
        "http://",
    ],
)
def test_a_base_url_that_cannot_be_one_is_refused(base_url):
    with pytest.raises(PermanentServerError, match="base_url"):
        FhirClient(FhirServerPolicy(base_url))


async def test_what_may_have_arrived_is_not_repeated_where_that_is_forbidden():
    server = ScriptedServer(in_turn(httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), answer(body=PATIENT)))
    async with server.client() as client:
        with pytest.raises(TransientServerError):
            await client.send(Request("POST", "Patient", content=b"{}", repeat=False))
    assert len(server.requests) == 2


async def test_what_was_put_off_and_certainly_not_done_is_sent_again():
    server = ScriptedServer(in_turn(answer(429, outcome()), answer(425), answer(500), answer(body=PATIENT)))
    async with server.client() as client:
        with pytest.raises(TransientServerError):
            await client.send(Request("POST", "Patient", content=b"{}", repeat=False))
    assert len(server.requests) == 3


@respx.mock
async def test_the_real_transport_carries_request_and_answer():
    route = respx.get(f"{BASE}/Patient/1").respond(json=PATIENT)
    async with FhirClient(FhirServerPolicy(BASE)) as client:
        assert (await client.send(GET)).body == PATIENT
    assert route.calls.last.request.headers["Accept"] == "application/fhir+json"


async def test_what_was_sent_is_freed_at_once_without_looking_for_cycles():
    content = b'{"resourceType": "Patient"}'
    server = ScriptedServer(lambda _: answer(body=PATIENT))
    async with server.client() as client:
        await client.send(GET)
        gc.collect()
        gc.disable()
        try:
            await client.send(Request("POST", "Patient", content=content))
            server.requests.clear()
            kept = [one for one in gc.get_objects() if isinstance(one, httpx.Request | Request)]
        finally:
            gc.enable()
    assert [one for one in kept if one.content == content] == []
