"""What a FHIR server remembers: deletions that say when they were, and those that do not."""

from datetime import UTC, datetime

import pytest
from tests.fakes.scripted_server import ScriptedServer, answer

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.reader import ServerReader

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
DELETED_AT = "2024-05-02T08:00:00.250+00:00"


def history(*entries):
    return {"resourceType": "Bundle", "type": "history", "entry": list(entries)}


def written(number, at="2024-05-01T08:00:00+00:00"):
    resource = {"resourceType": "Immunization", "id": f"d{number}", "meta": {"versionId": "1", "lastUpdated": at}}
    return {"resource": resource, "request": {"method": "POST", "url": "Immunization"}, "response": {"status": "201"}}


def deleted(number, **response):
    """A deletion as HAPI tells it: with the version's address, without the time."""
    request = {"method": "DELETE", "url": f"Immunization/d{number}/_history/2"}
    return {"request": request, "response": {"status": "200 OK", "etag": 'W/"2"', **response}}


def gone(words=f"Resource was deleted at {DELETED_AT}"):
    issue = {"severity": "error", "code": "processing", "diagnostics": words}
    return answer(410, {"resourceType": "OperationOutcome", "issue": [issue]})


async def versions(respond):
    server = ScriptedServer(respond)
    async with server.client() as client:
        told = ServerHistory(client, ServerReader(client)).since("Immunization", BEGINNING)
        return server, [(one.id, one.updated.isoformat(), one.resource is None) async for one in told]


def responding(bundle, on_version):
    return lambda request: on_version if "/_history/2" in request.url.path else answer(body=bundle)


async def test_a_deletion_that_says_when_it_was_is_believed():
    bundle = history(deleted(1, lastModified="2024-05-03T00:00:00Z"), written(1))
    server, told = await versions(responding(bundle, gone()))
    assert told == [("d1", "2024-05-03T00:00:00+00:00", True), ("d1", "2024-05-01T08:00:00+00:00", False)]
    assert len(server.requests) == 1


async def test_when_a_deletion_was_is_asked_for_where_the_history_does_not_tell():
    server, told = await versions(responding(history(deleted(1), written(1)), gone()))
    assert told[0] == ("d1", "2024-05-02T08:00:00.250000+00:00", True)
    assert server.asked()[1:] == ["GET /r4/Immunization/d1/_history/2"]


@pytest.mark.parametrize(
    "said",
    [gone("Resource is gone"), gone("deleted at noon"), answer(410), answer(404), answer(200, {"resourceType": "x"})],
    ids=["no time", "no instant", "no body", "missing", "there"],
)
async def test_a_deletion_that_nobody_dates_makes_the_history_untrusted(said):
    with pytest.raises(UntrustedAnswerError, match="does not say"):
        await versions(responding(history(deleted(1)), said))
