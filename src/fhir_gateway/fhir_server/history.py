"""What a FHIR server remembers of its resources (ports.exports.FhirHistory): https://hl7.org/fhir/R4/http.html#history."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fhir_gateway.domain.errors import PageExpiredError, UntrustedAnswerError
from fhir_gateway.fhir.bundles import read_location
from fhir_gateway.fhir_server.address import local_target
from fhir_gateway.fhir_server.client import FhirClient, Request
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.refusals import refusal
from fhir_gateway.fhir_server.verdicts import Verdict
from fhir_gateway.ports.exports import PastVersion

_PAGE = 500
_EXPIRED = frozenset({404, 410})
_NEEDED = frozenset({"history-type", "history-instance"})


class ServerHistory:
    """Fulfils ports.exports.FhirHistory on a FHIR server."""

    def __init__(self, client: FhirClient, reader: ServerReader) -> None:
        self._client = client
        self._reader = reader

    async def is_kept(self, resource_type: str) -> bool:
        """Say whether the server declares the history of a type and of its resources."""
        declared = (await self._reader.capabilities()).types.get(resource_type)
        return declared is not None and declared.interactions >= _NEEDED

    async def since(self, resource_type: str, moment: datetime) -> AsyncIterator[PastVersion]:
        """Yield the versions that were written at or after a moment, the newest first.

        What the server gives that is older (it may cut `_since` to the second) is passed over.
        """
        query = f"_since={quote(moment.astimezone(UTC).isoformat(timespec='microseconds'))}&_count={_PAGE}"
        async for version in self._pages(f"{resource_type}/_history?{query}", resource_type):
            if version.updated >= moment:
                yield version

    async def of(self, resource_type: str, resource_id: str) -> Sequence[PastVersion]:
        """Return every version of a resource, the newest first."""
        target = f"{resource_type}/{resource_id}/_history?_count={_PAGE}"
        found = [one async for one in self._pages(target, resource_type) if one.id == resource_id]
        return sorted(found, key=lambda one: one.updated, reverse=True)

    async def _pages(self, target: str | None, resource_type: str) -> AsyncIterator[PastVersion]:
        first = True
        while target:
            answer = await self._client.send(Request("GET", target, headers={"Cache-Control": "no-cache"}))
            if answer.status in _EXPIRED and not first:
                raise PageExpiredError(f"The server forgot the pages of the history of {resource_type}; begin it again")
            if answer.status in _EXPIRED:
                return
            if answer.verdict is not Verdict.SUCCESS:
                raise refusal(answer, f"the history of {resource_type}")
            for version in _versions(answer.body, resource_type):
                yield version
            link = _following(answer.body)
            target = local_target(self._client.base, link) if link else None
            if link and target is None:
                raise UntrustedAnswerError(f"The next link of the history of {resource_type} leads outside of base_url")
            first = False


def _versions(bundle: Any, resource_type: str) -> Iterator[PastVersion]:
    entries = bundle.get("entry", []) if isinstance(bundle, dict) and bundle.get("type") == "history" else None
    if not isinstance(entries, list):
        raise UntrustedAnswerError(f"The server answered with something that is no history of {resource_type}")
    for entry in entries:
        version = _version(entry) if isinstance(entry, dict) else None
        if version is None:
            raise UntrustedAnswerError(f"The history of {resource_type} holds an entry that does not say what it is")
        if version.resource_type == resource_type:
            yield version


def _version(entry: dict[str, Any]) -> PastVersion | None:
    request, response, resource = (_dict(entry.get(name)) for name in ("request", "response", "resource"))
    method = request.get("method")
    meta = _dict(resource.get("meta"))
    kind, resource_id, _ = read_location(resource and f"{resource.get('resourceType')}/{resource.get('id')}")
    if not resource_id:
        kind, resource_id, _ = read_location(request.get("url"))
    if not resource_id:
        kind, resource_id, _ = read_location(entry.get("fullUrl"))
    updated = _moment(meta.get("lastUpdated")) or _moment(response.get("lastModified"))
    if updated is None or not resource_id:
        return None
    created = method == "POST" or meta.get("versionId") == "1"
    return PastVersion(kind, resource_id, updated, resource or None if method != "DELETE" else None, created)


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _following(bundle: dict[str, Any]) -> str:
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
