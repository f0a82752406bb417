"""The order of an export's steps, and how it goes on after an interruption."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from fhir_gateway.domain.exports import Checkpoint, FileKind
from fhir_gateway.flows.registry.exporting.associated import write_provenance
from fhir_gateway.flows.registry.exporting.past import transaction_time, write_deletions, write_overtaken
from fhir_gateway.flows.registry.exporting.tools import PERSONAL, ExportTools, Work
from fhir_gateway.flows.registry.exporting.walking import walk, walk_joined, walk_people, walk_stock
from fhir_gateway.flows.registry.exporting.writing import problem_line
from fhir_gateway.flows.registry.grouping import refresh_groups
from fhir_gateway.registry.exports import ASSOCIATED, ExportOrder, Level


class Action(StrEnum):
    """What a step does."""

    MOMENT = "moment"
    GROUPS = "groups"
    WALK = "walk"
    PEOPLE = "people"
    JOINED = "joined"
    OVERTAKEN = "overtaken"
    DELETIONS = "deletions"
    PROVENANCE = "provenance"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `resource_type` is "" where it concerns them all."""

    action: Action
    resource_type: str = ""


def steps_of(order: ExportOrder) -> tuple[Step, ...]:
    """Return the steps of an export; the same order always has the same ones."""
    steps = [Step(Action.MOMENT)]
    grouped = order.level is Level.GROUP
    if grouped:
        steps.append(Step(Action.GROUPS))
    for one in order.types:
        personal = one in PERSONAL
        steps.append(Step(Action.PEOPLE if order.patients and personal else Action.WALK, one))
        if grouped and personal and order.since is not None and not order.patients:
            steps.append(Step(Action.JOINED, one))
        steps.append(Step(Action.OVERTAKEN, one))
        if order.since is not None:
            steps.append(Step(Action.DELETIONS, one))
    if order.provenance:
        steps.append(Step(Action.PROVENANCE, ASSOCIATED))
    return tuple(steps)


async def export(order: ExportOrder, tools: ExportTools, done: Checkpoint) -> Checkpoint:
    """Carry an export on from a checkpoint to its end, and return the last one.

    Raises ServerError where the server cannot be read; what was reached is in the checkpoint that was saved last.
    """
    if not tools.files.restore(done.files):
        done = Checkpoint()
        tools.files.restore(())
    work = Work(order, tools, done)
    steps = steps_of(order)
    while work.done.step < len(steps):
        step = steps[work.done.step]
        if step.resource_type not in work.done.failed:
            await _ACTIONS[step.action](work, step.resource_type)
        work.done = replace(work.done, step=work.done.step + 1)
        if work.done.step == len(steps):
            _tell_ignored(work)
        work.save(cursor=())
    return work.done


def give_up(
    order: ExportOrder, tools: ExportTools, done: Checkpoint, *, reason: str, code: str = "transient"
) -> Checkpoint:
    """Return the checkpoint behind a step that cannot be done: its type is not exported, and an error file says why.

    `code` is FHIR's issue type.
    """
    step = steps_of(order)[done.step]
    failed = (step.resource_type,) if step.resource_type else order.types
    tools.files.restore(done.files)
    for one in failed:
        tools.files.drop(one)
    lines = [problem_line("error", code, f"{one} is not in this export: {reason}") for one in failed]
    tools.files.write(FileKind.ERROR, "OperationOutcome", lines)
    moment = done.transaction_time or tools.server.clock.now()
    given_up = replace(
        done,
        step=done.step + 1,
        cursor=(),
        failed=(*done.failed, *failed),
        files=tools.files.settle(),
        transaction_time=moment,
    )
    tools.save(given_up)
    return given_up


def _tell_ignored(work: Work) -> None:
    lines = [
        problem_line("warning", "not-supported", f"{one} is not known here and was ignored")
        for one in work.order.ignored
    ]
    if lines:
        work.tools.files.write(FileKind.ERROR, "OperationOutcome", lines)


async def _set_moment(work: Work, _: str) -> None:
    # Of both personal types in any case: who is a member of a group is told by them.
    types = sorted({*work.order.types, *PERSONAL, *([ASSOCIATED] if work.order.provenance else [])})
    work.done = replace(work.done, transaction_time=await transaction_time(types, work.tools))


async def _walk(work: Work, resource_type: str) -> None:
    if work.tools.stock is None:
        await walk(work, resource_type)
    else:
        await walk_stock(work, resource_type, work.tools.stock)


async def _refresh(work: Work, _: str) -> None:
    tools = work.tools
    await refresh_groups(tools.server, tools.groups, tools.history, until=work.moment, stock=tools.stock)


_ACTIONS: Mapping[Action, Callable[[Work, str], Awaitable[None]]] = {
    Action.MOMENT: _set_moment,
    Action.GROUPS: _refresh,
    Action.WALK: _walk,
    Action.PEOPLE: walk_people,
    Action.JOINED: walk_joined,
    Action.OVERTAKEN: write_overtaken,
    Action.DELETIONS: write_deletions,
    Action.PROVENANCE: write_provenance,
}
