"""A registry's side of an environment: the embedded server with invented people, doses and an organization."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from tests.fakes.fhir_samples import LOCAL, NIK, sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller
from tests.fakes.served_gateway import served_from, two_regions
from tests.flows.registry.exporting import KUTASARI, Exporter, dose, person

from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter
from fhir_gateway.flows.registry.searching import search
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.registry.parameters import SEARCHES, parse_search


class FixedClock:
    def now(self):
        return datetime(2024, 5, 1, tzinfo=UTC)


@dataclass
class Region:
    """`people` and `doses` are ids in the order of their making."""

    tools: RegistryTools
    writer: ServerWriter

    async def create(self, resource):
        value = resource["identifier"][-1]
        condition = f"identifier={value['system']}|{value['value']}"
        outcome = (await self.writer.send([BundleEntry("1", "POST", resource["resourceType"], resource, condition)]))[0]
        assert outcome.resource_id, outcome
        return outcome.resource_id

    async def put(self, resource):
        stored = await self.tools.reader.read(resource["resourceType"], resource["id"])
        entry = BundleEntry(
            "1", "PUT", f"{resource['resourceType']}/{resource['id']}", resource, if_match=stored["meta"]["versionId"]
        )
        outcome = (await self.writer.send([entry]))[0]
        assert outcome.kind == "updated", outcome

    async def patient(self, number, /, **changes):
        return await self.create(sample_patient(number) | changes)

    async def dose(self, patient, number, /, **changes):
        return await self.create(sample_immunization(f"Patient/{patient}", number) | changes)

    async def replace(self, replaced, survivor):
        patient = await self.tools.reader.read("Patient", replaced)
        link = {"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}
        await self.put(patient | {"active": False, "link": [link]})

    async def search(self, resource_type="Immunization", /, after=None, **parameters):
        pairs = [
            (name.replace("__", "."), one)
            for name, value in parameters.items()
            for one in (value if isinstance(value, list) else [value])
        ]
        asked = parse_search(resource_type, pairs, served=SEARCHES[resource_type])
        return await search(asked, self.tools, after=after)


@pytest.fixture
async def region(tmp_path):
    server = EmbeddedServer(tmp_path)
    async with FhirClient(FhirServerPolicy(BASE_URL), transport=EmbeddedTransport(server)) as client:
        reader = ServerReader(client)
        yield Region(RegistryTools(reader, ServerPuller(client), FixedClock()), ServerWriter(client, reader))
    server.close()


@pytest.fixture
async def served(tmp_path):
    """The whole application over the environments north and south."""
    async with served_from(two_regions(tmp_path)) as served:
        yield served


@pytest.fixture
def registry(served):
    """A client of the environment north."""
    return Puller(served)


@pytest.fixture
def nik():
    return lambda number: sample_patient(number)["identifier"][0]["value"]


__all__ = ["LOCAL", "NIK"]


@pytest.fixture
def exporter(served):
    return Exporter(served)


@pytest.fixture
async def districts(exporter):
    """Two people of Bobotsari, one of Kutasari, each with a dose; the last one from another clinic."""
    people = await exporter.fill(person(1), person(2), person(3, KUTASARI))
    clinics = ("pkm-1", "pkm-1", "rs-a")
    doses = await exporter.fill(*(dose(one, n, clinics[n]) for n, one in enumerate(people)))
    return people, doses
