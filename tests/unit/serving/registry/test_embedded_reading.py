import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.domain.errors import ServerError
from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter
from fhir_gateway.serving.registry import embedded_reading
from fhir_gateway.serving.registry.embedded_reading import EmbeddedReader, nearest


class Region:
    """An embedded server with one Patient and three doses of theirs, read on both roads."""

    def __init__(self, server, client):
        self.client = client
        self.far = ServerReader(client)
        self.transport = EmbeddedTransport(server)
        self.near = nearest(self.far, self.transport)
        self._writer = ServerWriter(client, self.far)

    async def fill(self):
        self.patient = await self._create(sample_patient(1))
        self.doses = [await self._create(sample_immunization(f"Patient/{self.patient}", n)) for n in range(3)]

    async def _create(self, resource):
        value = resource["identifier"][-1]
        condition = f"identifier={value['system']}|{value['value']}"
        (outcome,) = await self._writer.send([BundleEntry("1", "POST", resource["resourceType"], resource, condition)])
        return outcome.resource_id

    async def both(self, resource_type, parameters):
        asked = self.client.requests
        near = [one async for one in self.near.search(resource_type, parameters)]
        requests = self.client.requests - asked
        return near, [one async for one in self.far.search(resource_type, parameters)], requests


@pytest.fixture
async def region(tmp_path):
    server = EmbeddedServer(tmp_path)
    async with FhirClient(FhirServerPolicy(BASE_URL), transport=EmbeddedTransport(server)) as client:
        region = Region(server, client)
        await region.fill()
        yield region
    server.close()


async def test_a_server_elsewhere_is_read_as_before(region):
    assert nearest(region.far, None) is region.far
    assert isinstance(region.near, EmbeddedReader)


async def test_both_roads_find_the_same_of_a_person(region):
    near, far, requests = await region.both("Immunization", {"patient": (region.patient,)})
    assert [one["id"] for one in near] == region.doses
    assert (near, requests) == (far, 0)


async def test_both_roads_find_the_same_by_id(region):
    ids = (*region.doses, "none", "a,b", region.doses[0])
    near, far, requests = await region.both("Immunization", {"_id": ids})
    assert sorted(one["id"] for one in near) == sorted(region.doses)
    assert (sorted(near, key=lambda one: one["id"]), requests) == (sorted(far, key=lambda one: one["id"]), 0)


async def test_nobody_is_found_where_nobody_is(region):
    assert await region.both("Immunization", {"patient": ("none",)}) == ([], [], 0)


async def test_more_than_a_page_is_left_to_the_other_road(region, monkeypatch):
    monkeypatch.setattr(embedded_reading, "_PAGE", 2)
    near, far, requests = await region.both("Immunization", {"patient": (region.patient,)})
    assert [one["id"] for one in near] == region.doses
    assert near == far
    assert requests > 0


async def test_a_refusal_is_told_as_on_the_other_road(region):
    with pytest.raises(ServerError):
        await region.both("Immunization", {"nothing-known": ("x",)})


async def test_one_is_read_as_on_the_other_road(region):
    asked = region.client.requests
    found = await region.near.read("Patient", region.patient)
    assert region.client.requests == asked
    assert found == await region.far.read("Patient", region.patient)
    assert await region.near.read("Patient", "none") is None
    assert await region.near.read("Patient", "../x") is None
