"""Whatever the server does, every row comes to its one end, nothing is doubled, and the operator is told."""

import json
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from functools import partial

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import holds, is_bundle
from tests.fakes.fake_time import FakeTime
from tests.fakes.scripted_server import answer, html, outcome, statement
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO
from tests.flows.server_content import canonical

from fhir_gateway.bootstrap import gateway
from fhir_gateway.fhir_server.client import FhirClient

COUNTS = ("loaded", "unchanged", "review", "rejected", "failed")
PEOPLE = ("3303015203200003", "Ratna", "Dewanti", "081210001001", "81210001001", "Bayu", "Kusumo", "Lastri")


def counts(summary):
    return {name: summary[name] for name in COUNTS if summary[name]}


def load(place, path, *arguments):
    """Return (exit code, JSON of the summary or None, stderr) of a load into `region`."""
    code, out, err = place.run("load", path, "--env", "region", "--json", *arguments)
    assert not [word for word in PEOPLE if word in err]
    assert "Traceback" not in err
    return code, json.loads(out) if out else None, err


def content(place):
    return tuple(place.server(kind, environment="region-server") for kind in ("Patient", "Immunization"))


def refuse(_):
    raise httpx.ConnectError("refused")


def once(*said):
    """Return a disturbance that says these in turn and is silent afterwards; each is a response or an exception."""
    waiting = list(said)

    def disturb(request):
        if not waiting or not is_bundle(request):
            return None
        disturbance = waiting.pop(0)
        if isinstance(disturbance, Exception):
            raise disturbance
        return disturbance

    return disturb


def test_a_server_that_is_down_leaves_failed_rows_that_a_retry_loads(place, region):
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
    ("metadata", "words"),
    [
        (html(), "web page"),
        (answer(body=statement(fhirVersion="5.0.0")), "FHIR 5.0.0"),
        (answer(body={"resourceType": "Conformance", "fhirVersion": "1.0.2"}), "DSTU2"),
        (answer(body=["rubbish"]), "no CapabilityStatement"),
        (httpx.Response(200, content=b'{"resourceType": "CapabilityStat'), "cut or broken"),
        (httpx.Response(200, content=b"\x00\xff\x12"), "no JSON"),
        (httpx.Response(404, content=b"not here"), "404"),
    ],
)
def test_what_is_no_fhir_r4_server_is_told_before_anything_is_begun(place, region, metadata, words):
    server = region(before=lambda _: metadata)
    code, summary, err = load(place, place.sheet(RATNA))
    assert (code, summary) == (2, None)
    assert words in err
    assert "environments/region.toml" in err
    assert not any(is_bundle(request) for request in server.requests)
    assert place.json("runs", "list", "--env", "region") == []


@pytest.mark.parametrize(
    ("elsewhere", "words"),
    [
        (html(), "web page"),
        (html(404), "web page"),
        (answer(404), "404"),
        (httpx.Response(200, content=b"welcome"), "no JSON"),
        (httpx.Response(200, content=b""), "no Bundle"),
        (answer(body={"hello": "world"}), "no Bundle"),
    ],
)
def test_a_server_of_which_only_the_statement_is_fhir_is_told_within_seconds(place, region, elsewhere, words):
    server = region(before=lambda request: None if request.url.path.endswith("/metadata") else elsewhere)
    code, summary, err = load(place, place.sheet(RATNA))
    assert (code, summary) == (2, None)
    assert words in err
    assert sum(server.time.slept) < 5
    assert place.json("runs", "list", "--env", "region") == []


def test_a_request_that_is_put_off_again_and_again_is_told_within_seconds(place, region):
    def put_off(request):
        looks_up = b"nik" in request.content and request.url.path.endswith("_search")
        return answer(500, outcome()) if looks_up else None

    region(before=put_off)
    code, summary, err = load(place, place.sheet(RATNA))
    assert (code, counts(summary), summary["reasons"]) == (3, {"failed": 1}, {"server-unavailable": 1})
    assert (
        "still waiting for the FHIR server: The FHIR server answered 500 to POST Patient/_search; asking again" in err
    )


@pytest.mark.parametrize(
    ("said", "code"),
    [(answer(400, outcome()), "server-unusable"), (answer(body={"hello": "world"}), "server-untrusted")],
)
def test_a_look_up_that_goes_wrong_for_good_has_a_reason_of_its_own(place, region, said, code):
    def wrong(request):
        return said if b"nik" in request.content and request.url.path.endswith("_search") else None

    server = region(before=wrong)
    out = place.home / "report.csv"
    exit_code, summary, _ = load(place, place.sheet(RATNA), "--report", out)
    assert (exit_code, counts(summary), summary["reasons"]) == (3, {"failed": 1}, {code: 1})
    assert not any(is_bundle(request) for request in server.requests)
    suggestion = place.report(out)[0]["gateway_suggestion"]
    assert "env check region" in suggestion
    assert f"runs retry {summary['run']} --env region" in suggestion


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_stop_before_anything_is_begun(place, region, status):
    server = region(before=lambda r: None if r.url.path.endswith("/metadata") else answer(status, outcome()))
    code, summary, err = load(place, place.sheet(RATNA))
    assert (code, summary) == (2, None)
    assert f"{status}" in err
    assert "[fhir_server.auth]" in err
    assert not any(is_bundle(request) for request in server.requests)
    assert place.json("runs", "list", "--env", "region") == []


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_may_not_write_stop_the_run_which_resumes_later(place, region, status):
    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    region(before=lambda request: answer(status, outcome()) if is_bundle(request) else None)
    code, summary, err = load(place, path)
    assert (code, summary) == (1, None)
    assert "run the same command again" in err
    (run,) = place.json("runs", "list", "--env", "region")
    assert (run["failed"], run["loaded"]) == (0, 0)
    region()
    code, summary, _ = load(place, path)
    assert (code, summary["run"], counts(summary)) == (0, run["run"], {"loaded": 3})
    assert [len(part) for part in content(place)] == [2, 3]


