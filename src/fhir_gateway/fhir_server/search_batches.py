"""Searches as the entries of one batch: what they say of people stands in a body, and many cost one request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.bundles import parse_answer
from fhir_gateway.fhir_server.client import Answer, FhirClient, Request
from fhir_gateway.fhir_server.headers import STRICT
from fhir_gateway.fhir_server.verdicts import Verdict

SEARCHES_A_BATCH = 25


@dataclass(frozen=True, slots=True)
class BatchedAnswers:
    """What was said of a batch of searches: `entries` are their own answers in their order.

    Where the server answered the batch otherwise, there are none, and `whole` is what it said; its status is never a
    success then.
    """

    whole: Answer
    entries: tuple[Answer, ...] = ()


async def ask_in_batch(client: FhirClient, targets: Sequence[str]) -> BatchedAnswers:
    """Ask the searches `targets` (`Type?query`, encoded) as one batch; raises as FhirClient.send() does."""
    entries = [{"request": {"method": "GET", "url": target}} for target in targets]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    whole = await client.send(Request("POST", "", content=json_text.dump(bundle), headers=STRICT))
    said = whole.body.get("entry") if isinstance(whole.body, dict) else None
    if whole.verdict is not Verdict.SUCCESS:
        return BatchedAnswers(whole)
    if not isinstance(said, list) or len(said) != len(targets):
        return BatchedAnswers(replace(whole, status=501))
    parsed = [parse_answer(entry) for entry in said]
    return BatchedAnswers(whole, tuple(Answer(one.status or 501, whole.headers, one.resource) for one in parsed))
