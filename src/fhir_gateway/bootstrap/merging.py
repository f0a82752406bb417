"""Merging in one environment: what the commands and the API call; both go the same road."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fhir_gateway.bootstrap.gateway import Gateway
from fhir_gateway.candidates import ServerCandidates
from fhir_gateway.domain.merges import DuplicateGroup, Merge, MergePlan, MergeState
from fhir_gateway.fhir_server.batched_reads import BatchedReads
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.merge_server import MergeServer
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.writer import ServerWriter
from fhir_gateway.flows import merge as merge_road
from fhir_gateway.flows.merge import (
    ApplyRequest,
    GroupOutcome,
    MergeTools,
    Selected,
    UndoDecisions,
    UndoOutcome,
    UndoRequest,
)
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import CandidateFinder, Clock, MergeJournal, Progress
from fhir_gateway.settings import EMBEDDED, Environment

T = TypeVar("T")


class BatchedReader(ServerReader):
    """A reader that asks many searches in few requests (flows.merge.MergeReader)."""

    def __init__(self, client: FhirClient) -> None:
        super().__init__(client)
        self.search_together = BatchedReads(client, self).search_together


class MergeRoad:
    """Selecting, planning, merging and undoing with adapters that are connected; for whoever has an event loop."""

    def __init__(self, tools: MergeTools) -> None:
        self.tools = tools

    async def selected(self, niks: Sequence[str], patient_ids: Sequence[str] = ()) -> Selected:
        """Return a group for each NIK that several active Patients carry, one of the named Patients, and other NIKs.

        Raises UsageError for Patients that cannot be merged, ServerError where the server cannot be asked.
        """
        return await merge_road.select(niks, patient_ids, self.tools)

    async def select(self, niks: Sequence[str], patient_ids: Sequence[str] = ()) -> Sequence[DuplicateGroup]:
        """Return the groups of selected() alone."""
        return (await self.selected(niks, patient_ids)).groups

    async def plan(self, groups: Sequence[DuplicateGroup], *, scan: bool = False) -> MergePlan:
        """Plan how groups become one Patient each; the changes name elements and hold no bodies."""
        return await merge_road.plan(groups, self.tools, scan=scan)

    async def apply(self, plan: MergePlan, request: ApplyRequest) -> list[GroupOutcome]:
        """Merge a plan's groups; the outcomes stand in the plan's order. The same plan can be applied again."""
        return await merge_road.apply(plan, request, self.tools)

    async def resume(self, request: ApplyRequest) -> list[GroupOutcome]:
        """Carry on what was begun and not finished."""
        return await merge_road.resume(unfinished_merges(self.tools.journal), request, self.tools)

    async def preview_undo(self, merge: int, decisions: UndoDecisions | None = None) -> UndoOutcome:
        """Return what undoing would do: conflicts, and what arrived since; nothing is written."""
        return await merge_road.preview_undo(merge, decisions or UndoDecisions(), self.tools)

    async def undo(
        self, merge: int, *, user: str, via: str = "command", reason: str = "", decisions: UndoDecisions | None = None
    ) -> UndoOutcome:
        """Take a merge apart again; with undecided conflicts nothing is written. Raises UsageError where it cannot be."""
        request = UndoRequest(user, via, reason, decisions or UndoDecisions())
        return await merge_road.undo(merge, request, self.tools)


def road_of(
    client: FhirClient, ledger: Ledger, environment: Environment, *, progress: Progress, clock: Clock
) -> MergeRoad:
    """Build the merge road of one environment over a client that is connected."""
    reader = BatchedReader(client)
    finder: CandidateFinder = ServerCandidates(reader, masked_identifiers=environment.fhir_server.masked_identifiers)
    tools = MergeTools(
        ledger=ledger,
        journal=ledger.merges,
        reader=reader,
        server=MergeServer(
            client,
            reader,
            owner=ledger.merges.history.ledger_id,
            use_server_merge=environment.merging.use_server_merge,
        ),
        writer=ServerWriter(client, reader, whole_meta=True),
        single_writer=ServerWriter(client, reader, bundles=False, whole_meta=True),
        finder=finder,
        clock=clock,
        progress=merge_road.WholeProgress(progress),
        zone=environment.zone,
        environment=environment.name,
        matching=environment.matching,
        masked=environment.fhir_server.masked_identifiers,
    )
    return MergeRoad(tools)


def with_road(gateway: Gateway, action: Callable[[MergeRoad], Awaitable[T]]) -> T:
    """Do something on the merge road of a command's environment, connected."""

    async def act(client: FhirClient) -> T:
        road = road_of(client, gateway.ledger, gateway.environment, progress=gateway.display, clock=gateway.clock)
        return await action(road)

    return gateway.connect(act)


def unfinished_merges(journal: MergeJournal) -> list[Merge]:
    """Return merges that wait to be carried on (not undoings), oldest first."""
    return [one for one in journal.unfinished() if one.state is MergeState.APPLYING]


def told_of_unfinished(ledger: Ledger, environment: str) -> list[str]:
    """Return a line for each merge or undoing that was interrupted, and what makes it go on."""
    option = "" if environment == EMBEDDED else f" --env {environment}"
    lines = []
    for one in ledger.merges.unfinished():
        undoing = one.state is MergeState.UNDOING
        what, command = ("its undoing", f"undo {one.id}") if undoing else ("it", "apply")
        lines.append(f"merge {one.id} is unfinished: `fhir-gateway merge {command}{option}` carries {what} on")
    return lines
