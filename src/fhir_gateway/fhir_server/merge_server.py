"""What merging asks of a FHIR server besides reading and writing (flows.merge.MergeServer)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, TransientServerError
from fhir_gateway.domain.posting import Locking
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.outcomes import describe_outcome
from fhir_gateway.fhir_server.client import Answer, FhirClient, Request
from fhir_gateway.fhir_server.locking import find_locking
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.verdicts import retry_after

LONGEST_MERGE = 600.0
"""Seconds for which a server's own merge is watched that is done later."""
PAUSE = 2.0
_LONGEST_PAUSE = 30.0
_VERSIONS = 10
_TASK_DONE = frozenset({"completed"})
_TASK_FAILED = frozenset({"failed", "cancelled", "rejected", "entered-in-error"})
_UNWATCHED = (
    "The FHIR server merges later (202) and does not say where that can be watched; nobody knows how it ends. When it has"
    " ended, set [merging] use_server_merge = false for this server and run the same command again"
)
_STILL = "The FHIR server's own $merge has not ended yet; run the same command again when it has"


class MergeServer:
    """One server's address, declared searches, locking, and how many requests it was sent; `owner` names the ledger, once it has an id."""

    def __init__(
        self, client: FhirClient, reader: ServerReader, *, owner: Callable[[], str], use_server_merge: bool = False
    ) -> None:
        self._client = client
        self._reader = reader
        self._owner = owner
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
        """Return the search parameters that the server declares, by type; None where it declares none at all."""
        capabilities = await self._reader.capabilities()
        declared = {name: one.search_parameters for name, one in capabilities.types.items()}
        return declared if any(declared.values()) else None

    async def merges_itself(self) -> bool:
        """Return whether the server's own `Patient/$merge` is to be used and it declares one."""
        return self._use_server_merge and (await self._reader.capabilities()).declares_merging()

    async def merge(self, source: tuple[str, str], target: tuple[str, str], result: Resource) -> str:
        """Ask for a `$merge` of (`Patient/id`, version) into another, with this result; return its refusal, "" if none.

        A server that merges later is asked until it has. Raises TransientServerError where nobody knows how it ended.
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
        return await self._said_at_the_end(answer)

    async def versions(self, name: str) -> list[Resource] | None:
        """Return the newest versions of a resource (`Type/id`), the newest first; None where the server tells none."""
        try:
            answer = await self._client.send(Request("GET", f"{name}/_history?_count={_VERSIONS}"))
        except AccessRefusedError:
            raise
        except PermanentServerError:
            return None
        entries = answer.body.get("entry") if answer.status == 200 and isinstance(answer.body, dict) else None
        if not isinstance(entries, list):
            return None
        found = [entry.get("resource") for entry in entries if isinstance(entry, dict)]
        return [one for one in found if isinstance(one, dict)]

    async def _said_at_the_end(self, answer: Answer) -> str:
        """Return a `$merge`'s refusal; one that is done later (202) is watched until it is done."""
        timing = self._client.timing
        until, where = timing.monotonic() + LONGEST_MERGE, ""
        while True:
            task = _task(answer.body)
            if answer.status == 200 and (not task or task["status"] in _TASK_DONE):
                return ""
            if task and task["status"] in _TASK_FAILED:
                return f"its task ended as {task['status']}"
            if answer.status not in {200, 202}:
                return f"{answer.status} {describe_outcome(_outcome(answer.body))}".strip()
            where = where or self._watched(answer, task)
            if not where or timing.monotonic() >= until:
                raise TransientServerError(_UNWATCHED if not where else _STILL)
            await timing.sleep(min(retry_after(answer.headers, timing.now()) or PAUSE, _LONGEST_PAUSE))
            answer = await self._client.send(Request("GET", where))

    def _watched(self, answer: Answer, task: Mapping[str, str]) -> str:
        """Return where the server tells how far a `$merge` is, below its own address; "" where it does not."""
        told = str(answer.headers.get("Content-Location", ""))
        if told.startswith(f"{self._client.base}/"):
            return told.removeprefix(f"{self._client.base}/")
        return f"Task/{task['id']}" if task.get("id") else ""

    async def locking(self) -> Locking:
        """Return how If-Match works here, found out once."""
        async with self._finding_out:
            if self._locking is None:
                self._locking = await find_locking(self._client, self._reader, owner=self._owner())
            return self._locking


def _task(body: Any) -> Mapping[str, str]:
    """Return the Task of a `$merge` that is done later, or that stands in its Parameters; nothing where there is none."""
    parameters = body.get("parameter") if isinstance(body, dict) else None
    named = [one.get("resource") for one in parameters or () if isinstance(one, dict) and one.get("name") == "task"]
    tasks = [one for one in (body, *named) if isinstance(one, dict) and one.get("resourceType") == "Task"]
    return tasks[0] if tasks and isinstance(tasks[0].get("status"), str) else {}


def _outcome(body: Any) -> Any:
    """Return the OperationOutcome of a `$merge`, which stands in Parameters that repeat the Patients."""
    parameters = body.get("parameter") if isinstance(body, dict) else None
    for one in parameters if isinstance(parameters, list) else ():
        if isinstance(one, dict) and one.get("name") == "outcome":
            return one.get("resource")
    return body
