"""Many searches in few requests."""

from tests.fakes.scripted_server import ScriptedServer, answer, searchset

from fhir_gateway.domain.searches import Search
from fhir_gateway.fhir_server.batched_reads import BatchedReads
from fhir_gateway.fhir_server.reader import ServerReader


async def test_nothing_to_ask_is_not_asked_and_says_nothing_of_batches():
    def handler(request):
        assert request.method == "POST"
        entry = {"response": {"status": "200"}, "resource": searchset()}
        return answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": [entry] * 2})

    server = ScriptedServer(handler)
    async with server.client() as client:
        reads = BatchedReads(client, ServerReader(client))
        assert await reads.search_together([]) == []
        assert server.requests == []
        two = [Search("Observation", {"subject": [f"Patient/{number}"]}) for number in (1, 2)]
        assert [found.problem for found in await reads.search_together(two)] == ["", ""]
    assert len(server.requests) == 1
