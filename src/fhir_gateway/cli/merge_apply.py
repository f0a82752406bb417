"""`merge plan|apply`: duplicates become one Patient."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import merging
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import LEFT_OPEN
from fhir_gateway.cli.merge_files import write_private
from fhir_gateway.cli.merge_niks import is_nik, masked_niks, read_niks
from fhir_gateway.cli.merge_words import tell, tell_unfinished
from fhir_gateway.cli.printing import counted, print_json, print_table
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.merges import ChangeKind, GroupPlan, MergePlan
from fhir_gateway.flows.merge import ApplyRequest, GroupOutcome
from fhir_gateway.merging.plan_file import read_plan, write_plan
from fhir_gateway.reports.targets import check_writable
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()

Scan = Annotated[
    bool,
    typer.Option("--scan", help="Read everything that may refer to a Patient, not only what searches reach; slow."),
]


@app.command("plan")
def make_plan(
    out: Annotated[Path, typer.Option("--out", metavar="PLAN", help="Where the plan is written.")],
    people: Annotated[
        list[str] | None,
        typer.Argument(metavar="NIK|PATIENT…", help="NIKs, one person each; or ids of Patients that are one person."),
    ] = None,
    niks: Annotated[
        Path | None, typer.Option("--niks", metavar="FILE", help="A file with one NIK in each line.")
    ] = None,
    scan: Scan = False,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Plan how Patients become one: who stays and why, what changes, what is doubtful. Nothing is written but PLAN."""
    check_writable(out, [niks] if niks else [])
    words = people or []
    wanted = [*(word for word in words if is_nik(word)), *(read_niks(niks) if niks else [])]
    named = [word for word in words if not is_nik(word)]
    if not wanted and not named:
        raise UsageError("name at least one NIK, two Patients, or a file with --niks")
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        tell_unfinished(gateway.ledger, environment)

        async def planned(road: merging.MergeRoad) -> tuple[MergePlan, tuple[str, ...]]:
            selected = await road.selected(wanted, named)
            return await road.plan(selected.groups, scan=scan), selected.single

        plan, single = merging.with_road(gateway, planned)
    write_private(out, write_plan(plan), what="the plan")
    if single:
        tell(f"nothing to merge for {len(single)} NIK: fewer than two active Patients carry it ({masked_niks(single)})")
    if as_json:
        print_json({"plan": str(out), "groups": [_group_as_json(group) for group in plan.groups]})
        return
    for group in plan.groups:
        _print_group(group)
    print(planned_words(plan.groups, out))


@app.command("apply")
def apply_plan(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="PLAN", help="The plan to be applied; without one, what was interrupted goes on."),
    ] = None,
    accept_conflicts: Annotated[
        bool, typer.Option("--accept-conflicts", help="Merge groups with conflicts, too: you have looked at them.")
    ] = False,
    scan: Scan = False,
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    as_json: options.Json = False,
) -> int:
    """Merge as planned. Said again, it goes on where it stopped and tries again what failed.

    Exit code 0: every group is merged. 3: some group was refused, or something of it failed; the messages say why.
    """
    wanted = None if plan is None else _read(plan, environment)
    began = datetime.now(UTC)
    request = ApplyRequest(user or options.login(), scan=scan, accept_conflicts=accept_conflicts)
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:

        async def merged(road: merging.MergeRoad) -> list[GroupOutcome]:
            return await (road.resume(request) if wanted is None else road.apply(wanted, request))

        outcomes = merging.with_road(gateway, merged)
        progress.rest()
        tell_unfinished(gateway.ledger, environment)
    if as_json:
        print_json({"merges": [_outcome_as_json(outcome) for outcome in outcomes]})
    else:
        _print_outcomes(outcomes)
    if not scan and (before := sum(_made_before(outcome, began) for outcome in outcomes)):
        tell(f"{'1 merge was' if before == 1 else f'{before} merges were'} made before: nothing to do")
    groups = wanted.groups if wanted else ()
    for outcome in outcomes:
        for line in (*outcome.refused, *outcome.messages):
            tell(f"{outcome.survivor}: {line}")
    for group, outcome in zip(groups, outcomes, strict=False):
        if outcome.refused:
            tell(f"{group.survivor}: nothing of this group was written; {_what_to_do(group, outcome, environment)}")
    return 0 if all(outcome.whole for outcome in outcomes) else LEFT_OPEN


def _made_before(outcome: GroupOutcome, began: datetime) -> bool:
    finished = outcome.merge.finished if outcome.merge else None
    return outcome.whole and finished is not None and finished < began


def planned_words(groups: Sequence[GroupPlan], out: Path) -> str:
    """Say what applying a plan will do: groups with conflicts that block are refused."""
    if not groups:
        return "no group"
    several = len(groups) > 1
    blocked = sum(any(conflict.blocks for conflict in group.conflicts) for group in groups)
    if not blocked:
        does = "merges them" if several else "merges it"
    elif blocked < len(groups):
        does = f"merges {len(groups) - blocked} of them: {blocked} with a CONFLICT"
    else:
        does = "refuses them for their CONFLICTs" if several else "refuses it for its CONFLICT"
    way_out = "; where it is one person all the same, say --accept-conflicts" if blocked else ""
    return f"{counted(len(groups), 'group')} planned; `fhir-gateway merge apply {out}` {does}{way_out}"