def test_a_token_that_is_revoked_in_the_middle_loses_nothing(place, region):
    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    region(before=lambda request: answer(401, outcome()) if holds(request, "Immunization") else None)
    assert load(place, path)[0] == 1
    region()
    code, summary, _ = load(place, path)
    assert (code, counts(summary)) == (0, {"loaded": 3})
    assert [len(part) for part in content(place)] == [2, 3]


def test_a_firewall_that_forbids_one_resource_fails_only_that_one(place, region):
    def forbid(request):
        return answer(403, outcome()) if is_bundle(request) and b'"B100-forbidden"' in request.content else None

    region(before=forbid)
    code, summary, _ = load(place, place.sheet(RATNA.replace("B100", "B100-forbidden"), RATNA_POLIO, BAYU))
    assert (code, counts(summary)) == (3, {"loaded": 2, "failed": 1})
    assert [len(part) for part in content(place)] == [2, 2]


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


def refusing(word, status=422):
    """Return a disturbance that refuses, inside of a 200, every entry that holds the word."""

    def refuse_entries(request, response):
        if not is_bundle(request):
            return None
        sent, said = orjson.loads(request.content), orjson.loads(response.content)
        for index, entry in enumerate(sent["entry"]):
            if word.encode() in orjson.dumps(entry):
                said["entry"][index] = {
                    "response": {"status": str(status), "outcome": outcome(text=f"Lot '{word}' is not known here")}
                }
        return answer(body=said)

    return refuse_entries


def test_one_refused_entry_fails_with_the_servers_words(place, region):
    region(after=refusing("B777"))
    out = place.home / "report.csv"
    code, summary, _ = load(place, place.sheet(RATNA, BAYU.replace("B100", "B777")), "--report", out)
    assert (code, counts(summary), summary["reasons"]) == (3, {"loaded": 1, "failed": 1}, {"server-refused": 1})
    row = place.report(out)[1]
    assert row["gateway_status"] == "failed"
    assert "is not known here" in row["gateway_reason"]
    assert row["gateway_suggestion"]


def test_a_batch_that_is_refused_for_one_entry_loads_the_others(place, region):
    def poisoned(request):
        return answer(400, outcome(text="no")) if is_bundle(request) and b'"B777"' in request.content else None

    region(before=poisoned)
    code, summary, _ = load(place, place.sheet(RATNA, RATNA_POLIO, BAYU.replace("B100", "B777")))
    assert (code, counts(summary)) == (3, {"loaded": 2, "failed": 1})
    assert [len(part) for part in content(place)] == [2, 2]


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


def test_a_look_for_duplicates_that_fails_is_told_and_costs_no_row(place, region, caplog):
    posted = []

    def fail_afterwards(request):
        posted.extend([request] * holds(request, "Immunization"))
        return answer(400, outcome(text="no")) if posted and request.url.path.endswith("/Patient/_search") else None

    region(before=fail_afterwards)
    code, summary, _ = load(place, place.sheet(RATNA, BAYU))
    assert (code, counts(summary)) == (0, {"loaded": 2})
    assert "was not looked through" in caplog.text


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


def test_a_search_that_answers_another_question_links_nobody(place, region):
    region()
    load(place, place.sheet(BAYU))

    def everybody(request, _):
        if request.url.path.endswith("/Patient/_search") and b"nobody" not in request.content:
            found = [{"resource": patient} for patient in content(place)[0].values()]
            return answer(body={"resourceType": "Bundle", "type": "searchset", "entry": found})
        return None

    region(after=everybody)
    code, summary, _ = load(place, place.sheet(RATNA, name="next.csv"))
    assert (code, counts(summary)) == (3, {"failed": 1})
    assert [len(part) for part in content(place)] == [1, 1]


def test_a_review_posts_nothing_to_a_server_that_cannot_be_used(place, region):
    region()
    load(place, place.sheet(RATNA))
    load(place, place.sheet(BAYU.replace("3303021107190002", "3303015203200003"), name="next.csv"))
    (item,) = place.json("review", "list", "--env", "region")
    region(before=lambda _: html())
    code, out, err = place.run("review", "create", item["id"], "--env", "region")
    assert (code, out) == (2, "")
    assert "web page" in err
    assert len(place.json("review", "list", "--env", "region")) == 1


def test_logs_and_addresses_hold_nobodys_data(place, region, caplog):
    with caplog.at_level("DEBUG"):
        server = region(after=refusing("B777"), before=once(answer(503, outcome()), httpx.ReadError("cut")))
        path = place.sheet(RATNA, RATNA_POLIO, BAYU.replace("B100", "B777"))
        _, out, err = place.run("load", path, "--env", "region")
        place.run("load", path, "--env", "region")
        code, _, _ = place.run("runs", "list", "--env", "region")
    assert code == 0
    for word in PEOPLE:
        assert word not in caplog.text
        assert word not in out + err
        assert not [request.url for request in server.requests if word in str(request.url)]
        assert not [request for request in server.requests if word in str(request.headers)]
    assert server.posted("Patient")
