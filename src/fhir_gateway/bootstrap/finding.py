"""Finding duplicates in one environment: what `merge find` and the server's API call; both go the same road."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fhir_gateway.bootstrap.collecting import few_collections
from fhir_gateway.bootstrap.finding_workers import Workers
from fhir_gateway.bootstrap.gateway import Gateway
from fhir_gateway.bootstrap.merging import BatchedReader
from fhir_gateway.bootstrap.told_merges import told_group, waterfalls
from fhir_gateway.domain.finding import Finding, Found, FoundKind
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.flows.merge.finding import FindRequest, FindTools
from fhir_gateway.flows.merge.finding import find as find_road
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger.finding_store import finding_store
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Progress
from fhir_gateway.ports.finding import FindingStore, SecondOpinion
from fhir_gateway.second_opinion.splink import SplinkOpinion
from fhir_gateway.settings import Environment

__all__ = ["FindRequest", "duplicates", "find", "find_tools", "splink_opinion", "told_found", "waterfall", "why"]


async def find(  # noqa: PLR0913 - what an environment is made of
    request: FindRequest,
    client: FhirClient,
    ledger: Ledger,
    environment: Environment,
    *,
    progress: Progress,
    second: SecondOpinion | None = None,
) -> Finding:
    """Find duplicates on an environment's server, over a client that is connected; nothing is written.

    For whoever has an event loop: long stretches of work run in a thread, the ledger is asked in the caller's. Raises a
    ServerError where the server has gone or cannot be read, LedgerError where there is no room beside the ledger.
    """
    with finding_store(environment.folder) as store:
        async with Workers() as workers:
            tools = find_tools(client, ledger, environment, store=store, progress=progress)
            return await find_road(request, replace(tools, second=second, workers=workers))


def find_tools(
    client: FhirClient, ledger: Ledger, environment: Environment, *, store: FindingStore, progress: Progress
) -> FindTools:
    """Build what the finding road works with, over a client that is connected."""
    return FindTools(
        ledger=ledger,
        reader=BatchedReader(client),
        puller=ServerPuller(client),
        store=store,
        progress=progress,
        matching=environment.matching,
        masked=environment.fhir_server.masked_identifiers,
    )


def duplicates(gateway: Gateway, request: FindRequest, *, second_opinion: bool = False) -> Finding:
    """Find duplicates on a command's environment; raises UsageError where a second opinion is not to be had."""
    second = splink_opinion() if second_opinion else None

    async def act(client: FhirClient) -> Finding:
        return await find(request, client, gateway.ledger, gateway.environment, progress=gateway.display, second=second)

    with few_collections():
        return gateway.connect(act)


def splink_opinion() -> SecondOpinion:
    """Return Splink as a second opinion; raises UsageError where the extra is not installed."""
    return SplinkOpinion()


def told_found(found: Found, policy: MatchingPolicy) -> dict[str, Any]:
    """Return a group as plain values: who, why bit by bit, and what speaks against it. Names and numbers in full."""
    return {
        "kind": found.kind,
        **told_group(found.group, policy),
        "evidence": [
            {"pair": [pair.left, pair.right], "words": [_plain(line) for line in lines]}
            for pair, lines in waterfalls(found.group, policy)
        ],
        "weight": round(found.weight, 2),
        "why": why(found),
        "people": [
            {"id": one.id, "name": one.name, "birth_date": one.birth_date, "gender": one.gender}
            for one in found.patients
        ],
        "second_opinion": found.second_opinion,
        "run": found.run or None,
        "reason": found.reason,
    }


def why(found: Found) -> str:
    """Return in a line, without a patient's data, what speaks against a group, or what brings it together."""
    against = dict.fromkeys(conflict.text for conflict in found.group.conflicts)
    if against and found.kind is not FoundKind.LIKELY:
        return "; ".join(against)
    weakest = min(found.group.pairs, key=lambda pair: pair.comparison.weight, default=None)
    words = [one.words for one in weakest.comparison.evidence] if weakest else []
    return ", ".join([*against, *words, *([f"run {found.run}: {found.reason}"] if found.run else [])])


def waterfall(found: Found, policy: MatchingPolicy) -> Iterator[str]:
    """Yield the evidence of a group's pairs, line by line."""
    for pair, lines in waterfalls(found.group, policy):
        yield f"{pair.left} and {pair.right}:"
        yield from (f"  {_plain(line)}" for line in lines)
    if found.run:
        yield f"proposed by run {found.run}: {found.reason}"


def _plain(line: str) -> str:
    """Return a line of a waterfall; the verdict is a grade alone, as what a load would do of it is not done here."""
    return line.partition(":")[0] if line.lstrip().startswith("\N{RIGHTWARDS ARROW}") else line
