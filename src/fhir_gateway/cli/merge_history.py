"""`merge history|show|verify|checkpoint|prove|erase`: what was merged, by whom and why, provably unaltered."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway.bootstrap.history import Verification, history_of
from fhir_gateway.bootstrap.told_merges import told_change, told_plan, told_record
from fhir_gateway.cli import options
from fhir_gateway.cli.merge_files import write_private
from fhir_gateway.cli.printing import masked, print_json, print_table, print_text
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.history import MergeFilter, MergeRecord
from fhir_gateway.settings import EMBEDDED, home, load_environment

CHECK_FAILED = 3

app = typer.Typer()

Merge = Annotated[
    int, typer.Argument(metavar="MERGE", min=1, max=2**31, help="The merge's number, as `merge history` shows it.")
]
Patient = Annotated[str, typer.Option("--patient", metavar="ID", help="A Patient's id, surviving or replaced.")]
Nik = Annotated[str, typer.Option("--nik", metavar="NIK", help="A person's NIK.")]


@app.command("history")
def list_merges(
    nik: Nik = "",
    patient: Patient = "",
    run: Annotated[
        int | None, typer.Option("--run", metavar="RUN", min=1, max=2**31, help="The run that merged.")
    ] = None,
    user: Annotated[str, typer.Option("--user", metavar="WHO", help="Who merged or undid.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From then on (2024-01-31, or with a time).")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until then.")] = "",
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
            print(f"the history is in {export}; verify it with `python -m fhir_gateway.audit.verify_history`")
            return
        found = history.records(wanted)
    if as_json:
        print_json([told_record(one) for one in found])
        return
    print_table(
        ("merge", "state", "NIK", "survivor", "replaced", "rule", "by", "begun (UTC)"),
        [_row(one, reveal=reveal) for one in found],
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
        plan = told_plan(view.plan, policy) if view.plan else None
        changes = [told_change(one) for one in view.changes]
        entries = [
            {"entry": one.entry.number, "event": one.entry.event, "at": one.entry.at, "user": one.user, "via": one.via}
            for one in view.entries
        ]
        print_json({**told_record(view.record), "plan": plan, "changes": changes, "entries": entries})
        return
    one = view.record.merge
    print(f"merge {one.id}, {one.state}: Patient/{one.survivor} stands for {', '.join(one.replaced)}")
    print(f"  rule {one.rule}, grade {one.grade}, NIK {one.nik if reveal else masked(one.nik)}")
    if view.record.erased:
        print("  the personal data of this merge was erased: only what holds none is left")
    if view.plan:
        print_text(f"  {view.plan.survivor_words}")
        for pair in told_plan(view.plan, policy)["evidence"]:
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


@app.command()
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that was kept elsewhere; can be repeated."),
    ] = None,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Recompute the whole history; exit 3 where a row was changed, removed, added or put elsewhere."""
    notes = {str(path): _text(path) for path in checkpoint or []}
    with history_of(environment) as history:
        found = history.verify(notes)
    if as_json:
        print_json({"passed": found.passed, **_verification(found)})
    else:
        print(f"{found.entries} entries of {found.merges} merges, root {found.root}")
        print(f"{found.checkpoints} own checkpoints, the newest vouches for {found.signed} entries")
        for merge in found.erased:
            print(f"merge {merge}: erased as the law asks for; its hashes stand")
        for fault in found.faults:
            print_text(f"FAULT {fault}")
        if found.fault_count > len(found.faults):
            print(f"… and {found.fault_count - len(found.faults)} faults more")
        for caveat in found.caveats:
            print_text(f"not known: {caveat}")
        print("the history is unaltered, as far as is known" if found.passed else "the history WAS ALTERED")
    if not found.passed:
        raise typer.Exit(CHECK_FAILED)


@app.command()
def checkpoint(
    public_key: Annotated[
        bool, typer.Option("--public-key", help="Print the key that checkpoints are checked with instead.")
    ] = False,
    environment: options.Environment = EMBEDDED,
) -> None:
    """Print a signed checkpoint of the history: keep it elsewhere, and a cut-off end can be found out."""
    with history_of(environment) as history:
        print((history.public_key() if public_key else history.checkpoint()).rstrip("\n"))


@app.command()
def prove(
    merge: Merge,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the proof is written (JSON).")],
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="An earlier checkpoint, to be shown to be of this history."),
    ] = None,
    environment: options.Environment = EMBEDDED,
) -> None:
    """Write the proof that a merge stands in the history, to be checked by whoever has a checkpoint."""
    with history_of(environment) as history:
        proof = history.prove(merge, earlier=_text(checkpoint) if checkpoint else "")
    write_private(out, json.dumps(proof) + "\n")
    print(f"the proof is in {out}; check it with `python -m fhir_gateway.audit.verify_history`")


@app.command()
def erase(
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays for good: no patient's data in it.")],
    nik: Nik = "",
    patient: Patient = "",
    user: options.User = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    environment: options.Environment = EMBEDDED,
) -> None:
    """Erase a person's data from the history, where the law asks for it; salted hashes stay, and the chain holds."""
    if bool(nik) == bool(patient):
        raise UsageError("name the person by --nik or by --patient, one of them")
    with history_of(environment) as history:
        what = history.to_erase(nik=nik, patient=patient)
        if not what.merges and not what.entries and not what.jobs:
            raise UsageError("the history has nothing of this person")
        print(f"this erases the personal data of merges {', '.join(map(str, what.merges)) or 'none'} for good,")
        print(f"of {len(what.entries)} decisions to part and of {len(what.jobs)} lines of merge jobs")
        print("what loads, reviews and registries' pulls keep of the person is not touched: see docs/audit.md")
        if what.applied:
            print(f"merges {', '.join(map(str, what.applied))} stand, and cannot be undone afterwards")
        if not yes and not typer.confirm("erase?"):
            raise typer.Exit(1)
        print(f"erased; entry {history.erase(what, user=user or options.login(), reason=reason)} tells of it")


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


def _verification(found: Verification) -> dict[str, object]:
    return {
        "entries": found.entries,
        "merges": found.merges,
        "root": found.root,
        "checkpoints": found.checkpoints,
        "signed": found.signed,
        "erased": found.erased,
        "faults": found.faults,
        "fault_count": found.fault_count,
        "not_known": found.caveats,
    }


def _moment(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} must be a date or a time, as 2024-01-31 or 2024-01-31T08:00+07:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} cannot be read") from None
