"""A server that is down, slow, cut off or lost: every row comes to its one end, and a retry loads what is left."""

import json
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from functools import partial

import httpx
import pytest
from tests.fakes.disturbed_server import holds
from tests.fakes.fake_time import FakeTime
from tests.fakes.scripted_server import answer, html, outcome
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO
from tests.flows.loading_from_region import content, counts, load, once, refuse
from tests.flows.server_content import canonical

from fhir_gateway.bootstrap import gateway
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.flows.load import road


@pytest.mark.parametrize("rows_together", [100, 2])
def test_a_server_that_is_down_leaves_failed_rows_that_a_retry_loads(place, region, monkeypatch, rows_together):
    monkeypatch.setattr(road, "_CHUNK", rows_together)
    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    region(before=refuse)
    code, summary, err = load(place, path)
    assert (code, counts(summary), summary["reasons"]) == (3, {"failed": 3}, {"server-unavailable": 3})
    assert "waiting for it" in err
    assert "cannot be reached" in err
    region()
    code, out, _ = place.run("runs", "retry", summary["run"], "--env", "region", "--json")
    assert (code, counts(json.loads(out))) == (0, {"loaded": 3})
    assert [len(part) for part in content(place)] == [2, 3]


def test_what_was_retried_is_unchanged_afterwards(place, region):
    path = place.sheet(RATNA, BAYU)
    region(before=refuse)
    run = load(place, path)[1]["run"]
    region()
    place.run("runs", "retry", run, "--env", "region")
    before = content(place)
    assert counts(load(place, path)[1]) == {"unchanged": 2}
    assert content(place) == before


def test_a_second_retry_has_nothing_left_to_do(place, region):
    path = place.sheet(RATNA)
    region(before=refuse)
    run = load(place, path)[1]["run"]
    region()
    place.run("runs", "retry", run, "--env", "region")
    before = content(place)
    code, _, _ = place.run("runs", "retry", run, "--env", "region")
    assert code == 0
    assert content(place) == before


@pytest.mark.parametrize(
    "disturbance",
    [
        [answer(429, outcome(), Retry_After="7")],
        [answer(503, outcome()), answer(503, outcome())],
        [answer(500, outcome())] * 2,
        [html(502), html(504)],
        [httpx.ReadError("cut")],
        [httpx.RemoteProtocolError("cut")],
        [httpx.ReadTimeout("silence")],
        [html(200)],
        [httpx.Response(200, content=b'{"resourceType":"Bundle","type":"batch-resp')],
        [answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": []})],
        [answer(body={"resourceType": "Patient"})],
        [httpx.Response(200, content=b"")],
    ],
)
def test_a_disturbance_that_passes_changes_nothing(place, region, disturbance):
    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    region(before=once(*disturbance))
    code, summary, _ = load(place, path)
    assert (code, counts(summary)) == (0, {"loaded": 3})
    assert [len(part) for part in content(place)] == [2, 3]


def test_retry_after_is_honoured(place, region):
    server = region(before=once(answer(429, outcome(), Retry_After="45")))
    load(place, place.sheet(RATNA))
    assert max(server.time.slept) >= 45


@pytest.mark.parametrize("kind", ["Patient", "Immunization"])
def test_an_answer_that_is_lost_after_the_work_was_done_doubles_nothing(place, region, kind):
    lost = []

    def lose(request, _):
        if holds(request, kind) and len(lost) < 2:
            lost.append(request)
            raise httpx.ReadError("cut in the middle of the answer")

    region(after=lose)
    code, summary, _ = load(place, place.sheet(RATNA, RATNA_POLIO, BAYU))
    assert (code, counts(summary), len(lost)) == (0, {"loaded": 3}, 2)
    canonical(*content(place))
    assert [len(part) for part in content(place)] == [2, 3]


def test_a_server_that_is_lost_and_comes_back_is_waited_for(place, region):
    gone = []

    def leave(request):
        if holds(request, "Immunization") and len(gone) < 6:
            gone.append(request)
            raise httpx.ConnectError("refused")

    region(before=leave)
    code, summary, err = load(place, place.sheet(RATNA, RATNA_POLIO, BAYU))
    assert (code, counts(summary)) == (0, {"loaded": 3})
    assert "does not answer, waiting for it" in err
    assert "is back, going on" in err


def test_a_server_that_is_lost_for_good_in_the_middle_keeps_what_it_took(place, region):
    region(before=lambda request: refuse(request) if holds(request, "Immunization") else None)
    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    code, summary, _ = load(place, path)
    assert (code, counts(summary)) == (3, {"failed": 3})
    assert [len(part) for part in content(place)] == [2, 0]
    region()
    code, summary, _ = load(place, path)
    assert (code, counts(summary)) == (0, {"loaded": 3})
    assert [len(part) for part in content(place)] == [2, 3]


def test_a_retry_that_is_interrupted_is_retried_to_the_same_end(place, region):
    region(before=refuse)
    run = load(place, place.sheet(RATNA, RATNA_POLIO, BAYU))[1]["run"]
    region(before=lambda request: signal.raise_signal(signal.SIGINT) if holds(request, "Immunization") else None)
    code, out, err = place.run("runs", "retry", run, "--env", "region")
    assert (code, out) == (1, "")
    assert "interrupted" in err
    region()
    code, out, _ = place.run("runs", "retry", run, "--env", "region", "--json")
    assert (code, counts(json.loads(out))) == (0, {"loaded": 3})
    canonical(*content(place))
    assert [len(part) for part in content(place)] == [2, 3]
    runs = json.loads(place.run("runs", "list", "--env", "region", "--json")[1])
    assert [(found["kind"], found["state"]) for found in runs] == [("retry", "finished"), ("load", "finished")]


@contextmanager
def listening(behave):
    """Give the port of a server on loopback that treats every connection as `behave(connection)` says."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):
                while True:
                    behave(server.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def cut(connection):
    connection.recv(10)
    connection.close()


def say_rubbish(connection):
    connection.recv(10_000)
    connection.sendall(b"220 mail.test ESMTP ready\r\n")
    connection.close()


def say_half(connection):
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 900\r\n\r\n{")
    connection.close()


SILENT = []
"""Connections of the server that never answers; kept, or they would be closed."""


@pytest.mark.parametrize(
    ("behave", "timeout", "words"),
    [
        (SILENT.append, 0.1, "no answer within 0.1 s"),
        (cut, 60, "cut the connection"),
        (say_rubbish, 60, "cut the connection"),
        (say_half, 60, "cut the connection"),
    ],
)
def test_what_answers_no_http_is_waited_for_and_leaves_failed_rows(place, monkeypatch, behave, timeout, words):
    monkeypatch.setattr(gateway, "FhirClient", partial(FhirClient, timing=FakeTime().timing()))
    (place.home / "environments").mkdir()
    with listening(behave) as port:
        settings = f'base_url = "http://127.0.0.1:{port}/fhir"\ntimeout = {timeout}\nwait_for_server = 5\n'
        (place.home / "environments" / "region.toml").write_text(f"[fhir_server]\n{settings}")
        code, summary, err = load(place, place.sheet(RATNA, BAYU))
    assert (code, counts(summary)) == (3, {"failed": 2})
    assert "waiting for it" in err
    assert words in err
