"""A server that refuses credentials, resources or whole batches: only what it refuses fails, with its words."""

import pytest
from tests.fakes.disturbed_server import holds, is_bundle
from tests.fakes.scripted_server import answer, outcome
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO
from tests.flows.loading_from_region import content, counts, load, refusing


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
    def writes(request):
        return is_bundle(request) or request.method == "PUT" or request.url.path.endswith(("/Patient", "/Immunization"))

    path = place.sheet(RATNA, RATNA_POLIO, BAYU)
    region(before=lambda r: answer(status, outcome()) if r.method != "GET" and writes(r) else None)
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


def test_a_look_for_duplicates_that_fails_is_told_and_costs_no_row(place, region, caplog):
    posted = []

    def fail_afterwards(request):
        posted.extend([request] * holds(request, "Immunization"))
        return answer(400, outcome(text="no")) if posted and request.url.path.endswith("/Patient/_search") else None

    region(before=fail_afterwards)
    code, summary, _ = load(place, place.sheet(RATNA, BAYU))
    assert (code, counts(summary)) == (0, {"loaded": 2})
    assert "was not looked through" in caplog.text