def _what_to_do(group: GroupPlan, outcome: GroupOutcome, environment: str) -> str:
    """Say how a group that was refused is merged after all; a NIK is not repeated on the screen."""
    if not outcome.overtaken:
        return "where the conflicts were looked at and it is one person all the same, say --accept-conflicts"
    people = "NIK" if group.group.nik else " ".join(group.group.patient_ids)
    which = " (the NIK stands in the plan)" if group.group.nik else ""
    return f"plan it anew and look again: `fhir-gateway merge plan {people} --out PLAN --env {environment}`{which}"


def _read(path: Path, environment: str) -> MergePlan:
    try:
        plan = read_plan(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not written in UTF-8"
        raise UsageError(f"the plan {path} cannot be read: {words}") from None
    if plan.environment != environment:
        raise UsageError(f"this plan was made for environment {plan.environment}, not for {environment}")
    return plan


def _print_group(group: GroupPlan) -> None:
    whose = f"NIK {masked_niks([group.group.nik])}" if group.group.nik else "these Patients"
    rows: list[tuple[str, object]] = [
        ("survivor", f"{group.survivor} ({group.survivor_words})"),
        ("replaced", ", ".join(group.replaced) or "nobody"),
        ("rule", f"{group.group.rule}, {group.group.grade}"),
        *(("field", f"{one.field}: {one.rule}, from {', '.join(one.taken_from)}") for one in group.fields),
        ("changes", _by_type(group)),
        *(("one dose", f"{dose.kept} stays, {dose.in_error} becomes entered-in-error") for dose in group.doses),
        *(
            (
                "CONFLICT" if one.blocks else "to know",
                f"{one.text} ({', '.join(one.resources)})" if one.resources else one.text,
            )
            for one in group.conflicts
        ),
    ]
    if group.unsearched:
        words = (
            f"{counted(len(group.unsearched), 'element')} that may refer to a Patient (PLAN names them);"
            " --scan reads everything"
        )
        rows.append(("not searched", words))
    print_table(("", ""), rows, title=f"{whose}: {len(group.group.patient_ids)} Patients become one")


def _by_type(group: GroupPlan) -> str:
    types = Counter(
        change.resource.partition("/")[0] for change in group.changes if change.kind is not ChangeKind.REPLACED
    )
    return ", ".join(f"{count} {name}" for name, count in sorted(types.items())) or "none"


def _group_as_json(group: GroupPlan) -> dict[str, Any]:
    return {
        "nik": group.group.nik,
        "survivor": group.survivor,
        "why": group.survivor_words,
        "scores": dict(group.scores),
        "replaced": list(group.replaced),
        "rule": group.group.rule,
        "grade": group.group.grade,
        "fields": [
            {"field": one.field, "rule": one.rule, "taken_from": list(one.taken_from), "dropped": list(one.dropped)}
            for one in group.fields
        ],
        "changes": dict(Counter(change.resource.partition("/")[0] for change in group.changes)),
        "doses": [{"kept": dose.kept, "in_error": dose.in_error} for dose in group.doses],
        "conflicts": [
            {"code": one.code, "text": one.text, "resources": list(one.resources), "blocks": one.blocks}
            for one in group.conflicts
        ],
        "unsearched": list(group.unsearched),
        "digest": group.digest,
    }


def _outcome_as_json(outcome: GroupOutcome) -> dict[str, Any]:
    """Return an outcome as the contract has it; a group that was refused has no merge, and its reasons are `failed`."""
    merge = outcome.merge
    return {
        "merge": merge.id if merge else None,
        "nik": outcome.nik,
        "survivor": outcome.survivor,
        "replaced": list(outcome.replaced),
        "changed": merge.changed if merge else 0,
        "requests": outcome.requests,
        "failed": [*(merge.failed if merge else ()), *outcome.refused],
    }


def _print_outcomes(outcomes: Sequence[GroupOutcome]) -> None:
    rows = []
    for outcome in outcomes:
        merge = outcome.merge
        rows.append(
            (
                merge.id if merge else "refused",
                outcome.survivor,
                ", ".join(outcome.replaced),
                merge.changed if merge else 0,
                outcome.requests,
                len(merge.failed) if merge else "",
                _proof(outcome),
            )
        )
    print_table(
        ("merge", "survivor", "replaced", "changed", "requests", "failed", "still refers to the replaced"), rows
    )


def _proof(outcome: GroupOutcome) -> str:
    """Say what the closing search found."""
    if outcome.merge is None:
        return ""
    if outcome.merge.remaining:
        return ", ".join(outcome.merge.remaining)
    return (
        f"nothing, as far as searches reach ({counted(len(outcome.unsearched), 'element')})"
        if outcome.unsearched
        else "nothing"
    )
