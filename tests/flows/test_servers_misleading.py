"""What is no FHIR server, or answers something else than it was asked: told at once, nobody linked, nothing of anybody logged."""

import httpx
import pytest
from tests.fakes.disturbed_server import is_bundle
from tests.fakes.scripted_server import answer, html, outcome, statement
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO
from tests.flows.loading_from_region import PEOPLE, content, counts, load, once, refusing


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
