"""Batches and transactions as JSON, and what a server says of their entries, read leniently in this one place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.outcomes import describe_outcome
from fhir_gateway.fhir.references import parse_literal

_ENTRIES = UUID("5d8f1d5e-7f0f-4c57-9d1b-6a8d3a0c2b11")
"""Namespace of the names that entries have inside their bundle; the same bundle is always written alike."""

_STATUS = re.compile(r"\s*(?:HTTP/\d(?:\.\d)?\s+)?(\d{3})\b")
_ETAG = re.compile(r'\s*(?:W/)?"?([A-Za-z0-9\-.]{1,64})"?\s*')


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """What a server says of one entry. `status` is 0 where it says nothing readable; ids are "" where unknown.

    `message` is the OperationOutcome in plain words without a patient's data; `resource` is what came along, if any.
    """

    status: int
    resource_type: str = ""
    id: str = ""
    version: str = ""
    last_modified: str = ""
    message: str = ""
    resource: Resource | None = None


def encode_condition(condition: str) -> str:
    """Return a raw search condition (`identifier=system|value`) percent-encoded as a query string."""
    pairs = (part.partition("=") for part in condition.split("&"))
    return "&".join(f"{quote(name, safe='.:_-')}={quote(value, safe=',:')}" for name, _, value in pairs)


def build_bundle(bundle_type: str, entries: Sequence[BundleEntry]) -> Resource:
    """Return a Bundle of type `batch` or `transaction` for these entries, in their order.

    Conditions are percent-encoded, `if_match` becomes a weak ETag. Nothing refers to an entry's `fullUrl`, but a server
    that validates refuses relative references in entries without one (seen: HAPI FHIR 8.8, 422 for the whole bundle).
    """
    built = [{"fullUrl": uuid5(_ENTRIES, str(number)).urn, **_entry(entry)} for number, entry in enumerate(entries)]
    return {"resourceType": "Bundle", "type": bundle_type, "entry": built}


def _entry(entry: BundleEntry) -> dict[str, Any]:
    request = {"method": entry.method, "url": entry.url}
    if entry.if_none_exist:
        request["ifNoneExist"] = encode_condition(entry.if_none_exist)
    if entry.if_match:
        request["ifMatch"] = f'W/"{entry.if_match}"'
    return {"resource": entry.resource, "request": request} if entry.resource else {"request": request}


def parse_answers(bundle: Any) -> tuple[EntryAnswer, ...] | None:
    """Return the answers of a batch-response or transaction-response in its order; None where this is no such bundle."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return None
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        return None
    return tuple(parse_answer(entry) for entry in entries)


def parse_answer(entry: Any) -> EntryAnswer:
    """Read one entry of a response bundle, whatever of it is there."""
    response = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(response, dict):
        return EntryAnswer(status=0)
    status = read_status(response.get("status"))
    resource = entry.get("resource")
    resource = resource if isinstance(resource, dict) else None
    kind, resource_id, version = read_location(response.get("location"))
    if resource and resource.get("resourceType") != "OperationOutcome":
        meta = resource.get("meta")
        kind = kind or _text(resource.get("resourceType"))
        resource_id = resource_id or _text(resource.get("id"))
        version = version or (_text(meta.get("versionId")) if isinstance(meta, dict) else "")
    return EntryAnswer(
        status=status,
        resource_type=kind,
        id=resource_id,
        version=version or read_etag(response.get("etag")),
        last_modified=_text(response.get("lastModified")),
        message=describe_outcome(response.get("outcome")) or describe_outcome(resource),
        resource=resource,
    )


def read_status(status: Any) -> int:
    """Return the number of `201`, `201 Created`, `HTTP/1.1 201 Created` and the like; 0 where there is none."""
    found = _STATUS.match(str(status))
    return int(found[1]) if found and not isinstance(status, Mapping) else 0


def read_etag(etag: Any) -> str:
    """Return the version of `W/"1"`, `"1"` or `1`; "" where there is none."""
    found = _ETAG.fullmatch(etag) if isinstance(etag, str) else None
    return found[1] if found else ""


def read_location(location: Any) -> tuple[str, str, str]:
    """Return type, id and version of a location, relative or absolute, with or without `_history`; "" where unknown.

    A relative one may begin with what stands before the type in the base URL (`/fhir/R4/Patient/1`).
    """
    if not isinstance(location, str):
        return "", "", ""
    path = location.strip().split("?")[0].strip("/")
    literal = parse_literal(path) or parse_literal(f"http://relative.invalid/{path}")
    return (literal.resource_type, literal.id, literal.version) if literal else ("", "", "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
