"""Who belongs to which group, brought up to date with what was written on the server since it was last looked at."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from fhir_gateway.domain.exports import Membership
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.flows.registry.ordered import Order, Placed, moments
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ports.exports import FhirHistory, GroupMembers, Stock, StoredResource
from fhir_gateway.registry.cursors import Position, position_of
from fhir_gateway.registry.groups import memberships_in

_TYPES = ("Patient", "Immunization")
"""Patients first: a replaced one keeps its groups, before its doses are seen to be the survivor's."""
_TOGETHER = 1000
_OF_STOCK = 250
_END = datetime.max.replace(tzinfo=UTC)


async def refresh_groups(
    tools: RegistryTools,
    members: GroupMembers,
    history: FhirHistory,
    *,
    until: datetime | None,
    stock: Stock | None = None,
) -> None:
    """Look at what was written up to `until` (None: to the end) since the last time; raises ServerError.

    Each batch is written down with the place where it ends: an interrupted look goes on there. `stock` is what the
    server keeps, where it runs inside of this process.
    """
    replaced: list[Resource] = []
    for resource_type in _TYPES:
        before = members.position(resource_type)
        if before is not None:
            await _note_deletions(members, history, resource_type, since=before[0], until=until)
        after = Position(*before) if before else None
        order = Order(resource_type, (), lambda _: True, until=until)
        found = batches(tools, order, after=after) if stock is None else _kept(stock, order, after=after)
        async for batch in found:
            resources = [resource for _, resource in batch]
            replaced += [one for one in resources if _successor(one)]
            last = batch[-1][0]
            _note(resources, members, last=(last.updated, last.id))
    position = members.position("Patient")
    if replaced and position is not None:  # once more, now that it is known in which groups the survivors are
        _note(replaced, members, last=position)


async def batches(
    tools: RegistryTools, order: Order, *, after: Position | None, size: int = _TOGETHER
) -> AsyncIterator[list[Placed]]:
    """Yield what stands behind `after` up to the order's end, about `size` resources at a time."""
    batch: list[Placed] = []
    async for placed in moments(tools.puller, order, start=after.updated if after else None, size=size):
        if order.until is not None and placed[0][0].updated > order.until:
            break
        batch += placed if len(placed) == 1 else sorted(placed, key=lambda one: one[0])
        if after is not None and batch[0][0] <= after:
            batch = [one for one in batch if one[0] > after]
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


async def _kept(stock: Stock, order: Order, *, after: Position | None) -> AsyncIterator[list[Placed]]:
    """Yield the same out of what a server keeps; few at a time, so that nobody who asks for something else waits long."""
    behind, until = after.updated if after else None, order.until or _END
    while rows := await stock.rows(order.resource_type, after=behind, until=until, limit=_OF_STOCK):
        yield await asyncio.to_thread(_read, rows)
        behind = rows[-1].updated


def _read(rows: Sequence[StoredResource]) -> list[Placed]:
    return [(Position(one.updated, one.id), json_text.parse(one.body)) for one in rows]


def _note(resources: Sequence[Resource], members: GroupMembers, *, last: tuple[datetime, str]) -> None:
    resource_type = resources[0]["resourceType"]
    found = [one for resource in resources for one in _memberships(resource, members)]
    members.note([f"{resource_type}/{one['id']}" for one in resources], found, resource_type=resource_type, last=last)


def _memberships(resource: Resource, members: GroupMembers) -> Sequence[Membership]:
    """Return what a resource says.

    A replaced Patient stays in the groups that it was in and comes into those of who stands for it, to be seen as
    replaced there.
    """
    found = list(memberships_in(resource))
    if successor := _successor(resource):
        own = {one.group for one in found}
        source, at = f"Patient/{resource['id']}", position_of(resource).updated
        kept = {*members.of_patient(resource["id"]), *members.of_patient(successor)} - own
        found += [Membership(source, group, resource["id"], at) for group in sorted(kept)]
    return found


def _successor(resource: Resource) -> str:
    return (next(replaced_by(resource), "") or "") if resource["resourceType"] == "Patient" else ""


async def _note_deletions(
    members: GroupMembers, history: FhirHistory, resource_type: str, *, since: datetime, until: datetime | None
) -> None:
    if not await history.is_kept(resource_type):
        return
    async for version in history.since(resource_type, since):
        if version.resource is None and (until is None or version.updated <= until):
            members.leave([f"{resource_type}/{version.id}"], at=version.updated)
