"""`merge history|show`: what was merged, by whom and why."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway.bootstrap.history import history_of
from fhir_gateway.bootstrap.told_merges import told_change, told_parting, told_plan, told_record
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import masked, print_json, print_table, print_text
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.history import MergeFilter, MergeRecord, Parting
from fhir_gateway.domain.merges import MergeState
from fhir_gateway.settings import EMBEDDED, home, load_environment

app = typer.Typer()

Merge = Annotated[
    int,
    typer.Argument(metavar="MERGE", min=1, max=options.MOST, help="The merge's number, as `merge history` shows it."),
]
Patient = Annotated[str, typer.Option("--patient", metavar="ID", help="A Patient's id, surviving or replaced.")]
Nik = Annotated[str, typer.Option("--nik", metavar="NIK", help="A person's NIK.")]


@app.command("history")
def list_merges(
    nik: Nik = "",
    patient: Patient = "",
    run: Annotated[
        int | None, typer.Option("--run", metavar="RUN", min=1, max=options.MOST, help="The run that merged.")
    ] = None,
    user: Annotated[str, typer.Option("--user", metavar="WHO", help="Who merged or undid.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From then on (2024-01-31, or with a time).")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until then.")] = "",
    parted: Annotated[
        bool, typer.Option("--parted", help="List who was said to be different people instead, by whom and why.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the whole history, to be verified elsewhere.")
    ] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="With --export: identifiers, plans and resources too.")
    ] = False,
    reveal: options.Reveal = False,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """List merges, the newest first: who became whom, when, by whom, by which rule, and what was undone."""
    wanted = MergeFilter(nik, patient, run, user, _moment("--since", since), _moment("--until", until))
    with history_of(environment) as history:
        if export is not None:
            history.export(export, personal=personal)
            if as_json:
                print_json({"export": str(export), "personal": personal})
                return
            print(
                f"the history is in {export}; verify it with `python -m fhir_gateway.audit.verify_history {export} --public-key KEY`"
            )
            return
        if parted:
            _list_partings(history.partings(_of_partings(wanted)), as_json=as_json)
            return
        found = history.records(wanted)
    if as_json:
        print_json([told_record(one) for one in found])
        return
    print_table(
        ("merge", "state", "NIK", "survivor", "replaced", "rule", "by", "begun (UTC)"),
        [_row(one, reveal=reveal) for one in found],
    )


def _of_partings(wanted: MergeFilter) -> MergeFilter:
    if wanted.nik or wanted.run is not None:
        raise UsageError("--parted cannot be asked by --nik or --run: such a decision names Patients; give --patient")
    return wanted


def _list_partings(found: Sequence[Parting], *, as_json: bool) -> None:
    if as_json:
        print_json([told_parting(one) for one in found])
        return
    print_table(
        ("entry", "different people", "by", "from", "when (UTC)", "why", "overruled by merge"),
        [
            (
                one.entry,
                "erased" if one.erased else " ".join(one.patient_ids),
                one.user,
                one.via,
                f"{one.at:%Y-%m-%d %H:%M}",
                one.reason,
                " ".join(map(str, one.overruled)),
            )
            for one in found
        ],
    )


@app.command()
def show(
    merge: Merge,
    reveal: options.Reveal = False,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Show a merge: who, when, why, the evidence, what changed from which version to which, and its undoing."""
    policy = load_environment(environment, home()).matching
    with history_of(environment) as history:
        view = history.show(merge)
    if view is None:
        raise UsageError(f"there is no merge {merge}; `fhir-gateway merge history` lists them")
    if as_json:
        plan = told_plan(view.plan, view.run, policy) if view.plan else None
        changes = [told_change(one) for one in view.changes]
        entries = [
            {"entry": one.entry.number, "event": one.entry.event, "at": one.entry.at, "user": one.user, "via": one.via}
            for one in view.entries
        ]
        print_json({**told_record(view.record), "plan": plan, "changes": changes, "entries": entries})
        return
    _print_heading(view.record, reveal=reveal)
    if view.plan:
        print_text(f"  {view.plan.survivor_words}")
        for pair in told_plan(view.plan, view.run, policy)["evidence"]:
            print(f"  {' and '.join(map(str, pair['pair']))}:")
            for words in pair["words"]:
                print_text(f"    {words}")
    print_table(
        ("entry", "what", "at (UTC)", "by", "from"),
        [(e.entry.number, e.entry.event, f"{e.entry.at:%Y-%m-%d %H:%M}", e.user, e.via) for e in view.entries],
    )
    print_table(
        ("resource", "what", "state", "version before", "after"),
        [(c.resource, c.kind or "created", c.state, c.before_version, c.after_version) for c in view.changes],
    )


def _row(record: MergeRecord, *, reveal: bool) -> tuple[object, ...]:
    one = record.merge
    nik = one.nik if reveal else masked(one.nik)
    return (
        one.id,
        one.state,
        nik,
        one.survivor,
        " ".join(one.replaced),
        one.rule,
        one.user,
        f"{one.begun:%Y-%m-%d %H:%M}",
    )


def _moment(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} must be a date or a time, as 2024-01-31 or 2024-01-31T08:00+07:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _print_heading(record: MergeRecord, *, reveal: bool) -> None:
    one = record.merge
    stands = "stood" if one.state is MergeState.UNDONE else "stands"
    people = "" if record.erased else f": Patient/{one.survivor} {stands} for {', '.join(one.replaced)}"
    print(f"merge {one.id}, {one.state}{people}")
    nik = f", NIK {one.nik if reveal else masked(one.nik)}" if one.nik else ""
    print(f"  rule {one.rule}, grade {one.grade}{nik}")
    if record.undo_user:
        reason = f": {record.undo_reason}" if record.undo_reason else ""
        print_text(f"  undone by {record.undo_user}{reason}")
    if record.erased:
        print("  the personal data of this merge was erased: only what holds none is left")
