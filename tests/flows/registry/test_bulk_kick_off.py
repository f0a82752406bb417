"""Bulk Data Access v2, kick-off: what is accepted, refused, narrowed, and for whom."""

import asyncio
import json
import threading

import pytest
from tests.fakes.fhir_samples import NIK
from tests.fakes.served_gateway import assert_is_problem
from tests.flows.registry.exporting import ASYNC, LEVELS, Exporter, parameters

from fhir_gateway.fhir.validation import validate
from fhir_gateway.ledger.registry.clients import RegistryClients
from fhir_gateway.ledger.registry.exports import Exports
from fhir_gateway.ledger.registry.pulls import Pulls


@pytest.mark.parametrize("path", LEVELS)
@pytest.mark.parametrize("body", [None, parameters(_type="Patient")])
async def test_get_and_post_at_every_level_are_accepted_with_an_absolute_address(exporter, districts, path, body):
    answer = await exporter.kick_off(path, body=body)
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["content-location"].startswith(f"{exporter.base}/bulk-status/")
    assert (await exporter.manifest(answer.headers["content-location"]))["output"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Prefer": "respond-async"}, 406),
        ({"Accept": "application/fhir+json"}, 400),
        ({"Accept": "application/json", "Prefer": "respond-async"}, 406),
        ({"Accept": "application/fhir+json", "Prefer": "handling=lenient"}, 400),
    ],
)
async def test_missing_headers_are_refused(exporter, headers, status):
    assert_is_problem(await exporter.kick_off(headers=headers), status)


@pytest.mark.parametrize("name", ["application/fhir+ndjson", "application/ndjson", "ndjson"])
async def test_output_formats_are_ndjson_by_three_names(exporter, districts, name):
    assert (await exporter.kick_off(_outputFormat=name)).status_code == 202


@pytest.mark.parametrize(
    "params",
    [
        {"_outputFormat": "text/csv"},
        {"_since": "2999-01-01T00:00:00Z"},
        {"_since": "yesterday"},
        {"_since": "2024-01-01"},
        {"_until": "2024-01-01T00:00:00"},
        {"_since": "2024-01-02T00:00:00Z", "_until": "2024-01-01T00:00:00Z"},
        {"_type": "Condition"},
        {"_type": "Nonsense"},
        {"_type": ""},
        {"_typeFilter": "Immunization?nonsense=1"},
        {"_typeFilter": "Immunization?_sort=_lastUpdated"},
        {"_typeFilter": "status=completed"},
        {"_type": "Patient", "_typeFilter": "Immunization?status=completed"},
        {"_typeFilter": f"Patient?identifier={NIK}|3201014101900001"},
        {"_elements": "a-b"},
        {"patient": "Patient/1"},
        {"includeAssociatedData": "AllResources"},
        {"includeAssociatedData": "LatestProvenanceResources,_custom"},
        {"organizeOutputBy": "Patient"},
        {"nonsense": "1"},
    ],
)
async def test_what_is_wrong_or_not_supported_is_refused(exporter, params):
    answer = await exporter.kick_off(**params)
    assert_is_problem(answer, 400)
    assert "3201014101900001" not in answer.text


async def test_lenient_handling_ignores_what_is_unknown_and_says_so_in_an_error_file(exporter, districts):
    people, _ = districts
    headers = {"Accept": "application/fhir+json", "Prefer": "respond-async, handling=lenient"}
    manifest = await exporter.export(headers=headers, _type="Patient,Condition", nonsense="1")
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == set(people)
    told = await exporter.lines(manifest["error"])
    assert all(validate(one) == () for one in told)
    assert [one["issue"][0]["diagnostics"] for one in told] == [
        "the parameter nonsense is not known here and was ignored",
        "the type Condition is not known here and was ignored",
    ]


@pytest.mark.parametrize("types", [["Patient", "Immunization"], ["Patient,Immunization"]])
async def test_types_are_repeated_or_joined_by_commas(exporter, districts, types):
    people, doses = districts
    assert await exporter.exported(_type=types) == {*people, *doses}


async def test_everything_is_exported_where_no_type_is_named(exporter, districts):
    people, doses = districts
    (clinic,) = await exporter.fill(_organization())
    assert await exporter.exported() == {*people, *doses, clinic}


def _organization():
    return {"resourceType": "Organization", "identifier": [{"system": "urn:x", "value": "1"}], "name": "Klinik Rekaan"}


@pytest.mark.parametrize(
    "filters",
    [
        "Immunization?status=not-done%2Centered-in-error",
        ["Immunization?status=not-done", "Immunization?status=entered-in-error"],
        "Immunization?status=not-done,Immunization?status=entered-in-error",
        "Immunization?status=not-done,entered-in-error",
    ],
)
async def test_type_filters_are_alternatives_and_inner_commas_may_be_encoded(exporter, districts, filters):
    _, doses = districts
    await exporter.change("Immunization", doses[0], status="not-done")
    await exporter.change("Immunization", doses[1], status="entered-in-error")
    assert await exporter.exported(_type="Immunization", _typeFilter=filters) == set(doses[:2])


