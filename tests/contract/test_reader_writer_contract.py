"""What the gateway's reader, writer and candidate finder promise, on real servers.

The embedded server always takes part; others do when FHIR_CONTRACT_BASE_URLS names their base URLs (comma-separated).
All data is invented and carries identifiers of its own for each run, so that a server may be used again.
"""

import asyncio
import os
import uuid
from dataclasses import dataclass

import httpx
import pytest

from fhir_gateway.candidates import ServerCandidates
from fhir_gateway.domain.identity import Probe
from fhir_gateway.domain.posting import BundleEntry, EntryKind
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport
from fhir_gateway.fhir_server.check import check_server
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter

SYSTEM = "urn:fhir-gateway:contract"
OTHERS = [url for url in os.environ.get("FHIR_CONTRACT_BASE_URLS", "").split(",") if url]


@dataclass(frozen=True)
class Server:
    client: FhirClient
    reader: ServerReader
    writer: ServerWriter
    run: str

    def create(self, number, **changes):
        value = f"{self.run}-{number}"
        resource = {
            "resourceType": "Patient",
            "identifier": [{"system": SYSTEM, "value": value}],
            "name": [{"text": "Invented Person", "family": "Person", "given": ["Invented"]}],
            "gender": "female",
            "birthDate": "2019-03-04",
            **changes,
        }
        return BundleEntry(value, "POST", "Patient", resource, if_none_exist=f"identifier={SYSTEM}|{value}")

    async def send(self, *entries):
        return list(await self.writer.send(entries))

    async def found(self, resource_type="Patient", **parameters):
        return [one async for one in self.reader.search(resource_type, parameters)]


@pytest.fixture(params=["embedded", *OTHERS])
async def server(request, tmp_path):
    policy = FhirServerPolicy(BASE_URL if request.param == "embedded" else request.param, batch_size=50)
    transport: httpx.AsyncBaseTransport | None = None
    embedded = None
    if request.param == "embedded":
        embedded = EmbeddedServer(tmp_path)
        transport = EmbeddedTransport(embedded)
    async with FhirClient(policy, transport=transport) as client:
        reader = ServerReader(client)
        yield Server(client, reader, ServerWriter(client, reader), uuid.uuid4().hex)
    if embedded is not None:
        embedded.close()


async def test_the_check_finds_a_usable_server(server):
    await server.send(server.create(1))
    check = await check_server(server.client)
    assert (check.reached, check.authorised, check.problem) == (True, True, "")
    assert check.fhir_version.startswith("4.0.")
    assert {proof.parameter for proof in check.searches if proof.works} >= {"identifier", "birthdate", "patient"}


async def test_creates_happen_once_however_often_they_are_sent(server):
    first = await server.send(*(server.create(number) for number in range(120)))
    again = await server.send(*(server.create(number) for number in range(120)))
    assert {one.kind for one in first} == {EntryKind.CREATED}
    assert {one.kind for one in again} == {EntryKind.EXISTED}
    assert [one.resource_id for one in first] == [one.resource_id for one in again]
    assert len({one.resource_id for one in first}) == 120


async def test_the_same_create_from_many_sides_makes_one(server):
    several = await asyncio.gather(*(server.send(server.create(1)) for _ in range(20)))
    assert len({one.resource_id for (one,) in several}) == 1
    assert len(await server.found(identifier=[f"{SYSTEM}|{server.run}-1"])) == 1


async def test_every_page_of_a_search_is_read(server):
    numbers = range(730)
    outcomes = await server.send(*(server.create(number) for number in numbers))
    found = await server.found(identifier=[f"{SYSTEM}|{server.run}-{number}" for number in numbers])
    assert {one["id"] for one in found} == {one.resource_id for one in outcomes}
    assert len(found) == len(numbers)


async def test_nobody_is_found_by_what_nobody_carries(server):
    await server.send(server.create(1))
    assert await server.found(identifier=[f"{SYSTEM}|{uuid.uuid4().hex}"]) == []
    assert await server.reader.read("Patient", "there-is-none-of-this") is None


async def test_a_stale_version_is_told_as_changed_meanwhile(server):
    (made,) = await server.send(server.create(1))
    patient = await server.reader.read("Patient", made.resource_id)
    url = f"Patient/{made.resource_id}"
    changed = {**patient, "gender": "male"}
    (good,) = await server.send(BundleEntry("a", "PUT", url, changed, if_match=patient["meta"]["versionId"]))
    (late,) = await server.send(BundleEntry("b", "PUT", url, patient, if_match=patient["meta"]["versionId"]))
    assert (good.kind, late.kind) == (EntryKind.UPDATED, EntryKind.CHANGED_MEANWHILE)
    assert (await server.reader.read("Patient", made.resource_id))["gender"] == "male"


async def test_a_poisoned_entry_costs_only_itself(server):
    poisoned = server.create("poison", birthDate="not a date")
    outcomes = await server.send(server.create(1), poisoned, server.create(2))
    assert (outcomes[0].kind, outcomes[2].kind) == (EntryKind.CREATED, EntryKind.CREATED)
    if outcomes[1].kind is not EntryKind.CREATED:  # Medplum's memory repository takes whatever comes
        assert outcomes[1].kind is EntryKind.REFUSED
        assert outcomes[1].message


async def test_doses_are_found_by_their_patient(server):
    (made,) = await server.send(server.create(1))
    dose = {
        "resourceType": "Immunization",
        "identifier": [{"system": SYSTEM, "value": f"{server.run}-dose"}],
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "19"}]},
        "patient": {"reference": f"Patient/{made.resource_id}"},
        "occurrenceDateTime": "2019-04-05",
        "doseQuantity": {"value": 0.5, "unit": "mL"},
    }
    condition = f"identifier={SYSTEM}|{server.run}-dose"
    (kept,) = await server.send(BundleEntry("dose", "POST", "Immunization", dose, if_none_exist=condition))
    assert kept.kind is EntryKind.CREATED
    assert [one["id"] for one in await server.found("Immunization", patient=[made.resource_id])] == [kept.resource_id]


async def test_candidates_are_found_by_identifier_and_after_a_write_anew(server):
    candidates = ServerCandidates(server.reader)
    probe = Probe(1, identifiers=((SYSTEM, f"{server.run}-1"),))
    assert (await candidates.find([probe])).found == {1: ()}
    (made,) = await server.send(server.create(1))
    candidates.forget([{**server.create(1).resource, "id": made.resource_id}])
    assert (await candidates.find([probe])).found == {1: (made.resource_id,)}


async def test_candidates_are_found_by_birth_date_and_gender(server):
    day = "1903-02-01"
    outcomes = await server.send(*(server.create(number, birthDate=day) for number in range(3)))
    found = await ServerCandidates(server.reader).find([Probe(1, birth_dates=(day,), gender="female")])
    assert set(found.found[1]) >= {one.resource_id for one in outcomes}
