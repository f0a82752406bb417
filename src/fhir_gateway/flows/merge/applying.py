"""Applies a plan: each group is planned anew upon what the server has now, compared, journalled, and carried out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fhir_gateway.domain.merges import (
    ChangeState,
    DuplicateGroup,
    GroupPlan,
    JournalledChange,
    Merge,
    MergePlan,
    MergeState,
)
from fhir_gateway.domain.runs import Run, RunKind
from fhir_gateway.flows.merge.carrying_out import Underway, carry_out
from fhir_gateway.flows.merge.planning import plan_together, windows
from fhir_gateway.flows.merge.request_shares import RequestShares, dealt
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.overtaking import Verdict, overtaken
from fhir_gateway.merging.provenance import provenance_of
from fhir_gateway.merging.searching import unsearchable_paths

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """Who merges, from where (`via`), and how: `scan` reads everything, `accept_conflicts` was said by who looked."""

    user: str
    via: str = "command"
    scan: bool = False
    accept_conflicts: bool = False


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """What became of one group of a plan: its merge, or why it was refused (then nothing of it was written)."""

    nik: str
    survivor: str
    replaced: tuple[str, ...]
    merge: Merge | None = None
    refused: tuple[str, ...] = ()
    unsearched: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    """What the server said of changes that failed, as `Type/id: words`."""
    spent: int = 0
    """HTTP requests that a group took which was refused."""
    overtaken: bool = False
    """Whether it was refused since the server is no longer as it was planned upon."""

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be done."""
        return self.merge is not None and not (self.refused or self.merge.failed or self.merge.remaining)

    @property
    def requests(self) -> int:
        """HTTP requests that the group took."""
        return self.merge.requests if self.merge else self.spent


@dataclass(slots=True)
class _Applying:
    """A plan on its way."""

    request: ApplyRequest
    tools: MergeTools
    shares: RequestShares
    fingerprint: str
    run: Run | None = None
    outcomes: dict[tuple[str, ...], GroupOutcome] = field(default_factory=dict)


async def apply(plan: MergePlan, request: ApplyRequest, tools: MergeTools) -> list[GroupOutcome]:
    """Merge a plan's groups and return what became of each, in the plan's order.

    Groups whose merges were begun before go on where they stopped, changes that failed are tried again, merges that
    are complete stay as they are, but with `scan` what still refers to their replaced Patients follows: the same plan can be applied again and again. Groups that share a resource follow
    each other, others go side by side. Raises LedgerError where somebody else merges in this environment, and
    ServerError where the server has gone; then the same command goes on.
    """
    with tools.ledger.merge_lock(f"a plan of {len(plan.groups)} group{'s' * (len(plan.groups) != 1)}"):
        work = _Applying(request, tools, RequestShares(lambda: tools.server.requests), _fingerprint(plan))
        work.run = tools.ledger.runs.unfinished(work.fingerprint)
        fresh: list[GroupPlan] = []
        begun: list[Merge] = []
        for group in plan.groups:
            earlier = merge_of(group.group, tools)
            if earlier is None:
                fresh.append(group)
            elif _open(earlier) or (request.scan and tools.journal.plan_of(earlier.id) is not None):
                begun.append(earlier)
            else:
                work.outcomes[group.group.patient_ids] = outcome_of(earlier, tools)
        tools.progress.phase("merging", sum(len(one.changes) + 1 for one in fresh) + _left(begun, tools))
        await _go_on(begun, work)
        by_ids = {one.group.patient_ids: one for one in fresh}
        for together in windows([one.group for one in fresh], tools.window):
            await _apply_together([by_ids[group.patient_ids] for group in together], work)
        if work.run is not None:
            with tools.ledger.transaction():
                tools.ledger.runs.finish(work.run, tools.clock.now())
        return [
            work.outcomes.get(one.group.patient_ids) or outcome_of(_earlier(one.group, tools), tools)
            for one in plan.groups
        ]


async def resume(merges: Sequence[Merge], request: ApplyRequest, tools: MergeTools) -> list[GroupOutcome]:
    """Carry on merges that were begun or left changes failed; return what became of each."""
    with tools.ledger.merge_lock("merges that were begun before"):
        work = _Applying(request, tools, RequestShares(lambda: tools.server.requests), "")
        begun = [one for one in merges if _open(one)]
        tools.progress.phase("merging", _left(begun, tools))
        await _go_on(begun, work)
        _finish_runs({one.run for one in merges}, tools)
        return [outcome_of(tools.journal.get(one.id) or one, tools) for one in merges]


def merge_of(group: DuplicateGroup, tools: MergeTools) -> Merge | None:
    """Return the newest merge of exactly these Patients that stands or is on its way, None where there is none."""
    ids = set(group.patient_ids)
    same = [one for one in tools.journal.by_patient(group.patient_ids) if {one.survivor, *one.replaced} == ids]
    return same[-1] if same and same[-1].state in {MergeState.APPLYING, MergeState.APPLIED} else None


def _earlier(group: DuplicateGroup, tools: MergeTools) -> Merge:
    found = merge_of(group, tools)
    if found is None:
        raise LookupError("a group that was applied has its merge")
    return found


def _open(merge: Merge) -> bool:
    return merge.state is MergeState.APPLYING or bool(merge.failed or merge.remaining)


def _left(merges: Sequence[Merge], tools: MergeTools) -> int:
    """Return how many changes of merges are still to be made, as the journal knows."""
    return sum(1 for one in merges for _ in tools.journal.changes(one.id, ChangeState.PLANNED, ChangeState.FAILED))


