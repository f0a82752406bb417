"""Takes a merge apart: what it changed is put back, and only that, however the resources were edited since."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.merges import (
    ChangeKind,
    ChangeState,
    JournalledChange,
    Merge,
    MergeState,
    UndoConflict,
)
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.fetching import find_referring, read_together
from fhir_gateway.flows.merge.provenance_writing import journalled_provenance, write_provenance
from fhir_gateway.flows.merge.recalling import recall_settled
from fhir_gateway.flows.merge.request_shares import RequestShares
from fhir_gateway.flows.merge.sending import Settled, Write, send_all
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.flows.merge.undo_plan import Touched, UndoDecisions, Undone, touched, undone
from fhir_gateway.flows.merge.undo_rows import find_rows, part_rows
from fhir_gateway.merging.elements import replaced_by_tag
from fhir_gateway.merging.provenance import provenance_of_undo
from fhir_gateway.merging.repointing import references_to, repoint
from fhir_gateway.merging.rows_since import RowsAfter
from fhir_gateway.merging.versions import version_of

_DELETED = "it was deleted on the server since: nothing is left to be put back"
_AGAIN = "it was changed once more while the merge was undone: decide and undo again"
_CONCERNED = (ChangeState.PLANNED, ChangeState.DONE, ChangeState.FAILED, ChangeState.KEPT)
"""What undoing looks at; what was kept before an interruption is told again at the end."""


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """Who undoes a merge, from where, why, and what was decided of conflicts."""

    user: str
    via: str = "command"
    reason: str = ""
    decisions: UndoDecisions = field(default_factory=UndoDecisions)


@dataclass(frozen=True, slots=True)
class UndoOutcome:
    """What became of an undoing. With `conflicts` nothing was written: they have to be decided first.

    `restored` counts resources that were put back, `kept` are conflicts decided for what stands there now. `failed` are
    `Type/id: words` of what the server refused; then the undoing is not at its end, and repeating it goes on. `arrived`
    names resources that came to the survivor since, and stay there unless they are moved (told by a preview only).
    `withdrawn` are doses that are entered in error, since their rows have all gone to others, and `copied` those made for
    rows that came since and had been linked to a dose that went back.
    """

    merge: Merge
    conflicts: tuple[UndoConflict, ...] = ()
    restored: int = 0
    kept: tuple[UndoConflict, ...] = ()
    failed: tuple[str, ...] = ()
    arrived: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()


async def preview_undo(number: int, decisions: UndoDecisions, tools: MergeTools) -> UndoOutcome:
    """Return what undoing would do, and write nothing; `restored` counts what would be put back."""
    merge = _undoable(number, tools)
    decided = UndoDecisions.remembered(tools.journal.undo_decisions(merge.id)).followed_by(decisions)
    found = touched(list(tools.journal.changes(merge.id, *_CONCERNED)))
    current = await _current(found, tools)
    golden = _stays_golden(merge, tools)
    rows = find_rows(merge, (), _doses_moved(decided), tools)
    planned = [
        (one, undone(one, current[one.resource], decided, golden=golden, rows=rows))
        for one in found
        if one.resource in current
    ]
    return UndoOutcome(
        merge,
        conflicts=tuple(conflict for _, result in planned for conflict in result.open),
        restored=sum(1 for one, result in planned if result.resource is not current[one.resource]),
        kept=tuple(conflict for _, result in planned for conflict in result.kept),
        arrived=await _arrived(merge, {one.resource for one in found}, tools),
        withdrawn=tuple(sorted(one.resource for one, result in planned if result.withdrawn)),
    )


async def undo(number: int, request: UndoRequest, tools: MergeTools) -> UndoOutcome:
    """Undo a merge, or go on with it where it was interrupted; one that is undone already stays as it is.

    Raises UsageError for a merge that is not there, that a later one builds upon, or for a resource that cannot be
    moved; LedgerError where somebody else merges; ServerError where the server has gone: the same command goes on.
    """
    merge = tools.journal.get(number)
    if merge is not None and merge.state is MergeState.UNDONE:
        return UndoOutcome(merge)
    with tools.ledger.merge_lock(f"merge {number} is undone"):
        merge = _undoable(number, tools)
        decided = UndoDecisions.remembered(tools.journal.undo_decisions(number)).followed_by(request.decisions)
        work = _Undoing(merge, decided, tools, _stays_golden(merge, tools))
        await work.look()
        if work.conflicts:
            return UndoOutcome(work.merge, conflicts=work.conflicts)
        work.begin(request)
        await work.put_back()
        if work.failed:
            return UndoOutcome(work.merge, restored=work.restored, kept=tuple(work.kept), failed=tuple(work.failed))
        await work.part_rows()
        await work.write_provenance(request)
        return work.close()


def _undoable(number: int, tools: MergeTools) -> Merge:
    """Return the merge; raises UsageError where it cannot be undone."""
    merge = tools.journal.get(number)
    if merge is None:
        raise UsageError(f"there is no merge {number}; `fhir-gateway merge history` lists all")
    if merge.state is MergeState.UNDONE:
        raise UsageError(f"merge {number} is undone already")
    if tools.journal.plan_of(number) is None:
        raise UsageError(f"merge {number} cannot be undone: what it changed was erased")
    people = {merge.survivor, *merge.replaced}
    for later in tools.journal.by_patient(sorted(people)):
        builds_upon = merge.survivor in later.replaced or set(later.replaced) & set(merge.replaced)
        if later.id > merge.id and later.state is not MergeState.UNDONE and builds_upon:
            raise UsageError(f"merge {later.id} came after merge {number} and builds upon it: undo that one first")
    return merge


def _doses_moved(decisions: UndoDecisions) -> dict[str, str]:
    """Return Immunization's bare id → the replaced Patient to whom it goes over."""
    names = ((name.partition("/"), patient) for name, patient in decisions.moves.items())
    return {bare: patient for (kind, _, bare), patient in names if kind == "Immunization"}


