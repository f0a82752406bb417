"""What merging asks of a FHIR server besides reading and writing (flows.merge.MergeServer)."""

import asyncio
from collections.abc import Mapping

from fhir_gateway.domain.posting import Locking
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.locking import find_locking
from fhir_gateway.fhir_server.reader import ServerReader


class MergeServer:
    """One server's address, declared searches, locking, and how many requests it was sent."""

    def __init__(self, client: FhirClient, reader: ServerReader) -> None:
        self._client = client
        self._reader = reader
        self._locking: Locking | None = None
        self._finding_out = asyncio.Lock()

    @property
    def base(self) -> str:
        """The server's own address."""
        return self._client.base

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far, repeats included."""
        return self._client.requests

    async def search_parameters(self) -> Mapping[str, frozenset[str]] | None:
        """Return the search parameters that the server declares, by type; None where it declares nothing."""
        capabilities = await self._reader.capabilities()
        if not capabilities.declared:
            return None
        return {name: declared.search_parameters for name, declared in capabilities.types.items()}

    async def locking(self) -> Locking:
        """Return how If-Match works here, found out once."""
        async with self._finding_out:
            if self._locking is None:
                self._locking = await find_locking(self._client, self._reader)
            return self._locking
