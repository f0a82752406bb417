"""`merge undo`: takes a merge apart; what somebody changed again since is decided by a person."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import merging
from fhir_gateway.bootstrap.told_merges import told_of_rows
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import LEFT_OPEN
from fhir_gateway.cli.merge_files import write_private
from fhir_gateway.cli.merge_words import tell, tell_unfinished
from fhir_gateway.cli.printing import counted, masked, print_json, print_table
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.history import MergeFilter
from fhir_gateway.domain.merges import Merge, MergeState, UndoConflict
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.outcomes import shorten
from fhir_gateway.fhir.references import parse_literal
from fhir_gateway.flows.merge import UndoDecisions, UndoOutcome
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.merging.undoing import Decision
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()


@app.command("undo")
def undo_merge(
    merge: Annotated[
        int, typer.Argument(metavar="MERGE", min=1, max=options.MOST, help="The merge's number, see `merge history`.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the history.")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be done, and write nothing.")] = False,
    keep_now: Annotated[
        bool, typer.Option("--keep-now", help="What was changed since stays as it is, where undoing meets it.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="What was before the merge returns, even where it was changed since.")
    ] = False,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", metavar="FILE", help="A decision for each conflict; written here to be filled in."),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option("--move", metavar="TYPE/ID[=PATIENT]", help="A new resource that goes to a replaced Patient."),
    ] = None,
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    reveal: options.Reveal = False,
    as_json: options.Json = False,
) -> int:
    """Take a merge apart: what it changed is put back, and only that. Said again, it goes on where it stopped.

    With conflicts nothing is written until they are decided. Exit code 3: conflicts wait, or something failed.
    """
    if keep_now and restore:
        raise UsageError("--keep-now and --restore contradict each other")
    otherwise = Decision.KEEP if keep_now else Decision.RESTORE if restore else None
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        known = gateway.ledger.merges.get(merge)
        moves = _moves(move or (), known)
        if known and known.state is MergeState.UNDONE:
            _print_undone_before(known, gateway.ledger, moves, as_json=as_json)
            return 0
        decided = UndoDecisions(_read(decisions, merge), otherwise, moves)

        async def undone(road: merging.MergeRoad) -> UndoOutcome:
            if preview:
                return await road.preview_undo(merge, decided)
            return await road.undo(merge, user=user or options.login(), reason=reason, decisions=decided)

        outcome = merging.with_road(gateway, undone)
        progress.rest()
        tell_unfinished(gateway.ledger, environment)
    if outcome.conflicts and decisions and not decisions.exists():
        write_private(decisions, _to_be_filled_in(merge, outcome.conflicts), what="the list of conflicts")
        tell(f"{decisions} names each conflict: write keep or restore as its decision, then undo again with it")
    _print(outcome, preview=preview, reveal=reveal, as_json=as_json)
    return LEFT_OPEN if outcome.conflicts or outcome.failed else 0


def _print_undone_before(merge: Merge, ledger: Ledger, moves: Mapping[str, str], *, as_json: bool) -> None:
    """Say that nothing is left to be undone; raises UsageError where something new is asked for."""
    if moves:
        raise UsageError(f"merge {merge.id} is undone already: --move is for while it is being undone")
    if as_json:
        print_json(_as_json(UndoOutcome(merge)))
        return
    (record,) = ledger.merges.search.find(MergeFilter(), before=merge.id + 1, limit=1)
    when = f" on {record.undone:%Y-%m-%d %H:%M}" if record.undone else ""
    print(f"nothing to do: merge {merge.id} was undone already, by {record.undo_user}{when}")


def _moves(words: Sequence[str], merge: Merge | None) -> dict[str, str]:
    """Return which resource goes to which Patient; where one was replaced only, it need not be named."""
    replaced: Sequence[str] = merge.replaced if merge else ()
    moves = {}
    for word in words:
        resource, _, patient = word.partition("=")
        if resource.count("/") != 1:
            raise UsageError(f"--move takes TYPE/ID or TYPE/ID=PATIENT, not {word!r}")
        if not patient and len(replaced) != 1:
            raise UsageError(f"--move {resource}=PATIENT: name one of the replaced Patients ({', '.join(replaced)})")
        moves[resource] = patient.removeprefix("Patient/") or replaced[0]
    return moves


def _read(path: Path | None, merge: int) -> dict[str, dict[str, Decision]]:
    """Return the decisions of a file; nothing where it is not there yet, or has not been filled in."""
    if path is None or not path.exists():
        return {}
    try:
        content = json_text.parse(path.read_bytes())
        if content["merge"] != merge:
            raise UsageError(f"{path} is about merge {content['merge']}, not about merge {merge}")
        decisions: dict[str, dict[str, Decision]] = {}
        for line in content["conflicts"]:
            if line["decision"]:
                decisions.setdefault(line["resource"], {})[line["path"]] = Decision(line["decision"])
    except (OSError, KeyError, TypeError, ValueError):
        raise UsageError(
            f"{path} holds no decisions: each is keep or restore, the rest stays as it was written"
        ) from None
    return decisions


def _to_be_filled_in(merge: int, conflicts: Sequence[UndoConflict]) -> str:
    lines = [
        {"resource": one.resource, "path": one.path, "before": one.before, "now": one.now, "decision": ""}
        for one in conflicts
    ]
    return json_text.dump({"merge": merge, "conflicts": lines}, indented=True).decode() + "\n"


def _print(outcome: UndoOutcome, *, preview: bool, reveal: bool, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(outcome))
        return
    if outcome.conflicts:
        rows = [
            (one.resource, one.path, _shown(one.before, reveal=reveal), _shown(one.now, reveal=reveal))
            for one in outcome.conflicts
        ]
        print_table(("resource", "element", "before the merge", "now"), rows, title="changed again since the merge")
        print("nothing was written: decide with --keep-now, --restore or --decisions FILE")
    elif preview:
        print(f"undoing merge {outcome.merge.id} would put back {counted(outcome.restored, 'resource')}")
    else:
        print(f"merge {outcome.merge.id} is {outcome.merge.state}: {counted(outcome.restored, 'resource')} put back")
    for one in outcome.kept:
        print(f"  stays as it is now: {one.resource} {one.path}")
    for line in told_of_rows(outcome):
        print(line)
    for line in outcome.failed:
        tell(line)
    if outcome.arrived:
        print(f"came since and stays with {outcome.merge.survivor} (else --move): {', '.join(outcome.arrived)}")
    sys.stdout.flush()


def _shown(value: Any, *, reveal: bool) -> str:
    text = value if isinstance(value, str) else "" if value is None else orjson.dumps(value, default=str).decode()
    covered = not (reveal or parse_literal(text))  # where a reference leads is what is to be decided
    return shorten(masked(text) if covered else text)


def _as_json(outcome: UndoOutcome) -> dict[str, Any]:
    merge = outcome.merge
    return {
        "merge": merge.id,
        "state": merge.state,
        "survivor": merge.survivor,
        "replaced": list(merge.replaced),
        "restored": outcome.restored,
        "conflicts": [
            {"resource": one.resource, "path": one.path, "before": one.before, "now": one.now}
            for one in outcome.conflicts
        ],
        "kept": [{"resource": one.resource, "path": one.path} for one in outcome.kept],
        "failed": list(outcome.failed),
        "arrived": list(outcome.arrived),
        "withdrawn": list(outcome.withdrawn),
        "copied": list(outcome.copied),
    }
