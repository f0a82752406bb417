"""What merging asks of a FHIR server besides reading and writing (flows.merge.MergeServer)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.domain.posting import Locking
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.outcomes import describe_outcome
from fhir_gateway.fhir_server.client import FhirClient, Request
from fhir_gateway.fhir_server.locking import find_locking
from fhir_gateway.fhir_server.reader import ServerReader


class MergeServer:
    """One server's address, declared searches, locking, and how many requests it was sent."""

    def __init__(self, client: FhirClient, reader: ServerReader, *, use_server_merge: bool = False) -> None:
        self._client = client
        self._reader = reader
        self._use_server_merge = use_server_merge
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

    async def merges_itself(self) -> bool:
        """Return whether the server's own `Patient/$merge` is to be used and it declares one."""
        return self._use_server_merge and (await self._reader.capabilities()).declares_operation("Patient", "merge")

    async def merge(self, source: tuple[str, str], target: tuple[str, str], result: Resource) -> str:
        """Ask for a `$merge` of (`Patient/id`, version) into another, with this result; return its refusal, "" if none.

        Raises TransientServerError where nobody knows how it ended.
        """
        parameters = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "source-patient", "valueReference": {"reference": "/_history/".join(source)}},
                {"name": "target-patient", "valueReference": {"reference": "/_history/".join(target)}},
                {"name": "result-patient", "resource": result},
            ],
        }
        try:
            answer = await self._client.send(Request("POST", "Patient/$merge", content=json_text.dump(parameters)))
        except AccessRefusedError:
            raise
        except PermanentServerError as error:
            return str(error)
        if answer.status == 200:
            return ""
        return f"{answer.status} {describe_outcome(_outcome(answer.body))}".strip()

    async def locking(self) -> Locking:
        """Return how If-Match works here, found out once."""
        async with self._finding_out:
            if self._locking is None:
                self._locking = await find_locking(self._client, self._reader)
            return self._locking


def _outcome(body: Any) -> Any:
    """Return the OperationOutcome of a `$merge`, which stands in Parameters that repeat the Patients."""
    parameters = body.get("parameter") if isinstance(body, dict) else None
    for one in parameters if isinstance(parameters, list) else ():
        if isinstance(one, dict) and one.get("name") == "outcome":
            return one.get("resource")
    return body
