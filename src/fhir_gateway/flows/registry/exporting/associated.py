"""The step that brings along who has written what is exported, and why (includeAssociatedData)."""

import asyncio
from collections.abc import Sequence

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import parse_literal
from fhir_gateway.flows.registry.exporting.tools import Work
from fhir_gateway.flows.registry.exporting.writing import write_resources
from fhir_gateway.flows.registry.grouping import batches
from fhir_gateway.flows.registry.ordered import Order
from fhir_gateway.registry.exports import Associated


async def write_provenance(work: Work, resource_type: str) -> None:
    """Export the Provenance of what stands in the output: all of it, or for each resource the newest one."""
    latest = work.order.provenance is Associated.LATEST
    order = Order(resource_type, (), lambda _: True, newest_first=True)
    told: set[str] = set()
    async for batch in batches(work.tools.server, order, after=None, size=work.tools.page):
        found = [one for position, one in batch if position.updated <= work.moment]
        exported = await asyncio.to_thread(_exported, work, found)
        kept = []
        for one in found:
            named = (_targets(one) & exported) - (told if latest else set())
            if named:
                kept.append(one)
                told |= named if latest else set()
        await write_resources(work, resource_type, kept)


def _exported(work: Work, provenance: Sequence[Resource]) -> set[str]:
    """Return which targets (`Type/id`) stand in the output."""
    by_type: dict[str, set[str]] = {}
    for target in {target for one in provenance for target in _targets(one)}:
        resource_type, _, resource_id = target.partition("/")
        by_type.setdefault(resource_type, set()).add(resource_id)
    written = work.tools.files.written_of
    return {f"{one}/{found}" for one, ids in by_type.items() for found in written(one, frozenset(ids))}


def _targets(provenance: Resource) -> set[str]:
    targets = provenance.get("target")
    texts = [one.get("reference") for one in targets if isinstance(one, dict)] if isinstance(targets, list) else []
    literals = [parse_literal(text) for text in texts if isinstance(text, str)]
    return {one.relative for one in literals if one is not None}
