"""Plans merges: window by window everything is fetched together, then each group is decided; nothing is written."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_gateway.domain.merges import DuplicateGroup, GroupPlan, MergePlan
from fhir_gateway.flows.merge.fetching import fetch
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.grouping import judge_anew
from fhir_gateway.merging.planning import plan_group


async def plan(groups: Sequence[DuplicateGroup], tools: MergeTools, *, scan: bool = False) -> MergePlan:
    """Plan how these groups become one Patient each; the plan's changes name elements and hold no whole resources.

    Raises ServerError where the server has gone or cannot be searched for what refers to a Patient.
    """
    tools.progress.phase("planning", len(groups))
    planned: list[GroupPlan] = []
    for together in windows(groups, tools.window):
        planned += [without_bodies(one) for one in await plan_together(together, tools, scan=scan)]
        tools.progress.advance(len(planned))
    return MergePlan(tools.environment, tools.clock.now(), tuple(planned))


async def plan_together(groups: Sequence[DuplicateGroup], tools: MergeTools, *, scan: bool = False) -> list[GroupPlan]:
    """Plan groups upon one combined fetch, with the resources as they stand and as they will be.

    Whether they are one person is judged upon what was fetched, whatever the groups say.
    """
    ids = {patient_id for group in groups for patient_id in group.patient_ids}
    fetched = await fetch(ids, tools, scan=scan)
    parted = tools.ledger.keys.kept_apart(ids)
    planned = []
    for group in groups:
        patients = {one: fetched.patients[one] for one in group.patient_ids if one in fetched.patients}
        judged = judge_anew(group, patients.values(), parted=parted, policy=tools.matching)
        planned.append(
            plan_group(
                judged,
                patients,
                fetched.referring_to(group.patient_ids),
                zone=tools.zone,
                parted=parted,
                base=tools.server.base,
                unsearched=fetched.unsearched,
            )
        )
    return planned


def windows(groups: Sequence[DuplicateGroup], patients: int) -> Iterator[list[DuplicateGroup]]:
    """Yield groups that are handled together: at most so many Patients, or one group that has more."""
    together: list[DuplicateGroup] = []
    for group in groups:
        if together and sum(len(one.patient_ids) for one in together) + len(group.patient_ids) > patients:
            yield together
            together = []
        together.append(group)
    if together:
        yield together


def without_bodies(planned: GroupPlan) -> GroupPlan:
    """Return a plan whose changes name elements only: plans of thousands of groups have to fit into memory."""
    return replace(planned, changes=tuple(replace(change, before={}, after={}) for change in planned.changes))
