"""Finds out whether a server heeds If-Match: in a batch, in a request of its own, or not at all."""

import logging

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.domain.posting import BundleEntry, Locking
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.bundles import build_bundle, parse_answers
from fhir_gateway.fhir_server.client import FhirClient, Request
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.receipts import read_receipt

PROBE = "urn:fhir-gateway:if-match"
"""System of the identifier by which what a killed command left behind is found again; its value says whose it is."""

_CHANGED = frozenset({409, 412})
_COUNTED = 9
"""Digits from which on a version is a point in time rather than a count."""
_WORDS = "fhir-gateway looks whether If-Match holds here; nothing hangs on this resource"
_log = logging.getLogger(__name__)


async def find_locking(client: FhirClient, reader: ServerReader, *, owner: str) -> Locking:
    """Return how this server locks, by writing to a resource of our own upon a version that it does not have.

    The resource (a Basic) is deleted again, and so are those that commands of the same owner left behind which were
    killed meanwhile. An owner is a ledger: its merges never run side by side, and those of others keep their probes.
    Where the server takes none, nobody knows, and COMPARE is the safest.
    """
    try:
        await _clear(client, reader, owner)
        found = await _probed(client, owner)
    except (AccessRefusedError, PermanentServerError):
        found = None
    if found is None:
        _log.warning("It could not be found out whether this server heeds If-Match: every resource is compared first")
        return Locking.COMPARE
    if found is Locking.SINGLE:
        _log.warning("This server ignores If-Match inside of batches: resources are written one by one")
    if found is Locking.COMPARE:
        _log.warning(
            "This server ignores If-Match: every resource is read right before it is written, and what somebody else"
            " writes in that moment can be lost"
        )
    return found


async def _clear(client: FhirClient, reader: ServerReader, owner: str) -> None:
    """Delete earlier probes of the same owner."""
    try:
        left = [one["id"] async for one in reader.search("Basic", {"identifier": [f"{PROBE}|{owner}"]})]
    except PermanentServerError:
        return  # it cannot be searched: what is left behind hangs on nothing
    for probe_id in left:
        await client.send(Request("DELETE", f"Basic/{probe_id}"))


async def _probed(client: FhirClient, owner: str) -> Locking | None:
    probe: Resource = {
        "resourceType": "Basic",
        "identifier": [{"system": PROBE, "value": owner}],
        "code": {"text": _WORDS},
    }
    created = await client.send(Request("POST", "Basic", content=json_text.dump(probe)))
    receipt = read_receipt(created, "Basic")
    if created.status != 201 or not receipt.id or receipt.resource_type not in {"", "Basic"}:
        return None
    url = f"Basic/{receipt.id}"
    try:
        version = receipt.version or read_receipt(await client.send(Request("GET", url)), "Basic").version
        if not version:
            return None
        return await _judged(client, url, {**probe, "id": receipt.id}, other=_another(version))
    finally:
        await client.send(Request("DELETE", url))


async def _judged(client: FhirClient, url: str, resource: Resource, *, other: str) -> Locking:
    """Return what becomes of writes that name `other` as the version which stands there."""
    entry = BundleEntry("probe", "PUT", url, {**resource, "code": {"text": "overwritten"}}, if_match=other)
    answer = await client.send(Request("POST", "", content=json_text.dump(build_bundle("batch", [entry]))))
    said = parse_answers(answer.body) or ()
    if [one.status in _CHANGED for one in said] == [True]:
        return Locking.BATCH
    content = json_text.dump(entry.resource)
    alone = await client.send(Request("PUT", url, content=content, headers={"If-Match": f'W/"{other}"'}))
    return Locking.SINGLE if alone.status in _CHANGED else Locking.COMPARE


def _another(version: str) -> str:
    """Return a version id of the same form that this one is not, nor the next ones: a write that should fail makes one."""
    if version.isdigit() and len(version) < _COUNTED:
        return f"9{version}"
    last = version[-1]
    return (
        version[:-1] + ("2" if last == "1" else "1") if last.isdigit() else version[:-1] + ("b" if last == "a" else "a")
    )
