"""The steps that read what the server remembers: what has changed behind the export's back, and what was deleted."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.registry.exporting.tools import ExportTools, Work, person_in
from fhir_gateway.flows.registry.exporting.walking import people_of, wanted
from fhir_gateway.flows.registry.exporting.writing import write_deletion, write_resources
from fhir_gateway.ports.exports import FhirHistory, PastVersion
from fhir_gateway.registry.cursors import position_of
from fhir_gateway.registry.groups import groups_of

_TOGETHER = 500
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_A_WHILE = timedelta(minutes=1)


async def transaction_time(types: Sequence[str], tools: ExportTools) -> datetime:
    """Return the moment up to which everything is exported: nothing that bears an earlier stamp is still on its way.

    On the embedded server stamps follow the order of commits over all types, so it is the newest stamp that there is;
    elsewhere it is as long ago as the server may need (`settling`).
    """
    if (settled := tools.server.settled_until()) is not None:
        return settled
    newest = [await _newest(one, tools) for one in types]
    return max((one for one in newest if one is not None), default=tools.server.clock.now() - _A_WHILE)


async def write_overtaken(work: Work, resource_type: str) -> None:
    """Export as they were at the transaction time what was changed or deleted while the export walked past."""
    history = work.tools.history
    if not await history.is_kept(resource_type):
        return
    created: dict[str, bool] = {}
    async for version in history.since(resource_type, work.moment):
        if version.updated > work.moment:
            created[version.id] = version.created  # the oldest one comes last
    older = sorted(one for one, new in created.items() if not new)
    for n in range(0, len(older), _TOGETHER):
        chosen = frozenset(older[n : n + _TOGETHER])
        missed = sorted(chosen - work.tools.files.written_of(resource_type, chosen))
        found = [one for each in missed if (one := await _then(work, history, resource_type, each)) is not None]
        await write_resources(work, resource_type, await _wanted_then(work, found))


async def write_deletions(work: Work, resource_type: str) -> None:
    """Tell what was deleted since `_since` and was not there again at the transaction time."""
    history, since = work.tools.history, work.order.since
    assert since is not None  # noqa: S101 - the step is for exports since a time
    if not await history.is_kept(resource_type):
        return
    seen: set[str] = set()
    async for version in history.since(resource_type, since):
        if version.resource is not None or version.id in seen or not work.is_in_time(version.updated):
            continue
        seen.add(version.id)
        versions = [one for one in await history.of(resource_type, version.id) if one.updated <= work.moment]
        if versions and versions[0].resource is None and await _was_asked_for(work, versions):
            write_deletion(work, resource_type, version.id)


async def _newest(resource_type: str, tools: ExportTools) -> datetime | None:
    pairs = [("_sort", "-_lastUpdated"), ("_count", "1"), ("_total", "none")]
    page = await tools.server.puller.page(resource_type, pairs)
    newest = position_of(page.resources[0]).updated if page.resources else None
    if await tools.history.is_kept(resource_type):
        async for version in tools.history.since(resource_type, newest or _BEGINNING):
            return max(version.updated, newest or version.updated)
    return newest


async def _then(work: Work, history: FhirHistory, resource_type: str, resource_id: str) -> Resource | None:
    """Return a resource as it was at the transaction time, None where it was not there."""
    versions = await history.of(resource_type, resource_id)
    return next((one.resource for one in versions if one.updated <= work.moment), None)


async def _wanted_then(work: Work, resources: Sequence[Resource]) -> Sequence[Resource]:
    kept = [one for one in resources if work.is_asked_for(one)]
    if work.order.patients:
        people = await people_of(work)
        kept = [one for one in kept if person_in(one) in people or not person_in(one)]
    return wanted(work, kept)


async def _was_asked_for(work: Work, versions: Sequence[PastVersion]) -> bool:
    """Say whether a deleted resource was about somebody whom the export is about."""
    last = next((one.resource for one in versions if one.resource is not None), None)
    if last is None or not person_in(last):
        return True
    person = person_in(last)
    if work.order.patients and person not in await people_of(work):
        return False
    if not work.is_personal(last["resourceType"]):
        return True
    return work.order.group in groups_of(last) or bool(work.tools.groups.ever_among(work.order.group, [person]))
