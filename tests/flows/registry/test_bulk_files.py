"""Bulk Data Access v2, status, manifest, files and their deletion."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tests.fakes.fhir_samples import NIK
from tests.flows.registry.exporting import Exporter

from fhir_gateway.domain.registry import PullKind
from fhir_gateway.fhir.validation import validate


async def test_a_running_export_tells_its_progress_and_when_to_ask_again(exporter, districts, monkeypatch):
    begun = asyncio.Event()

    async def stuck(*_):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("fhir_gateway.serving.exporting.working.export", stuck)
    answer = await exporter.kick_off()
    await begun.wait()
    running = await exporter.get(answer.headers["content-location"])
    assert running.status_code == 202
    assert 0 < len(running.headers["x-progress"]) < 100
    assert int(running.headers["retry-after"]) > 0


async def test_polling_too_fast_is_refused(exporter, districts):
    location = (await exporter.kick_off()).headers["content-location"]
    token = await exporter.token()
    answers = [await exporter.get(location, token) for _ in range(60)]
    refused = [one for one in answers if one.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


async def test_the_manifest_is_complete(exporter, districts):
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


async def test_files_are_ndjson_of_valid_resources_with_references_that_tell(exporter, districts):
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


async def test_files_are_packed_when_asked_for(exporter, districts):
    (file,) = (await exporter.export(_type="Patient"))["output"]
    token = await exporter.token()
    plain = await exporter.get(file["url"], token, headers={"Accept-Encoding": "identity"})
    async with exporter.served.client.stream(
        "GET", file["url"], headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(packed) == plain.content


async def test_status_and_files_are_only_for_the_client_that_asked(exporter, districts):
    answer = await exporter.kick_off()
    location = answer.headers["content-location"]
    file = (await exporter.manifest(location))["output"][0]
    other = Exporter(exporter.served)
    for url in (location, file["url"]):
        assert (await other.get(url)).status_code == 404
        assert (await exporter.served.client.get(url)).status_code == 401
    assert (await other.served.ask("DELETE", location, await other.token())).status_code == 404
    assert (await exporter.get(file["url"])).status_code == 200


async def test_a_file_needs_the_scope_of_its_type(exporter, districts):
    manifest = await exporter.export()
    token = await exporter.token("system/Patient.rs")
    found = {one["type"]: (await exporter.get(one["url"], token)).status_code for one in manifest["output"]}
    assert found == {"Patient": 200, "Immunization": 403}


async def test_files_on_disk_are_the_gateways_alone(exporter, districts):
    await exporter.export()
    folder = exporter.settings.folder / "exports"
    files = [folder, *folder.rglob("*")]
    assert {oct(one.stat().st_mode & 0o777) for one in files} == {"0o700", "0o600"}


async def test_after_delete_status_and_files_are_gone(exporter, districts):
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


async def test_an_export_is_one_pull_with_its_count_and_gives_versions_when_it_is_fetched(exporter, districts):
    _, doses = districts
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