def outcome_of(merge: Merge, tools: MergeTools) -> GroupOutcome:
    """Return how a merge stands."""
    plan = tools.journal.plan_of(merge.id)
    names = set(merge.failed)
    messages = tuple(
        f"{change.resource}: {change.message}"
        for change in (tools.journal.changes(merge.id) if names else ())
        if change.resource in names and change.message
    )
    unsearched = plan.unsearched if plan else ()
    return GroupOutcome(merge.nik, merge.survivor, merge.replaced, merge, (), unsearched, messages)


async def _go_on(merges: Sequence[Merge], work: _Applying) -> None:
    """Carry on merges that were begun before; those that share a resource one after the other."""
    left = list(merges)
    while left:
        now, left = _apart([(merge, _names(merge, work.tools)) for merge in left])
        finished = await carry_out(
            [Underway.of(merge, work.tools) for merge in now],
            work.tools,
            work.shares,
            reread=True,
            scan=work.request.scan,
        )
        for merge in finished:
            work.outcomes[tuple(sorted((merge.survivor, *merge.replaced)))] = outcome_of(merge, work.tools)


def _names(merge: Merge, tools: MergeTools) -> set[str]:
    plan = tools.journal.plan_of(merge.id)
    return {change.resource for change in plan.changes} if plan else set()


async def _apply_together(planned: Sequence[GroupPlan], work: _Applying) -> None:
    """Apply groups of one window: fetched together, those that share no resource carried out side by side."""
    tools = work.tools
    left = list(planned)
    while left:
        scan = work.request.scan or await _was_scanned(left, tools)
        anew = await plan_together([one.group for one in left], tools, scan=scan)
        fetching = dealt(work.shares.taken(), dict.fromkeys(range(len(left)), 1))
        pairs = [
            ((n, one, new), {c.resource for c in new.changes})
            for n, (one, new) in enumerate(zip(left, anew, strict=True))
        ]
        now, later = _apart(pairs)
        begun = []
        for number, one, new in now:
            refused = _refusal(one, new, work.request)
            if refused:
                work.outcomes[one.group.patient_ids] = replace(refused, spent=fetching[number])
            else:
                begun.append((_begin(new, work), fetching[number]))
        finished = await carry_out(
            [Underway.of(merge, tools, requests=requests) for merge, requests in begun],
            tools,
            work.shares,
            reread=False,
            scan=scan,
        )
        for merge in finished:
            work.outcomes[tuple(sorted((merge.survivor, *merge.replaced)))] = outcome_of(merge, tools)
        left = [one for _, one, _ in later]


async def _was_scanned(planned: Sequence[GroupPlan], tools: MergeTools) -> bool:
    """Tell whether the plan was made with everything read, although searches do not reach everything here."""
    if any(one.unsearched for one in planned):
        return False
    return bool(unsearchable_paths(await tools.server.search_parameters()))


def _refusal(planned: GroupPlan, anew: GroupPlan, request: ApplyRequest) -> GroupOutcome | None:
    """Return a group that is not merged with the reasons, None where it is."""
    compared = overtaken(planned, anew)
    gone = compared.verdict is Verdict.REFUSED or not anew.replaced
    blocking = [conflict for conflict in anew.conflicts if conflict.blocks]
    if gone:
        differences = compared.reasons or ("nobody is left to be merged",)
        reasons = tuple(f"the server has overtaken the plan: {words}; plan it anew" for words in differences)
    elif blocking and not request.accept_conflicts:
        reasons = tuple(f"{conflict.code}: {conflict.text} ({', '.join(conflict.resources)})" for conflict in blocking)
    else:
        return None
    nik, unsearched = planned.group.nik, anew.unsearched
    return GroupOutcome(nik, anew.survivor, anew.replaced, None, reasons, unsearched, overtaken=gone)


def _begin(anew: GroupPlan, work: _Applying) -> Merge:
    """Write a group's changes down before anything is sent."""
    tools = work.tools
    with tools.ledger.transaction():
        if work.run is None:
            work.run = _run(work)
        at = tools.clock.now()
        created = JournalledChange(
            0, "", None, None, provenance_of(anew, {}, merge=0, user=work.request.user, at=at), ""
        )
        return tools.journal.begin(work.run.id, anew, [created], user=work.request.user, at=at, via=work.request.via)


def _run(work: _Applying) -> Run:
    started, user = work.tools.clock.now(), work.request.user
    run = work.tools.ledger.runs.start(
        kind=RunKind.MERGE, fingerprint=work.fingerprint, files=(), clinic="", user=user, started=started
    )
    work.tools.ledger.runs.decide_by(run, work.tools.matching.thresholds())
    return run


def _fingerprint(plan: MergePlan) -> str:
    groups = sorted(" ".join(sorted(one.group.patient_ids)) for one in plan.groups)
    return "merge:" + hashlib.sha256("\n".join(groups).encode()).hexdigest()[:40]


def _finish_runs(numbers: set[int], tools: MergeTools) -> None:
    """Close runs none of whose merges is on its way any more."""
    busy = {one.run for one in tools.journal.unfinished()}
    with tools.ledger.transaction():
        for number in sorted(numbers - busy):
            run = tools.ledger.runs.get(number)
            if run is not None and run.finished is None:
                tools.ledger.runs.finish(run, tools.clock.now())


def _apart(candidates: Sequence[tuple[T, set[str]]]) -> tuple[list[T], list[T]]:
    """Return who can go side by side, since no resource is changed by two of them, and who comes after."""
    taken: set[str] = set()
    now: list[T] = []
    later: list[T] = []
    for candidate, names in candidates:
        (later if names & taken else now).append(candidate)
        taken |= names
    return now, later
