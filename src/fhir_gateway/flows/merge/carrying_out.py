"""Carries journalled merges out: survivor and references, then the replaced, then the proof, and Provenance last."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_gateway.domain.merges import ChangeKind, ChangeState, GroupPlan, JournalledChange, Merge
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.arriving import Arrivals, journalled
from fhir_gateway.flows.merge.fetching import read_together
from fhir_gateway.flows.merge.provenance_writing import journalled_provenance, write_provenance
from fhir_gateway.flows.merge.proving import Finding, prove
from fhir_gateway.flows.merge.recalling import recall_settled
from fhir_gateway.flows.merge.replanning import Group, replanned
from fhir_gateway.flows.merge.request_shares import RequestShares
from fhir_gateway.flows.merge.sending import Settled, Write, ids_of, send_all
from fhir_gateway.flows.merge.server_merging import merged_by_server
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.provenance import provenance_of
from fhir_gateway.merging.versions import name_of

MOST_ROUNDS = 3
"""How often what still refers to a replaced Patient is moved after it came meanwhile (a load may be running)."""

_NO_SURVIVOR = "not sent, since the survivor could not be written"


@dataclass(slots=True)
class Underway:
    """A merge that is being carried out; `requests` are those that were made for it before it was begun."""

    merge: Merge
    plan: GroupPlan | None
    group: Group
    requests: int = 0

    @classmethod
    def of(cls, merge: Merge, tools: MergeTools, *, requests: int = 0) -> "Underway":
        """Return a merge with what its journal says of it."""
        plan = tools.journal.plan_of(merge.id)
        kept = {dose.in_error: dose.kept for dose in plan.doses} if plan else {}
        return cls(merge, plan, Group(merge.survivor, merge.replaced, tools.server.base, kept), requests)


async def carry_out(
    underway: Sequence[Underway], tools: MergeTools, shares: RequestShares, *, reread: bool, scan: bool = False
) -> list[Merge]:
    """Carry merges that share no resource out together and return them, closed; `reread` for ones begun before.

    Raises TransientServerError where the server has gone; what was done until then stands in the journal.
    """
    if not underway:
        return []
    work = _Work({one.merge.id: one for one in underway}, tools, shares)
    _charge(underway, tools)
    reread = reread or await work.ask_server()
    await work.send(lambda change: change.kind not in {None, ChangeKind.REPLACED}, reread=reread)
    work.hold_replaced()
    await work.send(lambda change: change.kind is ChangeKind.REPLACED, reread=reread)
    found = await work.prove(scan=scan)
    await work.write_provenance()
    return work.close(found)


def _charge(underway: Sequence[Underway], tools: MergeTools) -> None:
    with tools.ledger.transaction():
        for one in underway:
            tools.journal.settle(one.merge.id, [], requests=one.requests)


class _Work:
    """Some merges on their way together."""

    def __init__(self, underway: Mapping[int, Underway], tools: MergeTools, shares: RequestShares) -> None:
        self._underway = underway
        self._tools = tools
        self._shares = shares
        self._held: set[int] = set()
        """Merges whose replaced Patients stay as they are."""
        self._touched: set[int] = set()
        """Merges of which something was changed just now."""

    async def ask_server(self) -> bool:
        """Let the server merge by itself, where it can and is to; return whether it was asked."""
        if not await self._tools.server.merges_itself():
            return False
        arrivals = Arrivals({merge: one.group for merge, one in self._underway.items()}, self._tools)
        await arrivals.note()
        asked = await merged_by_server({merge: self._open(merge) for merge in self._underway}, self._tools)
        if asked:
            await arrivals.look_again()
        return asked

    async def send(self, wanted: Callable[[JournalledChange], bool], *, reread: bool) -> None:
        """Send the open changes of one kind; those of merges begun before are read first."""
        writes = [
            Write(merge, change, change.after, change.before_version)
            for merge in self._underway
            if merge not in self._held
            for change in self._open(merge)
            if wanted(change)
        ]
        if reread:
            writes = await self._as_they_stand(writes)
        await self._send(writes)

    def hold_replaced(self) -> None:
        """Let no Patient be replaced whose survivor could not be written: what it has would be out of use."""
        for merge in self._underway:
            changes = self._open(merge)
            if not any(change.kind is ChangeKind.SURVIVOR for change in changes):
                continue
            self._held.add(merge)
            held = [
                replace(change, state=ChangeState.FAILED, message=_NO_SURVIVOR)
                for change in changes
                if change.kind is ChangeKind.REPLACED
            ]
            with self._tools.ledger.transaction():
                self._tools.journal.settle(merge, held)

    async def prove(self, *, scan: bool) -> dict[int, list[str]]:
        """Search for what still refers to replaced Patients and move what came meanwhile; return what is left, by merge."""
        rounds = 0
        while True:
            found = await prove([one.merge for one in self._underway.values()], self._tools, scan=scan)
            added = self._added(found) if rounds < MOST_ROUNDS else []
            if not added:
                break
            rounds += 1
            await self._send(added)
        shares = self._shares.since_last(dict.fromkeys(self._underway, 1))
        with self._tools.ledger.transaction():
            for merge, requests in shares.items():
                self._tools.journal.settle(merge, [], requests=requests)
        return {
            merge: sorted({name_of(one.resource) for one in found if one.merge == merge}) for merge in self._underway
        }

    async def write_provenance(self) -> None:
        """Write who did what to which version of which resource, once for each merge; again where more was done since."""
        writes = [
            write
            for one in self._underway.values()
            if one.plan is not None and (write := self._provenance(one, one.plan)) is not None
        ]
        await write_provenance(writes, self._tools, self._shares)

    def close(self, found: Mapping[int, Sequence[str]]) -> list[Merge]:
        """Close the merges, and let the ledger's keys follow them."""
        closed = []
        for merge, one in self._underway.items():
            with self._tools.ledger.transaction():
                if merge not in self._held:
                    self._tools.ledger.merged_keys.follow(
                        merge, survivor=one.merge.survivor, replaced=one.merge.replaced, doses=one.group.kept
                    )
                closed.append(self._tools.journal.finish(merge, at=self._tools.clock.now(), remaining=found[merge]))
        return closed

    def _open(self, merge: int) -> list[JournalledChange]:
        return list(self._tools.journal.changes(merge, ChangeState.PLANNED, ChangeState.FAILED))

    def _replan(self, write: Write, current: Resource | None) -> Write | Settled:
        return replanned(write, current, self._underway[write.merge].group)

    async def _send(self, writes: Sequence[Write]) -> None:
        settled = await send_all(writes, self._replan, self._tools, self._shares, done=ChangeState.DONE)
        self._touched |= {one.merge for one in settled if one.change.state is ChangeState.DONE}
        patients = [one.change for one in settled if one.change.resource.startswith("Patient/")]
        self._tools.finder.forget([body for change in patients for body in (change.before, change.after) if body])

    async def _as_they_stand(self, writes: Sequence[Write]) -> list[Write]:
        """Return what is left to be written of merges that were begun before; what is done already is journalled."""
        current = await read_together(ids_of(writes), self._tools)
        left: list[Write] = []
        settled: dict[int, list[JournalledChange]] = {}
        anew: dict[int, list[JournalledChange]] = {}
        for write in writes:
            seen = self._replan(write, current.get(write.change.resource))
            if isinstance(seen, Settled):
                settled.setdefault(seen.merge, []).append(seen.change)
                continue
            if seen.change is not write.change:
                anew.setdefault(seen.merge, []).append(seen.change)
            left.append(seen)
        with self._tools.ledger.transaction():
            for merge, changes in settled.items():
                self._tools.journal.settle(merge, changes)
                recall_settled(changes, self._tools)
                self._touched.add(merge)
            for merge, changes in anew.items():
                self._tools.journal.replace(merge, changes)
        return left

    def _added(self, found: Iterable[Finding]) -> list[Write]:
        """Journal what came to refer to a replaced Patient after its merge was planned, and return it to be moved."""
        by_merge: dict[int, dict[str, Resource]] = {}
        for one in found:
            by_merge.setdefault(one.merge, {})[name_of(one.resource)] = one.resource
        writes: list[Write] = []
        for merge, resources in by_merge.items():
            failed = {change.resource for change in self._tools.journal.changes(merge, ChangeState.FAILED)}
            arrived = {name: one for name, one in resources.items() if name not in failed}
            writes += journalled(merge, arrived, self._underway[merge].group, self._tools)
        return writes

    def _provenance(self, one: Underway, plan: GroupPlan) -> Write | None:
        """Return a merge's Provenance as it is to be written, journalled; None where it stands already."""
        journal, merge = self._tools.journal, one.merge
        versions: dict[str, str] = {}
        own: JournalledChange | None = None
        for change in journal.changes(merge.id):
            if change.kind is None:
                own = own or change
            elif change.state is ChangeState.DONE and change.after_version:
                versions[change.resource] = change.after_version
        if own is None or (own.state is ChangeState.DONE and merge.id not in self._touched):
            return None
        at = self._tools.clock.now()
        content = provenance_of(plan, versions, merge=merge.id, user=merge.user, at=at, begun=merge.begun)
        return journalled_provenance(merge, own, content, self._tools)
