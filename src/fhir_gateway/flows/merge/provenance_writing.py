"""Writes the Provenance of merges so that a repeat after any interruption never makes a second one."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.merges import ChangeState, JournalledChange, Merge
from fhir_gateway.domain.posting import BundleEntry, EntryKind
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.request_shares import RequestShares
from fhir_gateway.flows.merge.sending import Settled, Write, send_all
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.elements import objects

_PROVENANCES = UUID("0b1f4a53-6f0e-4a3e-8f3c-7f6a3c1f9d27")
"""Namespace of the ids under which Provenance is written."""


def journalled_provenance(merge: Merge, own: JournalledChange, content: Resource, tools: MergeTools) -> Write:
    """Write down what will be sent, under an id that a repeat has as well, and return it to be sent."""
    name = f"{merge.begun.isoformat()} {merge.survivor} {' '.join(merge.replaced)} {own.number}"
    own_id = str(uuid5(_PROVENANCES, name))
    meta = {"tag": [{"system": systems.PROVENANCE, "code": own_id}]}
    after = {**content, "id": own_id, "meta": meta}
    change = replace(own, resource=f"Provenance/{own_id}", after=after, state=ChangeState.PLANNED, message="")
    with tools.ledger.transaction():
        tools.journal.replace(merge.id, [change])
    return Write(merge.id, change, change.after, "")


async def write_provenance(writes: Sequence[Write], tools: MergeTools, shares: RequestShares) -> None:
    """Put each Provenance under its own id; where a server takes no ids from clients it is created, if it is not there.

    Raises TransientServerError where the server has gone.
    """
    settled = await send_all(writes, _gone, tools, shares, done=ChangeState.DONE)
    refused = [one for one in settled if one.change.state is ChangeState.FAILED]
    created = [await _created(one, tools) for one in refused]
    if not created:
        return
    requests = shares.since_last({one.merge: 1 for one in created})
    with tools.ledger.transaction():
        for one in created:
            tools.journal.settle(one.merge, [one.change], requests=requests[one.merge])


def _gone(write: Write, current: Resource | None) -> Settled:
    """Nothing is expected to stand there: an entry without a version cannot be overtaken."""
    del current
    return Settled(write.merge, replace(write.change, state=ChangeState.FAILED, message="refused as changed meanwhile"))


async def _created(refused: Settled, tools: MergeTools) -> Settled:
    """Create what could not be put under its own id; one that an interrupted command created is written anew."""
    content = {name: value for name, value in refused.change.after.items() if name != "id"}
    tag = f"{systems.PROVENANCE}|{refused.change.after['id']}"
    entry = BundleEntry("provenance", "POST", "Provenance", content, f"_tag={tag}")
    try:
        async for existing in tools.reader.search("Provenance", {"_tag": [tag]}):
            if _has_tag(existing, tag):
                name = f"Provenance/{existing['id']}"
                entry = BundleEntry("provenance", "PUT", name, {**content, "id": existing["id"]})
    except PermanentServerError:
        return refused  # nobody knows whether there is one already
    (outcome,) = await tools.writer.send([entry])
    if outcome.kind in {EntryKind.CREATED, EntryKind.EXISTED, EntryKind.UPDATED}:
        return _done(refused, outcome.resource_id or entry.url.partition("/")[2])
    return refused


def _has_tag(resource: Resource, tag: str) -> bool:
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return any(f"{one.get('system')}|{one.get('code')}" == tag for one in objects(tags))


def _done(refused: Settled, resource_id: str) -> Settled:
    change = replace(refused.change, resource=f"Provenance/{resource_id}", state=ChangeState.DONE, message="")
    return Settled(refused.merge, change)
