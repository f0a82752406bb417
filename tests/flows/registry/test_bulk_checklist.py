"""Bulk Data Access v2, line by line, as a registry's client meets it: over the whole application, on an embedded server."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from tests.fakes.fhir_samples import NIK, sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.domain.registry import PullKind
from fhir_gateway.fhir.validation import validate

ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
LEVELS = ["$export", "Patient/$export", "Group/clinic-pkm-1/$export"]
SOURCE = "urn:fhir-gateway:source"
BOBOTSARI, KUTASARI = "330309", "330307"


class Exporter(Puller):
    """A client that exports."""

    async def kick_off(self, path="$export", token=None, *, headers=None, body=None, **params):
        token = token or await self.token()
        own = ASYNC if headers is None else headers
        address = f"/{self.environment}/fhir/{path}"
        if body is None:
            return await self.served.ask("GET", address, token, headers=own, params=params)
        own = {"Content-Type": "application/fhir+json", **own}
        return await self.served.ask("POST", address, token, headers=own, params=params, content=json.dumps(body))

    async def manifest(self, location, token=None):
        token = token or await self.token()
        environment = await self.served.app.state.serving.environment(self.environment)
        await environment.exports.wait()
        answer = await self.get(location, token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def export(self, path="$export", **options):
        answer = await self.kick_off(path, **options)
        assert answer.status_code == 202, answer.text
        return await self.manifest(answer.headers["content-location"])

    async def lines(self, listed):
        """Return the resources of files that a manifest lists."""
        found, token = [], await self.token()
        for file in listed:
            answer = await self.get(file["url"], token)
            assert answer.status_code == 200, answer.text
            read = [json.loads(line) for line in answer.text.splitlines()]
            assert len(read) == file["count"]
            assert {one["resourceType"] for one in read} == {file["type"]}
            found += read
        return found

    async def exported(self, path="$export", **options):
        """Return the ids that an export gives, by type."""
        found = await self.lines((await self.export(path, **options))["output"])
        assert len({(one["resourceType"], one["id"]) for one in found}) == len(found)
        return {one["id"] for one in found}

    async def send(self, *entries):
        environment = await self.served.app.state.serving.environment(self.environment)
        outcomes = await environment.writer.send(list(entries))
        assert all(one.kind in ("created", "updated") for one in outcomes), outcomes
        return [one.resource_id for one in outcomes]

    async def delete(self, resource_type, resource_id):
        environment = await self.served.app.state.serving.environment(self.environment)
        answer = await environment.client.send(_request("DELETE", f"{resource_type}/{resource_id}"))
        assert answer.status == 204


def _request(method, target):
    from fhir_gateway.fhir_server.client import Request  # noqa: PLC0415 - the only place that needs it

    return Request(method, target)


def person(number, district=BOBOTSARI):
    coded = {"url": "https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode"}
    home = {"use": "home", "extension": [coded | {"extension": [{"url": "district", "valueCode": district}]}]}
    return sample_patient(number) | {"address": [home]}


def dose(patient, number, clinic="pkm-1"):
    return sample_immunization(f"Patient/{patient}", number) | {"meta": {"source": f"{SOURCE}:{clinic}:puskesmas"}}


@pytest.fixture
def exporter(served):
    return Exporter(served)


@pytest.fixture
async def region(exporter):
    """Two people of Bobotsari, one of Kutasari, each with a dose; the last one from another clinic."""
    people = await exporter.fill(person(1), person(2), person(3, KUTASARI))
    clinics = ("pkm-1", "pkm-1", "rs-a")
    doses = await exporter.fill(*(dose(one, n, clinics[n]) for n, one in enumerate(people)))
    return people, doses


def parameters(**values):
    kinds = {"_since": "valueInstant", "patient": "valueReference"}
    entries = [
        {"name": name, kinds.get(name, "valueString"): {"reference": one} if name == "patient" else one}
        for name, value in values.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return {"resourceType": "Parameters", "parameter": entries}


# Kick-off


@pytest.mark.parametrize("path", LEVELS)
@pytest.mark.parametrize("body", [None, parameters(_type="Patient")])
async def test_get_and_post_at_every_level_are_accepted_with_an_absolute_address(exporter, region, path, body):
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
async def test_output_formats_are_ndjson_by_three_names(exporter, region, name):
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


async def test_lenient_handling_ignores_what_is_unknown_and_says_so_in_an_error_file(exporter, region):
    people, _ = region
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
async def test_types_are_repeated_or_joined_by_commas(exporter, region, types):
    people, doses = region
    assert await exporter.exported(_type=types) == {*people, *doses}


async def test_everything_is_exported_where_no_type_is_named(exporter, region):
    people, doses = region
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
async def test_type_filters_are_alternatives_and_inner_commas_may_be_encoded(exporter, region, filters):
    _, doses = region
    await exporter.change("Immunization", doses[0], status="not-done")
    await exporter.change("Immunization", doses[1], status="entered-in-error")
    assert await exporter.exported(_type="Immunization", _typeFilter=filters) == set(doses[:2])


async def test_elements_narrow_and_mark_resources(exporter, region):
    manifest = await exporter.export(_type="Patient", _elements="birthDate,Immunization.status")
    for one in await exporter.lines(manifest["output"]):
        assert set(one) == {"resourceType", "id", "meta", "birthDate"}
        assert one["meta"]["tag"][-1]["code"] == "SUBSETTED"


@pytest.mark.parametrize("path", LEVELS[1:])
async def test_patients_are_named_in_post_only(exporter, region, path):
    people, doses = region
    body = parameters(patient=[f"Patient/{people[0]}", "Patient/nobody"])
    manifest = await exporter.export(path, body=body)
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == {people[0], doses[0]}
    (told,) = await exporter.lines(manifest["error"])
    assert told["issue"][0]["diagnostics"] == "there is no Patient/nobody here"
    assert_is_problem(await exporter.kick_off(path, patient=f"Patient/{people[0]}"), 400)


async def test_whoever_is_named_and_is_no_member_of_the_group_is_told(exporter, region):
    people, doses = region
    body = parameters(patient=[f"Patient/{people[0]}", f"Patient/{people[2]}"], _type="Immunization")
    manifest = await exporter.export("Group/clinic-pkm-1/$export", body=body)
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == {doses[0]}
    (told,) = await exporter.lines(manifest["error"])
    assert told["issue"][0]["diagnostics"] == f"Patient/{people[2]} is no member of the group"


async def test_what_was_ignored_is_not_repeated(exporter, region):
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


async def test_too_many_running_are_refused_with_a_time_to_wait(exporter, region, monkeypatch):
    async def stuck(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr("fhir_gateway.bootstrap.exporting.export", stuck)
    begun = [await exporter.kick_off() for _ in range(2)]
    refused = await exporter.kick_off()
    assert_is_problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert (await Exporter(exporter.served).kick_off()).status_code == 202  # another client's own
    token = await exporter.token()
    await exporter.served.ask("DELETE", begun[0].headers["content-location"], token)
    assert (await exporter.kick_off()).status_code == 202


async def test_the_token_decides_what_is_exported(exporter, region):
    people, _ = region
    token = await exporter.token("system/Patient.rs")
    manifest = await exporter.manifest((await exporter.kick_off(token=token)).headers["content-location"])
    assert {one["id"] for one in await exporter.lines(manifest["output"])} == set(people)
    assert_is_problem(await exporter.kick_off(token=token, _type="Immunization"), 403)
    assert_is_problem(await exporter.kick_off(token=await exporter.token("system/Patient.r")), 403)
    assert (await exporter.served.client.get(f"{exporter.base}/$export", headers=ASYNC)).status_code == 401


# Status, manifest, files, delete


async def test_a_running_export_tells_its_progress_and_when_to_ask_again(exporter, region, monkeypatch):
    begun = asyncio.Event()

    async def stuck(*_):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("fhir_gateway.bootstrap.exporting.export", stuck)
    answer = await exporter.kick_off()
    await begun.wait()
    running = await exporter.get(answer.headers["content-location"])
    assert running.status_code == 202
    assert 0 < len(running.headers["x-progress"]) < 100
    assert int(running.headers["retry-after"]) > 0


async def test_polling_too_fast_is_refused(exporter, region):
    location = (await exporter.kick_off()).headers["content-location"]
    token = await exporter.token()
    answers = [await exporter.get(location, token) for _ in range(60)]
    refused = [one for one in answers if one.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


async def test_the_manifest_is_complete(exporter, region):
    before = datetime.now(UTC)
    answer = await exporter.kick_off(_type="Patient,Immunization")
    location = answer.headers["content-location"]
    manifest = await exporter.manifest(location)
    assert set(manifest) == {"transactionTime", "request", "requiresAccessToken", "output", "error"}
    assert manifest["request"] == f"{exporter.base}/$export?_type=Patient%2CImmunization"
    assert manifest["requiresAccessToken"] is True
    assert [(one["type"], one["count"]) for one in manifest["output"]] == [("Patient", 3), ("Immunization", 3)]
    assert all(one["url"].startswith(f"{exporter.base}/bulk-files/") for one in manifest["output"])
    assert datetime.fromisoformat(manifest["transactionTime"]) <= datetime.now(UTC)
    done = await exporter.get(location)
    assert done.headers["content-type"] == "application/json"
    expires = parsedate_to_datetime(done.headers["expires"])
    assert before + timedelta(hours=23) < expires


async def test_files_are_ndjson_of_valid_resources_with_references_that_tell(exporter, region):
    manifest = await exporter.export()
    token = await exporter.token()
    for file in manifest["output"]:
        answer = await exporter.get(file["url"], token, headers={"Accept-Encoding": "identity"})
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        assert "content-encoding" not in answer.headers
        lines = answer.content.splitlines()
        assert answer.content.endswith(b"\n")
        assert all(validate(json.loads(line)) == () for line in lines)
        if file["type"] == "Immunization":
            assert all(json.loads(line)["patient"]["identifier"]["system"] == NIK for line in lines)
            assert b'"value":0.5,' in lines[0]


async def test_files_are_packed_when_asked_for(exporter, region):
    (file,) = (await exporter.export(_type="Patient"))["output"]
    token = await exporter.token()
    plain = await exporter.get(file["url"], token, headers={"Accept-Encoding": "identity"})
    async with exporter.served.client.stream(
        "GET", file["url"], headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(packed) == plain.content


async def test_status_and_files_are_only_for_the_client_that_asked(exporter, region):
    answer = await exporter.kick_off()
    location = answer.headers["content-location"]
    file = (await exporter.manifest(location))["output"][0]
    other = Exporter(exporter.served)
    for url in (location, file["url"]):
        assert (await other.get(url)).status_code == 404
        assert (await exporter.served.client.get(url)).status_code == 401
    assert (await other.served.ask("DELETE", location, await other.token())).status_code == 404
    assert (await exporter.get(file["url"])).status_code == 200


async def test_a_file_needs_the_scope_of_its_type(exporter, region):
    manifest = await exporter.export()
    token = await exporter.token("system/Patient.rs")
    found = {one["type"]: (await exporter.get(one["url"], token)).status_code for one in manifest["output"]}
    assert found == {"Patient": 200, "Immunization": 403}


async def test_files_on_disk_are_the_gateways_alone(exporter, region):
    await exporter.export()
    folder = exporter.settings.folder / "exports"
    files = [folder, *folder.rglob("*")]
    assert {oct(one.stat().st_mode & 0o777) for one in files} == {"0o700", "0o600"}


async def test_after_delete_status_and_files_are_gone(exporter, region):
    answer = await exporter.kick_off()
    location = answer.headers["content-location"]
    file = (await exporter.manifest(location))["output"][0]
    token = await exporter.token()
    assert (await exporter.served.ask("DELETE", location, token)).status_code == 202
    for method, url in (("GET", location), ("GET", file["url"]), ("DELETE", location)):
        gone = await exporter.served.ask(method, url, token)
        assert gone.status_code == 404
        assert gone.headers["content-type"] == "application/json"
        assert gone.json()["resourceType"] == "OperationOutcome"
    assert not list((exporter.settings.folder / "exports").iterdir())


async def test_an_export_is_one_pull_with_its_count_and_gives_versions_when_it_is_fetched(exporter, region):
    _, doses = region
    manifest = await exporter.export(_type="Patient,Immunization")
    await exporter.lines([one for one in manifest["output"] if one["type"] == "Immunization"])
    with exporter.ledger() as ledger:
        (pull,) = ledger.pulls.all(client=exporter.id)
        assert (pull.request.kind, pull.request.resource_type, pull.count) == (
            PullKind.EXPORT,
            "Patient,Immunization",
            6,
        )
        rows = ledger._connection.exec_driver_sql("SELECT resource, version FROM pulled").fetchall()
    assert {tuple(row) for row in rows} == {(f"Immunization/{one}", "1") for one in doses}


# Since last time


async def test_since_gives_what_was_written_strictly_after(exporter, region):
    people, doses = region
    first = await exporter.export()
    assert await exporter.exported(_since=first["transactionTime"]) == set()
    await exporter.change("Immunization", doses[1], status="entered-in-error")
    (new,) = await exporter.fill(dose(people[0], 9))
    second = await exporter.export(_since=first["transactionTime"])
    assert {one["id"] for one in await exporter.lines(second["output"])} == {doses[1], new}
    assert second["deleted"] == []


async def test_until_gives_what_was_written_before(exporter, region):
    people, doses = region
    first = await exporter.export()
    await exporter.fill(dose(people[0], 9))
    until = datetime.fromisoformat(first["transactionTime"]) + timedelta(microseconds=1)
    assert await exporter.exported(_until=until.isoformat()) == {*people, *doses}


async def test_merged_people_come_as_replaced_and_their_doses_as_the_survivors(exporter, region):
    people, doses = region
    first = await exporter.export()
    link = {"other": {"reference": f"Patient/{people[0]}"}, "type": "replaced-by"}
    await exporter.change("Immunization", doses[1], patient={"reference": f"Patient/{people[0]}"})
    await exporter.change("Patient", people[1], active=False, link=[link])
    for path in LEVELS:
        second = await exporter.export(path, _since=first["transactionTime"])
        found = {one["id"]: one for one in await exporter.lines(second["output"])}
        assert set(found) == {people[1], doses[1]}
        assert found[people[1]]["active"] is False
        assert found[doses[1]]["patient"]["reference"] == f"Patient/{people[0]}"
        assert second["deleted"] == []


async def test_a_replaced_person_who_is_named_brings_the_survivors_doses(exporter, region):
    people, doses = region
    link = {"other": {"reference": f"Patient/{people[0]}"}, "type": "replaced-by"}
    await exporter.change("Immunization", doses[1], patient={"reference": f"Patient/{people[0]}"})
    await exporter.change("Patient", people[1], active=False, link=[link])
    body = parameters(patient=f"Patient/{people[1]}")
    assert await exporter.exported("Patient/$export", body=body) == {people[0], people[1], doses[0], doses[1]}


async def test_deletions_are_transaction_bundles_and_never_also_in_output(exporter, region):
    _, doses = region
    first = await exporter.export()
    await exporter.delete("Immunization", doses[0])
    second = await exporter.export(_since=first["transactionTime"])
    (deleted,) = await exporter.lines(second["deleted"])
    assert deleted == {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": f"Immunization/{doses[0]}"}}],
    }
    assert second["output"] == []
    third = await exporter.export(_since=second["transactionTime"])
    assert third["deleted"] == []


async def test_what_is_there_again_is_no_deletion(exporter, region):
    people, doses = region
    first = await exporter.export()
    await exporter.delete("Immunization", doses[0])
    again = dose(people[0], 0) | {"id": doses[0]}
    await exporter.send(BundleEntry("1", "PUT", f"Immunization/{doses[0]}", again))
    second = await exporter.export(_since=first["transactionTime"])
    assert [one["id"] for one in await exporter.lines(second["output"])] == [doses[0]]
    assert second["deleted"] == []


def provenance(name, *targets):
    return BundleEntry(
        name,
        "PUT",
        f"Provenance/{name}",
        {
            "resourceType": "Provenance",
            "id": name,
            "target": [{"reference": one} for one in targets],
            "recorded": "2024-05-01T00:00:00Z",
            "agent": [{"who": {"display": "Sari"}}],
        },
    )


@pytest.mark.parametrize(
    ("which", "expected"),
    [("LatestProvenanceResources", {"pv-3", "pv-2"}), ("RelevantProvenanceResources", {"pv-1", "pv-2", "pv-3"})],
)
async def test_provenance_comes_along_when_asked_for(exporter, region, which, expected):
    people, doses = region
    both = [f"Patient/{people[0]}/_history/1", f"Immunization/{doses[1]}"]
    for name, targets in (("pv-1", both[:1]), ("pv-2", both), ("pv-3", both[:1]), ("pv-4", [f"Patient/{people[2]}"])):
        await exporter.send(provenance(name, *targets))
    manifest = await exporter.export(f"Group/district-{BOBOTSARI}/$export", includeAssociatedData=which)
    found = await exporter.lines([one for one in manifest["output"] if one["type"] == "Provenance"])
    assert {one["id"] for one in found} == expected
    token = await exporter.token("system/Patient.rs")
    assert_is_problem(await exporter.kick_off(token=token, _type="Patient", includeAssociatedData=which), 403)


# Groups


async def test_groups_are_the_districts_and_the_clinics(exporter, region):
    bundle = (await exporter.get("Group")).json()
    assert validate(bundle) == ()
    found = {one["resource"]["id"]: one["resource"]["quantity"] for one in bundle["entry"]}
    assert found == {"clinic-pkm-1": 2, "clinic-rs-a": 1, f"district-{BOBOTSARI}": 2, f"district-{KUTASARI}": 1}
    read = (await exporter.get(f"Group/district-{BOBOTSARI}")).json()
    assert (read["name"], read["quantity"]) == (f"District Bobotsari ({BOBOTSARI})", 2)
    assert "member" not in read
    assert_is_problem(await exporter.get("Group/clinic-nobody"), 404)
    assert_is_problem(await exporter.kick_off("Group/clinic-nobody/$export"), 404)
    one = (await exporter.get("Group?_id=clinic-rs-a")).json()
    assert [entry["resource"]["id"] for entry in one["entry"]] == ["clinic-rs-a"]
    assert_is_problem(await exporter.get("Group", await exporter.token("system/Patient.rs")), 403)


async def test_a_search_of_groups_is_as_strict_as_any(exporter, region):
    assert_is_problem(await exporter.get("Group?name=x"), 400)
    lenient = (await exporter.get("Group?name=x", headers={"Prefer": "handling = Lenient"})).json()
    assert validate(lenient) == ()
    assert lenient["total"] == len(lenient["entry"]) - 1
    assert "name is not known" in lenient["entry"][-1]["resource"]["issue"][0]["diagnostics"]
    token = await exporter.token()
    refused = await exporter.served.ask("POST", "/north/fhir/Group/_search", token, content=b"{}")
    assert_is_problem(refused, 415)


async def test_a_group_export_holds_its_members_and_nobody_else(exporter, region):
    people, doses = region
    assert await exporter.exported(f"Group/district-{BOBOTSARI}/$export") == {*people[:2], *doses[:2]}
    assert await exporter.exported("Group/clinic-rs-a/$export") == {people[2], doses[2]}


@pytest.mark.parametrize("named", [False, True])
async def test_whoever_joined_since_comes_with_all_that_is_older(exporter, region, named):
    people, doses = region
    group = f"Group/district-{BOBOTSARI}/$export"
    first = await exporter.export(group)
    await exporter.change("Patient", people[2], address=person(3)["address"])
    body = parameters(patient=f"Patient/{people[2]}") if named else None
    assert await exporter.exported(group, body=body, _since=first["transactionTime"]) == {people[2], doses[2]}


async def test_a_clinics_new_person_comes_with_the_doses_of_others(exporter, region):
    people, doses = region
    first = await exporter.export("Group/clinic-rs-a/$export")
    (new,) = await exporter.fill(dose(people[0], 9, "rs-a"))
    found = await exporter.exported("Group/clinic-rs-a/$export", _since=first["transactionTime"])
    assert found == {people[0], doses[0], new}


async def test_whoever_moved_away_is_no_member_any_more(exporter, region):
    people, doses = region
    group = f"Group/district-{BOBOTSARI}/$export"
    await exporter.export(group)
    await exporter.change("Patient", people[0], address=person(1, KUTASARI)["address"])
    assert await exporter.exported(group) == {people[1], doses[1]}


async def test_a_group_is_told_of_its_own_deletions_only(exporter, region):
    _, doses = region
    first = await exporter.export("Group/clinic-pkm-1/$export")
    await exporter.delete("Immunization", doses[0])
    await exporter.delete("Immunization", doses[2])
    second = await exporter.export("Group/clinic-pkm-1/$export", _since=first["transactionTime"])
    deleted = [one["entry"][0]["request"]["url"] for one in await exporter.lines(second["deleted"])]
    assert deleted == [f"Immunization/{doses[0]}"]
