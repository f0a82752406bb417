"""Reads the embedded server in the same process as it is, without HTTP between: a search is answered by two such questions.

The client for servers of others (retries, breaker, distrust) would cost ten times what the embedded server itself does.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.embedded_server.transport import BASE_URL, EmbeddedTransport
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir_server.questions import encoded
from fhir_gateway.ports import FhirReader

_PAGE = 500
_AT_ONCE = 20
"""So many resources, or those of so many people, are read sooner than a thread could be asked to do it."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Prefer": "handling=strict"}


def nearest(reader: FhirReader, transport: httpx.AsyncBaseTransport | None) -> FhirReader:
    """Return what reads an environment's FHIR server with the least in between."""
    return EmbeddedReader(transport.server, reader) if isinstance(transport, EmbeddedTransport) else reader


class EmbeddedReader:
    """Fulfils ports.FhirReader; whatever the server does not answer at once, on one page, is left to `reader`.

    Raises StorageError where the data cannot be read, and what `reader` raises.
    """

    def __init__(self, server: EmbeddedServer, reader: FhirReader) -> None:
        self._server = server
        self._reader = reader

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """Return the resource, None where it is missing or deleted."""
        return next(iter(await self._some(resource_type, [resource_id])), None)

    async def search(self, resource_type: str, parameters: Mapping[str, Sequence[str]]) -> AsyncIterator[Resource]:
        """Yield every match; values of one parameter are alternatives (OR)."""
        if list(parameters) == ["_id"]:
            found: list[Resource] | None = await self._some(resource_type, parameters["_id"])
        elif _are_few(parameters):
            found = self._found(resource_type, parameters)
        else:
            found = await asyncio.to_thread(self._found, resource_type, parameters)
        if found is None:
            async for resource in self._reader.search(resource_type, parameters):
                yield resource
            return
        for resource in found:
            yield resource

    async def _some(self, resource_type: str, ids: Sequence[str]) -> list[Resource]:
        wanted = list(dict.fromkeys(ids))
        if len(wanted) <= _AT_ONCE:
            stored = self._server.stored_under(resource_type, wanted)
        else:
            stored = await asyncio.to_thread(self._server.stored_under, resource_type, wanted)
        return [json_text.parse(one.body) for one in stored if one.body is not None]

    def _found(self, resource_type: str, parameters: Mapping[str, Sequence[str]]) -> list[Resource] | None:
        """Return the matches of a search, None where there is more to it than one page of them."""
        form = encoded({**parameters, "_count": (str(_PAGE),)}).encode("ascii")
        answer = self._server.handle("POST", f"/{resource_type}/_search", headers=_FORM, body=form, base=BASE_URL)
        if answer.status != 200:
            return None
        bundle = json_text.parse(answer.body)
        entries = bundle.get("entry", [])
        links = [link["relation"] for link in bundle["link"]]
        if links != ["self"] or any(one["search"]["mode"] != "match" for one in entries):
            return None
        return [one["resource"] for one in entries]


def _are_few(parameters: Mapping[str, Sequence[str]]) -> bool:
    return sum(map(len, parameters.values())) <= _AT_ONCE