def _stays_golden(merge: Merge, tools: MergeTools) -> bool | None:
    """Tell whether the survivor is a golden record once this merge is undone; None where the merge itself tells.

    Merges with one survivor can be undone in any order: it is golden while one of them stands, and what the first of
    them made golden is golden no more when the last one is undone.
    """
    others = [
        one
        for one in tools.journal.by_patient([merge.survivor])
        if one.survivor == merge.survivor and one.id != merge.id
    ]
    if any(one.state is not MergeState.UNDONE for one in others):
        return True
    for earlier in (one for one in others if one.id < merge.id):
        change = next((one for one in tools.journal.changes(earlier.id) if one.kind is ChangeKind.SURVIVOR), None)
        if change is not None and change.before is not None and replaced_by_tag(change.before) != merge.survivor:
            return False
    return None


async def _current(found: Sequence[Touched], tools: MergeTools) -> dict[str, Resource]:
    ids: dict[str, list[str]] = {}
    for one in found:
        resource_type, _, resource_id = one.resource.partition("/")
        ids.setdefault(resource_type, []).append(resource_id)
    return await read_together(ids, tools)


async def _arrived(merge: Merge, known: set[str], tools: MergeTools) -> tuple[str, ...]:
    """Return what refers to the survivor and was written after the merge began, apart from what the merge changed."""
    referring, _ = await find_referring([merge.survivor], tools)
    return tuple(
        sorted(
            name
            for name, resource in referring.items()
            if name not in known and _written(resource) >= merge.begun.timestamp()
        )
    )


def _written(resource: Resource) -> float:
    meta = resource.get("meta")
    try:
        return datetime.fromisoformat(str(meta["lastUpdated"])).timestamp()  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        return float("inf")  # nobody knows: better to name one too many


