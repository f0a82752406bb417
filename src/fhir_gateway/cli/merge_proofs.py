"""`merge verify|checkpoint|prove|erase`: the history of merges, provably unaltered, and what the law has taken out of it."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway.audit.verify_history import Checkpoint, PublicKey, read_keys
from fhir_gateway.bootstrap.history import Verification, history_of
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import COULD_NOT_FINISH, LEFT_OPEN
from fhir_gateway.cli.merge_files import write_private
from fhir_gateway.cli.merge_history import Merge, Nik, Patient
from fhir_gateway.cli.merge_words import tell
from fhir_gateway.cli.printing import counted, print_json, print_text
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.history import Erasure
from fhir_gateway.reports.targets import check_writable
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()


@app.command()
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that was kept elsewhere; can be repeated."),
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(
            "--public-key",
            metavar="KEY",
            help="Trust this key (or a file of keys) instead of the gateway's; can be repeated.",
        ),
    ] = None,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Recompute the whole history; exit 3 where a row was changed, removed, added or put elsewhere."""
    notes = {str(path): _text(path) for path in checkpoint or []}
    keys = [key for text in public_key or [] for key in _keys(text)]
    with history_of(environment) as history:
        found = history.verify(notes, keys)
    if as_json:
        print_json({"passed": found.passed, **_verification(found)})
    else:
        print(f"{counted(found.entries, 'entry', 'entries')} of {counted(found.merges, 'merge')}, root {found.root}")
        print(
            f"{counted(found.checkpoints, 'own checkpoint')}, the newest vouches for {counted(found.signed, 'entry', 'entries')}"
        )
        for merge in found.erased:
            print(f"merge {merge}: erased as the law asks for; its hashes stand")
        for fault in found.faults:
            print_text(f"FAULT {fault}")
        if found.fault_count > len(found.faults):
            print(f"… and {counted(found.fault_count - len(found.faults), 'more fault')}")
        for caveat in found.caveats:
            print_text(f"not known: {caveat}")
        print("the history is unaltered, as far as is known" if found.passed else "the history WAS ALTERED")
    if not found.passed:
        raise typer.Exit(LEFT_OPEN)


@app.command()
def checkpoint(
    public_key: Annotated[
        bool, typer.Option("--public-key", help="Print the key that checkpoints are checked with instead.")
    ] = False,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Print a signed checkpoint of the history: keep it elsewhere, and a cut-off end can be found out."""
    with history_of(environment) as history:
        printed = history.public_key() if public_key else history.checkpoint()
    if not as_json:
        print(printed.rstrip("\n"))
        return
    if public_key:
        print_json({"public_key": printed})
        return
    said = Checkpoint.parse(printed)
    root = base64.b64encode(said.root).decode()
    print_json({"origin": said.origin, "entries": said.size, "root": root, "time": said.time, "checkpoint": printed})


@app.command()
def prove(
    merge: Merge,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the proof is written (JSON).")],
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="An earlier checkpoint, to be shown to be of this history."),
    ] = None,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Write the proof that a merge stands in the history, with all its entries, for whoever has the public key."""
    check_writable(out, [checkpoint] if checkpoint else [])
    with history_of(environment) as history:
        proof = history.prove(merge, earlier=_text(checkpoint) if checkpoint else "")
    write_private(out, json.dumps(proof) + "\n", what="the proof")
    if as_json:
        print_json({"merge": merge, "proof": str(out), "entries": len(proof["entries"])})
        return
    print(f"the proof is in {out}; check it with `python -m fhir_gateway.audit.verify_history {out} --public-key KEY`")


@app.command()
def erase(
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays for good: no patient's data in it.")],
    nik: Nik = "",
    patient: Patient = "",
    user: options.User = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> int:
    """Erase a person's data from the history, where the law asks for it; salted hashes stay, and the chain holds.

    What would be erased is told before it is asked for; answered with anything but yes, nothing is erased (exit 1).
    """
    if bool(nik) == bool(patient):
        raise UsageError("name the person by --nik or by --patient, one of them")
    with history_of(environment) as history:
        what = history.to_erase(nik=nik, patient=patient)
        if not what.merges and not what.entries and not what.jobs:
            raise UsageError("the history has nothing of this person")
        for line in _would_be_erased(what):
            print_text(line, file=sys.stderr if as_json else sys.stdout)
        if not yes and not _confirmed():
            tell("nothing was erased")
            return COULD_NOT_FINISH
        entry = history.erase(what, user=user or options.login(), reason=reason)
    if as_json:
        decisions, lines = len(what.entries), len(what.jobs)
        print_json(
            {
                "entry": entry,
                "merges": what.merges,
                "standing": what.applied,
                "decisions": decisions,
                "job_lines": lines,
            }
        )
    else:
        print(f"erased; entry {entry} tells of it")
    return 0


def _would_be_erased(what: Erasure) -> Iterator[str]:
    yield f"this erases the personal data of merges {', '.join(map(str, what.merges)) or 'none'} for good,"
    yield f"of {counted(len(what.entries), 'decision')} to part and of {counted(len(what.jobs), 'line')} of merge jobs"
    yield "what loads, reviews and registries' pulls keep of the person is not touched: see docs/audit.md"
    if what.applied:
        yield f"merges {', '.join(map(str, what.applied))} stand, and cannot be undone afterwards"


def _confirmed() -> bool:
    """Ask; Ctrl-C and the end of the input are no."""
    try:
        return typer.confirm("erase?", err=True)
    except typer.Abort:
        print(file=sys.stderr)
        return False


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


def _keys(text: str) -> list[PublicKey]:
    try:
        return read_keys(text)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--public-key {text}: {words or error}; `merge checkpoint --public-key` prints one") from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} cannot be read: it is no UTF-8 text") from None
