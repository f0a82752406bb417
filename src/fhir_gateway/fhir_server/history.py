"""What a FHIR server remembers of its resources (ports.exports.FhirHistory): https://hl7.org/fhir/R4/http.html#history."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fhir_gateway.domain.errors import PageExpiredError, UntrustedAnswerError
from fhir_gateway.fhir.bundles import read_location
from fhir_gateway.fhir_server.address import next_link, next_target
from fhir_gateway.fhir_server.client import FhirClient, Request
from fhir_gateway.fhir_server.headers import FRESH
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.refusals import refusal
from fhir_gateway.fhir_server.verdicts import Verdict
from fhir_gateway.ports.exports import PastVersion

_PAGE = 500
_EXPIRED = frozenset({404, 410})
_DELETED_AT = re.compile(r"deleted at (\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))")
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
        async for _, versions in self.pages(resource_type, moment, size=_PAGE):
            for version in versions:
                yield version

    async def pages(
        self, resource_type: str, moment: datetime, *, size: int, link: str = ""
    ) -> AsyncIterator[tuple[str, Sequence[PastVersion]]]:
        """Yield the same page by page, each with the link that leads to it again; `link` is where to begin.

        Raises PageExpiredError where the server has forgotten that.
        """
        since = quote(moment.astimezone(UTC).isoformat(timespec="microseconds"))
        first = f"{resource_type}/_history?_since={since}&_count={min(size, _PAGE)}"
        async for target, versions in self._pages(link or first, resource_type, begun=bool(link)):
            yield target, [one for one in versions if one.updated >= moment]

    async def of(self, resource_type: str, resource_id: str) -> Sequence[PastVersion]:
        """Return every version of a resource, the newest first."""
        target = f"{resource_type}/{resource_id}/_history?_count={_PAGE}"
        found = [one async for _, page in self._pages(target, resource_type) for one in page if one.id == resource_id]
        return sorted(found, key=lambda one: one.updated, reverse=True)

    async def _pages(
        self, start: str, resource_type: str, *, begun: bool = False
    ) -> AsyncIterator[tuple[str, list[PastVersion]]]:
        history = f"the history of {resource_type}"
        target = next_target(self._client.base, start, history) if begun else start
        while target:
            answer = await self._client.send(Request("GET", target, headers=FRESH))
            if answer.status in _EXPIRED and begun:
                raise PageExpiredError(f"The server forgot the pages of {history}; begin it again")
            if answer.status in _EXPIRED:
                return
            if answer.verdict is not Verdict.SUCCESS:
                raise refusal(answer, history)
            times = await self._deletion_times(answer.body)
            yield target, list(_versions(answer.body, resource_type, times))
            link = next_link(answer.body)
            target = next_target(self._client.base, link, history) if link else ""
            begun = True

    async def _deletion_times(self, bundle: Any) -> dict[str, datetime]:
        """Return version's address → time of deletions of which the history does not tell it (seen on HAPI)."""
        entries = bundle.get("entry") if isinstance(bundle, dict) else None
        asked = [
            address
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and _time(entry) is None and (address := _deleted(entry))
        ]
        found = await asyncio.gather(*(self._deletion_time(address) for address in asked))
        return {address: moment for address, moment in zip(asked, found, strict=True) if moment}

    async def _deletion_time(self, address: str) -> datetime | None:
        """Return when a version that is a deletion was written, as HAPI says it: in the words of its 410."""
        answer = await self._client.send(Request("GET", address, headers=FRESH))
        issues = answer.body.get("issue") if answer.status in _EXPIRED and isinstance(answer.body, dict) else None
        words = [_dict(one).get("diagnostics") for one in (issues if isinstance(issues, list) else [])]
        said = next((found for one in words if isinstance(one, str) and (found := _DELETED_AT.search(one))), None)
        return _moment(said[1]) if said else None


def _versions(bundle: Any, resource_type: str, times: Mapping[str, datetime]) -> Iterator[PastVersion]:
    entries = bundle.get("entry", []) if isinstance(bundle, dict) and bundle.get("type") == "history" else None
    if not isinstance(entries, list):
        raise UntrustedAnswerError(f"The server answered with something that is no history of {resource_type}")
    for entry in entries:
        version = _version(entry, times) if isinstance(entry, dict) else None
        if version is None:
            raise UntrustedAnswerError(f"The history of {resource_type} holds an entry that does not say what it is")
        if version.resource_type == resource_type:
            yield version


def _version(entry: dict[str, Any], times: Mapping[str, datetime]) -> PastVersion | None:
    request, resource = (_dict(entry.get(name)) for name in ("request", "resource"))
    method = request.get("method")
    meta = _dict(resource.get("meta"))
    kind, resource_id, _ = read_location(resource and f"{resource.get('resourceType')}/{resource.get('id')}")
    if not resource_id:
        kind, resource_id, _ = read_location(request.get("url"))
    if not resource_id:
        kind, resource_id, _ = read_location(entry.get("fullUrl"))
    updated = _time(entry) or times.get(_deleted(entry))
    if updated is None or not resource_id:
        return None
    created = method == "POST" or meta.get("versionId") == "1"
    return PastVersion(kind, resource_id, updated, resource or None if method != "DELETE" else None, created)


def _time(entry: dict[str, Any]) -> datetime | None:
    """Return when an entry says that its version was written."""
    meta = _dict(_dict(entry.get("resource")).get("meta"))
    return _moment(meta.get("lastUpdated")) or _moment(_dict(entry.get("response")).get("lastModified"))


def _deleted(entry: dict[str, Any]) -> str:
    """Return the address of the version that an entry says is a deletion, "" for any other entry."""
    request = _dict(entry.get("request"))
    kind, resource_id, version = read_location(request.get("url"))
    if request.get("method") != "DELETE" or not resource_id:
        return ""
    return f"{kind}/{resource_id}/_history/{version}" if version else f"{kind}/{resource_id}"


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
