"""The gateway's own client on other people's servers and its own: the same questions get the same answers everywhere."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.real_server.messages import PERSON, immunization, patient
from tests.real_server.servers import RunningServer

from fhir_gateway.domain.posting import BundleEntry, EntryKind
from fhir_gateway.fhir_server.check import check_server
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter

pytestmark = pytest.mark.real_server

PATIENT = 300
"""Seconds for a request: what only takes long is no fault here."""


@dataclass(frozen=True, slots=True)
class Gateway:
    client: FhirClient
    reader: ServerReader
    writer: ServerWriter

    async def find(self, resource_type: str, **parameters: str | list[str]) -> list[dict]:
        asked = {name: [one] if isinstance(one, str) else one for name, one in parameters.items()}
        return [resource async for resource in self.reader.search(resource_type, asked)]


def gateway_to(base_url: str, **policy) -> Gateway:
    client = FhirClient(FhirServerPolicy(base_url=base_url, timeout=PATIENT, **policy))
    reader = ServerReader(client)
    return Gateway(client, reader, ServerWriter(client, reader))


@pytest.fixture
async def gateway(every_server: str) -> AsyncIterator[Gateway]:
    gateway = gateway_to(every_server)
    async with gateway.client:
        yield gateway


@pytest.fixture
async def lenient(hapi: str) -> AsyncIterator[Gateway]:
    gateway = gateway_to(hapi)
    async with gateway.client:
        yield gateway


@pytest.fixture
def value(request: pytest.FixtureRequest) -> str:
    return "client-" + request.node.name.replace("[", "-").replace("]", "")


def create(resource: dict) -> BundleEntry:
    value = resource["identifier"][0]["value"]
    return BundleEntry(
        key=value,
        method="POST",
        url=resource["resourceType"],
        resource=resource,
        if_none_exist=f"identifier={PERSON}|{value}",
    )


def update(resource: dict, *, version: str) -> BundleEntry:
    return BundleEntry(
        key=resource["id"],
        method="PUT",
        url=f"{resource['resourceType']}/{resource['id']}",
        resource=resource,
        if_match=version,
    )


async def test_the_server_can_be_used(gateway):
    found = await check_server(gateway.client)
    assert (found.reached, found.authorised, found.fhir_version, found.problem) == (True, True, "4.0.1", "")
    assert {proof.parameter for proof in found.searches if not proof.works} == set()


async def test_what_was_created_exists_when_it_is_sent_again(gateway, value):
    entries = [create(patient(f"{value}-{number}")) for number in range(250)]
    first = await gateway.writer.send(entries)
    second = await gateway.writer.send(entries)
    assert {outcome.kind for outcome in first} == {EntryKind.CREATED}
    assert {outcome.kind for outcome in second} == {EntryKind.EXISTED}
    assert [outcome.resource_id for outcome in first] == [outcome.resource_id for outcome in second]
    assert len({outcome.resource_id for outcome in first}) == 250


async def test_an_outcome_names_what_can_be_read_and_updated(gateway, value):
    [created] = await gateway.writer.send([create(patient(value))])
    stored = await gateway.reader.read("Patient", created.resource_id)
    assert stored is not None
    assert stored["meta"]["versionId"] == created.version_id
    [updated] = await gateway.writer.send([update({**stored, "gender": "male"}, version=created.version_id)])
    assert updated.kind is EntryKind.UPDATED
    assert updated.version_id not in {"", created.version_id}


async def test_what_changed_meanwhile_is_not_overwritten(gateway, value):
    [created] = await gateway.writer.send([create(patient(value))])
    stored = await gateway.reader.read("Patient", created.resource_id)
    await gateway.writer.send([update({**stored, "gender": "male"}, version=created.version_id)])
    [stale] = await gateway.writer.send([update({**stored, "gender": "other"}, version=created.version_id)])
    assert stale.kind is EntryKind.CHANGED_MEANWHILE
    assert (await gateway.reader.read("Patient", created.resource_id))["gender"] == "male"


async def test_the_same_create_from_many_callers_makes_one(gateway, value):
    outcomes = await asyncio.gather(*(gateway.writer.send([create(patient(value))]) for _ in range(12)))
    assert len({outcome.resource_id for [outcome] in outcomes}) == 1
    assert {outcome.kind for [outcome] in outcomes} == {EntryKind.CREATED, EntryKind.EXISTED}
    assert len(await gateway.find("Patient", identifier=f"{PERSON}|{value}")) == 1


async def test_two_gateways_that_create_the_same_people_make_each_once(gateway, value, every_server):
    other = gateway_to(every_server)
    entries = [create(patient(f"{value}-{number}")) for number in range(200)]
    async with other.client:
        ours, theirs = await asyncio.gather(gateway.writer.send(entries), other.writer.send(entries))
    kinds = {outcome.kind for outcome in (*ours, *theirs)}
    assert kinds <= {EntryKind.CREATED, EntryKind.EXISTED}
    assert [outcome.resource_id for outcome in ours] == [outcome.resource_id for outcome in theirs]


async def test_all_pages_of_a_search_are_read(gateway, value):
    people = [create(patient(f"{value}-{number}", birthDate="1941-05-06")) for number in range(450)]
    created = await gateway.writer.send(people)
    found = await gateway.find("Patient", birthdate="1941-05-06")
    assert {one["id"] for one in found} == {outcome.resource_id for outcome in created}


async def test_a_thousand_identifiers_are_looked_up(gateway, value):
    created = await gateway.writer.send([create(patient(f"{value}-{number}")) for number in range(30)])
    wanted = [f"{PERSON}|{value}-{number}" for number in range(1000)]
    found = await gateway.find("Patient", identifier=wanted)
    assert {one["id"] for one in found} == {outcome.resource_id for outcome in created}


async def test_several_birth_dates_are_searched_at_once(gateway, value):
    days = ["1942-01-01", "1942-07-01", "1942-12-31"]
    people = [create(patient(f"{value}-{day}", birthDate=day, gender="male")) for day in days]
    created = await gateway.writer.send(people)
    found = await gateway.find("Patient", birthdate=days[:2], gender=["male", "other", "unknown"])
    again = await gateway.find("Patient", birthdate=days[1:], gender=["male", "other", "unknown"])
    ids = [outcome.resource_id for outcome in created]
    assert ({one["id"] for one in found}, {one["id"] for one in again}) == (set(ids[:2]), set(ids[1:]))


async def test_a_value_with_a_comma_is_no_list(gateway, value):
    odd = f"{value},{PERSON}|{value}-other"
    created = await gateway.writer.send([create(patient(f"{value}-other")), create(patient(value))])
    assert {outcome.kind for outcome in created} == {EntryKind.CREATED}
    assert await gateway.find("Patient", identifier=f"{PERSON}|{odd}") == []


@pytest.mark.parametrize("bundle_type", ["batch", "transaction"])
async def test_doses_are_created_corrected_and_found_by_their_patient(every_server, bundle_type, value):
    gateway = gateway_to(every_server, bundle_type=bundle_type)
    async with gateway.client:
        [person] = await gateway.writer.send([create(patient(value))])
        identifiers = [[{"system": PERSON, "value": f"{value}-{number}"}] for number in range(3)]
        doses = [create(immunization(person.resource_id, identifier=one)) for one in identifiers]
        created = await gateway.writer.send(doses)
        assert {outcome.kind for outcome in created} == {EntryKind.CREATED}
        found = await gateway.find("Immunization", patient=f"Patient/{person.resource_id}")
        assert {one["id"] for one in found} == {outcome.resource_id for outcome in created}
        corrections = [update({**one, "lotNumber": "B7"}, version=one["meta"]["versionId"]) for one in found]
        assert {outcome.kind for outcome in await gateway.writer.send(corrections)} == {EntryKind.UPDATED}
        again = await gateway.find("Immunization", patient=f"Patient/{person.resource_id}")
        assert [one["lotNumber"] for one in again] == ["B7"] * 3


async def test_nobody_is_read_where_nobody_is(gateway):
    assert await gateway.reader.read("Patient", "nobody-at-all") is None


@pytest.mark.parametrize("server", ["embedded", "hapi", "hapi_validating"])
@pytest.mark.parametrize("bundle_type", ["batch", "transaction", "auto"])
async def test_a_poisoned_entry_costs_only_itself(server, bundle_type, value, request):
    gateway = gateway_to(request.getfixturevalue(server), bundle_type=bundle_type)
    entries = [create(patient(f"{value}-{number}")) for number in range(40)]
    entries[17] = create({**patient(f"{value}-poison"), "gender": "perempuan"})
    async with gateway.client:
        outcomes = await gateway.writer.send(entries)
    assert [outcome.key for outcome in outcomes if outcome.kind is not EntryKind.CREATED] == [f"{value}-poison"]
    assert outcomes[17].kind is EntryKind.REFUSED
    assert outcomes[17].message


async def test_a_dose_of_nobody_is_refused_with_a_reason(lenient, value):
    dose = immunization("nobody-at-all", identifier=[{"system": PERSON, "value": value}])
    [outcome] = await lenient.writer.send([create(dose)])
    assert outcome.kind is EntryKind.REFUSED
    assert outcome.status in {400, 404, 409, 422}
    assert outcome.message


async def test_a_load_goes_on_when_the_server_comes_back(killable_hapi: RunningServer, value):
    waits = []
    client = FhirClient(
        FhirServerPolicy(base_url=killable_hapi.base_url, wait_for_server=1200, timeout=PATIENT), on_wait=waits.append
    )
    reader = ServerReader(client)
    writer = ServerWriter(client, reader)
    async with client:
        [first] = await writer.send([create(patient(f"{value}-first"))])
        killable_hapi.kill()
        sending = asyncio.create_task(writer.send([create(patient(f"{value}-{number}")) for number in range(150)]))
        await asyncio.to_thread(killable_hapi.start)
        outcomes = await sending
        assert {outcome.kind for outcome in outcomes} <= {EntryKind.CREATED, EntryKind.EXISTED}
        assert len({outcome.resource_id for outcome in outcomes}) == 150
        assert await reader.read("Patient", first.resource_id) is not None
    assert waits