@dataclass(slots=True)
class _Undoing:
    """A merge on its way apart."""

    merge: Merge
    decisions: UndoDecisions
    tools: MergeTools
    golden: bool | None
    conflicts: tuple[UndoConflict, ...] = ()
    restored: int = 0
    kept: list[UndoConflict] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    copied: tuple[str, ...] = ()
    _rows: RowsAfter = field(default_factory=RowsAfter)
    _reclaimed: set[str] = field(default_factory=set)
    _found: dict[str, Touched] = field(default_factory=dict)
    _current: dict[str, Resource] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    _shares: RequestShares | None = None

    async def look(self) -> None:
        """Read everything and find the conflicts that nobody has decided."""
        self._shares = RequestShares(lambda: self.tools.server.requests)
        found = touched(list(self.tools.journal.changes(self.merge.id, *_CONCERNED)))
        self._found = {one.resource: one for one in found}
        self._current = await _current(found, self.tools)
        self._rows = self._find_rows()
        self.conflicts = tuple(
            conflict
            for one in found
            if one.resource in self._current
            for conflict in self._undone(one, self._current[one.resource]).open
        )
        for name, patient_id in self.decisions.moves.items():
            await self._check_move(name, patient_id)

    def _find_rows(self) -> RowsAfter:
        reclaimed = {name.partition("/")[2] for name in self._reclaimed}
        return find_rows(self.merge, reclaimed, _doses_moved(self.decisions), self.tools)

    def _undone(self, one: Touched, current: Resource) -> Undone:
        result = undone(one, current, self.decisions, golden=self.golden, rows=self._rows)
        if result.withdrawn:
            self.withdrawn.add(one.resource)
        if result.reclaimed:
            self._reclaimed.add(one.resource)
        return result

    async def _check_move(self, name: str, patient_id: str) -> None:
        resource_type, _, resource_id = name.partition("/")
        if patient_id not in self.merge.replaced:
            raise UsageError(f"{name} can be moved to a Patient only whom merge {self.merge.id} had replaced")
        if name in self._found:
            raise UsageError(f"{name} was changed by the merge itself: undoing puts it back, it need not be moved")
        resource = await self.tools.reader.read(resource_type, resource_id)
        if resource is None and self.merge.state is MergeState.UNDOING:
            return  # it was there when that was decided, and was deleted since
        base = self.tools.server.base
        if resource is not None and references_to(resource, {patient_id}, base=base):
            return  # moved before this undoing was interrupted
        if resource is None or not references_to(resource, {self.merge.survivor}, base=base):
            raise UsageError(f"{name} is not on the server or does not refer to Patient {self.merge.survivor}")
        self._current[name] = resource

    def begin(self, request: UndoRequest) -> None:
        """Write down that the merge is to be undone, before anything is sent."""
        with self.tools.ledger.transaction():
            self.merge = self.tools.journal.begin_undo(
                self.merge.id,
                user=request.user,
                at=self.tools.clock.now(),
                reason=request.reason,
                via=request.via,
                decisions=self.decisions.as_json(),
            )

    async def put_back(self) -> None:
        """Put the replaced Patients back first, so that nothing is given to anybody who is out of use."""
        stages: tuple[Callable[[ChangeKind | None], bool], ...] = (
            lambda kind: kind is ChangeKind.REPLACED,
            lambda kind: kind not in {ChangeKind.REPLACED, ChangeKind.SURVIVOR},
            lambda kind: kind is ChangeKind.SURVIVOR,
        )
        self.tools.progress.phase("undoing", len(self._found) + len(self.decisions.moves))
        for number, wanted in enumerate(stages):
            seen = [self._write(one) for one in self._found.values() if wanted(one.kind)]
            self._note([one for one in seen if isinstance(one, Settled)])
            writes = [one for one in seen if isinstance(one, Write)]
            writes += self._moves() if number == 1 else []
            shares = self._shares or RequestShares(lambda: self.tools.server.requests)
            self._count(await send_all(writes, self._again, self.tools, shares, done=ChangeState.UNDONE))
            if self.failed:
                return

    def _write(self, one: Touched) -> Write | Settled:
        """Return what is to be written of a resource, or that there is nothing left to do."""
        change = one.changes[-1]
        current = self._current.get(one.resource)
        if current is None:
            return Settled(self.merge.id, replace(change, state=ChangeState.KEPT, message=_DELETED))
        result = self._undone(one, current)
        if result.open:
            return Settled(self.merge.id, replace(change, state=ChangeState.FAILED, message=_AGAIN))
        self.kept += [conflict for conflict in result.kept if conflict not in self.kept]
        if result.resource is current:
            return Settled(self.merge.id, self._as_it_is(change, current, result))
        return Write(self.merge.id, change, result.resource, version_of(current))

    def _as_it_is(self, change: JournalledChange, current: Resource, result: Undone) -> JournalledChange:
        state = ChangeState.KEPT if result.kept else ChangeState.UNDONE
        return replace(change, state=state, after_version=version_of(current), message="")

    def _moves(self) -> list[Write]:
        """Journal new resources that go to a Patient who was replaced, and return them to be written."""
        writes = []
        number = max((change.number for change in self.tools.journal.changes(self.merge.id)), default=0)
        for name, patient_id in sorted(self.decisions.moves.items()):
            current = self._current.get(name)
            if current is None:
                continue
            number += 1
            moved = repoint(current, {self.merge.survivor}, patient_id, base=self.tools.server.base)
            change = JournalledChange(number, name, None, None, moved, version_of(current))
            writes.append(Write(self.merge.id, change, moved, change.before_version))
        with self.tools.ledger.transaction():
            self.tools.journal.replace(self.merge.id, [write.change for write in writes])
        return writes

    def _again(self, write: Write, current: Resource | None) -> Write | Settled:
        """Decide anew about a resource that was changed while the merge was undone."""
        name = write.change.resource
        if current is None:
            return Settled(write.merge, replace(write.change, state=ChangeState.KEPT, message=_DELETED))
        self._current[name] = current
        if name in self._found:
            return self._write(self._found[name])
        patient_id = self.decisions.moves[name]
        moved = repoint(current, {self.merge.survivor}, patient_id, base=self.tools.server.base)
        if moved is current:
            return Settled(write.merge, replace(write.change, state=ChangeState.UNDONE, message=""))
        return Write(write.merge, replace(write.change, after=moved), moved, version_of(current))

    def _note(self, settled: Sequence[Settled]) -> None:
        with self.tools.ledger.transaction():
            changes = [one.change for one in settled]
            self.tools.journal.settle(self.merge.id, changes)
            recall_settled(changes, self.tools)
        self._count(settled)

    def _count(self, settled: Sequence[Settled]) -> None:
        for one in settled:
            change = one.change
            if change.state is ChangeState.FAILED:
                self.failed.append(f"{change.resource}: {change.message}")
            elif change.state is ChangeState.UNDONE:
                self.restored += 1
                self._versions[change.resource] = change.after_version
        bodies = [
            body
            for one in settled
            if one.change.resource.startswith("Patient/")
            for body in (one.change.before, one.change.after)
            if body
        ]
        self.tools.finder.forget(bodies)

    async def part_rows(self) -> None:
        """Let rows that were linked to a dose that went back stand for one of their own person."""
        parted = await part_rows(self.merge, self._find_rows(), self.tools)
        self._rows = parted.rows
        self.copied = tuple(f"Immunization/{one}" for one in parted.copies)

    async def write_provenance(self, request: UndoRequest) -> None:
        """Write who undid what; again, where this was interrupted before it was at its end."""
        created = [change for change in self.tools.journal.changes(self.merge.id) if change.kind is None]
        own = next((change for change in created[1:] if change.resource.startswith("Provenance/")), None)
        if own is None:
            number = max(change.number for change in self.tools.journal.changes(self.merge.id)) + 1
            own = JournalledChange(number, "", None, None, {}, "")
        at = self.tools.clock.now()
        content = provenance_of_undo(
            self.merge, self._versions_put_back(), user=request.user, at=at, reason=request.reason
        )
        shares = self._shares or RequestShares(lambda: self.tools.server.requests)
        await write_provenance([journalled_provenance(self.merge, own, content, self.tools)], self.tools, shares)

    def _versions_put_back(self) -> dict[str, str]:
        """Return the version of each resource that was put back, before an interruption as well."""
        done = self.tools.journal.changes(self.merge.id, ChangeState.UNDONE)
        return {change.resource: change.after_version for change in done if change.after_version} | self._versions

    def close(self) -> UndoOutcome:
        """Give the ledger's keys back, and keep the pair apart from now on."""
        told = [{"resource": one.resource, "path": one.path, "decision": "keep"} for one in self.kept]
        with self.tools.ledger.transaction():
            self.tools.ledger.merged_keys.give_back(self.merge.id, self._rows.rows)
            self.merge = self.tools.journal.finish_undo(self.merge.id, at=self.tools.clock.now(), conflicts=told)
        return UndoOutcome(
            self.merge,
            restored=self.restored,
            kept=tuple(self.kept),
            withdrawn=tuple(sorted(self.withdrawn)),
            copied=self.copied,
        )
