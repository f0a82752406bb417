"""What a server says of the resource that a request of its own wrote."""

from dataclasses import dataclass

from fhir_gateway.fhir.bundles import read_etag, read_location
from fhir_gateway.fhir_server.client import Answer


@dataclass(frozen=True, slots=True)
class Receipt:
    """Type, id and version, each "" where the server did not tell it."""

    resource_type: str
    id: str
    version: str


def read_receipt(answer: Answer, resource_type: str) -> Receipt:
    """Return what stands in Location (in older servers' Content-Location), in ETag and in the resource, if it came along."""
    kind, resource_id, version = read_location(answer.headers.get("Location") or answer.headers.get("Content-Location"))
    body = answer.body if isinstance(answer.body, dict) and answer.body.get("resourceType") == resource_type else {}
    meta = body.get("meta")
    told = meta.get("versionId") if isinstance(meta, dict) else None
    return Receipt(
        resource_type=kind,
        id=resource_id or str(body.get("id") or ""),
        version=version or read_etag(answer.headers.get("ETag")) or read_etag(told),
    )