async def test_elements_narrow_and_mark_resources(exporter, districts):
    manifest = await exporter.export(_type="Patient", _elements="birthDate,Immunization.status")
    for one in await exporter.lines(manifest["output"]):
        assert set(one) == {"resourceType", "id", "meta", "birthDate"}
        assert one["meta"]["tag"][-1]["code"] == "SUBSETTED"


@pytest.mark.parametrize("path", LEVELS[1:])
async def test_patients_are_named_in_post_only(exporter, districts, path):
    people, doses = districts
    body = parameters(patient=[f"Patient/{people[0]}", "Patient/nobody"])
    manifest = await exporter.export(path, body=body)
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == {people[0], doses[0]}
    (told,) = await exporter.lines(manifest["error"])
    assert told["issue"][0]["diagnostics"] == "there is no Patient/nobody here"
    assert_is_problem(await exporter.kick_off(path, patient=f"Patient/{people[0]}"), 400)


async def test_whoever_is_named_and_is_no_member_of_the_group_is_told(exporter, districts):
    people, doses = districts
    body = parameters(patient=[f"Patient/{people[0]}", f"Patient/{people[2]}"], _type="Immunization")
    manifest = await exporter.export("Group/clinic-pkm-1/$export", body=body)
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == {doses[0]}
    (told,) = await exporter.lines(manifest["error"])
    assert told["issue"][0]["diagnostics"] == f"Patient/{people[2]} is no member of the group"


async def test_what_was_ignored_is_not_repeated(exporter, districts):
    headers = {"Accept": "application/fhir+json", "Prefer": "respond-async, handling=lenient"}
    ignored = {"identifier": "3303015203200003", "_typeFilter": "Patient?identifier=3303015203200003"}
    for params in (ignored, {"identifier": "3303015203200003", "_typeFilter": "Immunization?status=completed"}):
        manifest = await exporter.export(headers=headers, _type="Immunization", **params)
        assert "3303015203200003" not in json.dumps(manifest)
        assert manifest["request"].startswith(f"{exporter.base}/$export?_type=Immunization")
        assert ("completed" in manifest["request"]) == ("completed" in params["_typeFilter"])


async def test_a_body_that_is_no_parameters_resource_is_refused(exporter):
    assert_is_problem(await exporter.kick_off(body={"resourceType": "Patient"}), 400)
    assert_is_problem(await exporter.kick_off(body=[]), 400)
    wrong = {**ASYNC, "Content-Type": "text/plain"}
    assert_is_problem(await exporter.kick_off(body=parameters(), headers=wrong), 415)


async def test_too_many_running_are_refused_with_a_time_to_wait(exporter, districts, monkeypatch):
    async def stuck(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr("fhir_gateway.serving.exporting.working.export", stuck)
    begun = [await exporter.kick_off() for _ in range(2)]
    refused = await exporter.kick_off()
    assert_is_problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert (await Exporter(exporter.served).kick_off()).status_code == 202  # another client's own
    token = await exporter.token()
    await exporter.served.ask("DELETE", begun[0].headers["content-location"], token)
    assert (await exporter.kick_off()).status_code == 202


async def test_the_token_decides_what_is_exported(exporter, districts):
    people, _ = districts
    token = await exporter.token("system/Patient.rs")
    manifest = await exporter.manifest((await exporter.kick_off(token=token)).headers["content-location"])
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == set(people)
    assert_is_problem(await exporter.kick_off(token=token, _type="Immunization"), 403)
    assert_is_problem(await exporter.kick_off(token=await exporter.token("system/Patient.r")), 403)
    assert (await exporter.served.client.get(f"{exporter.base}/$export", headers=ASYNC)).status_code == 401


async def test_tokens_pulls_and_exports_are_written_down_beside_the_event_loop(exporter, monkeypatch):
    """A commit takes as long as the disk likes: nobody else is to wait for it."""
    threads = []
    for kind, name in (
        (RegistryClients, "use_up"),
        (Pulls, "record_all"),
        (Exports, "add"),
        (Exports, "drop"),
    ):
        monkeypatch.setattr(kind, name, _watched(getattr(kind, name), threads))
    await exporter.get("Immunization")
    location = (await exporter.kick_off()).headers["content-location"]
    assert (await exporter.served.ask("DELETE", location, await exporter.token())).status_code == 202
    assert len(threads) >= 7
    assert threading.main_thread() not in threads


def _watched(method, threads):
    def act(*arguments, **options):
        threads.append(threading.current_thread())
        return method(*arguments, **options)

    return act
