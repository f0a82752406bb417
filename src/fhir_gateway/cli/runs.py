"""`runs`: what was loaded when, what became of a row, and failed rows sent again."""

import time
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import LEFT_OPEN
from fhir_gateway.cli.printing import console, print_json, print_table, print_text, without_niks
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.cli.summary import print_summary, print_summary_json
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import Run, Settlement
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import EMBEDDED, home, load_environment

_WIDE = 110
"""Columns of a terminal that hold the whole list of runs."""

app = typer.Typer(no_args_is_help=True, help="What was loaded when, and what became of every row.")


@app.command("list")
def list_runs(environment: options.Environment = EMBEDDED, as_json: options.Json = False) -> None:
    """List all runs, the newest first."""
    with bootstrap.ledger_of(environment) as ledger:
        runs = [(run, ledger.runs.totals(run)) for run in ledger.runs.all()]
    if as_json:
        print_json(
            [
                {
                    **_as_json(run),
                    "read": totals.read,
                    **{str(outcome): totals.outcomes.get(outcome, 0) for outcome in Outcome},
                }
                for run, totals in runs
            ]
        )
        return
    wide = console().width >= _WIDE
    left_out = () if wide else ("kind", "state", "by")
    columns = ["run", "kind", "state", "started", "by", "files", "read", *Outcome]
    rows = [
        (
            run.id,
            run.kind,
            run.state,
            f"{run.started:%Y-%m-%d %H:%M}",
            run.user,
            ", ".join(file.name for file in run.files),
            totals.read,
            *(totals.outcomes.get(outcome, 0) for outcome in Outcome),
        )
        for run, totals in runs
    ]
    kept = [place for place, name in enumerate(columns) if name not in left_out]
    print_table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])
    if not wide:
        print(f"({', '.join(left_out)}: in a wider window, or with --json)")


@app.command()
def show(
    run: Annotated[
        int, typer.Argument(metavar="RUN", min=1, max=options.MOST, help="The run's number, see `runs list`.")
    ],
    row: Annotated[
        int | None,
        typer.Option("--row", metavar="N", min=1, max=options.MOST, help="What became of data row N, and why."),
    ] = None,
    file: options.FileOfRun = None,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Show a run's books, or one row with the evidence of its decision."""
    with bootstrap.ledger_of(environment) as ledger:
        found = ledger.runs.get(run)
        if found is None:
            raise UsageError(f"there is no run {run}; `fhir-gateway runs list` shows all")
        if row is not None:
            _show_row(ledger, found, file, row, policy=load_environment(environment, home()).matching, as_json=as_json)
        elif as_json:
            print_summary_json(bootstrap.summary_of(ledger, found))
        else:
            print_summary(bootstrap.summary_of(ledger, found))


def _show_row(ledger: Ledger, run: Run, file: int | None, row: int, *, policy: MatchingPolicy, as_json: bool) -> None:
    record = ledger.spool.record_at(run, file=run.place_of_file(file), row=row)
    if record is None:
        raise UsageError(f"run {run.id} has no row {row}" + (f" in file {file}" if file else ""))
    person, key, settlement = record
    stored = ledger.spool.decision_of(run, person)
    decision = stored.decision if stored else _asked_with(ledger, run, settlement)
    told = bootstrap.explained(ledger, run, decision, policy, asked=person) if decision else ()
    since = [without_niks(line) for line in bootstrap.told_since(ledger, run, key, settlement)] if settlement else []
    if as_json:
        print_json(
            {
                "run": run.id,
                "row": row,
                "key": key,
                "status": settlement.outcome if settlement else None,
                "reason": settlement.reason if settlement else "",
                "suggestion": settlement.suggestion if settlement else "",
                "patient_id": settlement.patient_id if settlement else "",
                "immunization_ids": list(settlement.immunization_ids) if settlement else [],
                "match_grade": settlement.grade if settlement else None,
                "since": since,
                "evidence": list(told),
            }
        )
        return
    if settlement is None:
        print(f"row {row}: not settled yet, the run is unfinished")
    else:
        _print_settlement(row, settlement)
    for line in since:
        print_text(f"  since then: {line}")
    for line in told:
        print_text(f"  {line}")


def _asked_with(ledger: Ledger, run: Run, settled: Settlement | None) -> PersonDecision | None:
    """Return the decision of the question that a row hangs on, where its run only asked and decided nobody else."""
    number = ledger.reviews.of_record(run, settled.number) if settled else None
    item = ledger.reviews.get(number) if number else None
    return item.decision if item else None


def _print_settlement(row: int, settled: Settlement) -> None:
    print_text(f"row {row}: {settled.outcome}" + (f", {without_niks(settled.reason)}" if settled.reason else ""))
    if settled.suggestion:
        print_text(f"  what to do: {settled.suggestion}")
    if settled.patient_id:
        print_text(f"  Patient {settled.patient_id}, Immunizations {' '.join(settled.immunization_ids) or 'none'}")


@app.command()
def retry(
    run: Annotated[
        int, typer.Argument(metavar="RUN", min=1, max=options.MOST, help="The run's number, see `runs list`.")
    ],
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    as_json: options.Json = False,
) -> int:
    """Send what a run left failed again, as a run of its own.

    Exit code 0: every row is loaded or unchanged. 3: some are still in review, rejected or failed.
    """
    began = time.monotonic()
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        done = gateway.retry(run, user=user or options.login())
        summary = gateway.summary(done, time.monotonic() - began) if done else bootstrap.NOTHING
    if not done and not as_json:
        print(f"run {run}: nothing to retry, none of its rows waits to be sent again")
    elif as_json:
        print_summary_json(summary)
    else:
        print_summary(summary)
    return LEFT_OPEN if summary.open_rows else 0


def _as_json(run: Run) -> dict[str, object]:
    return {
        "run": run.id,
        "kind": run.kind,
        "state": run.state,
        "files": [{"name": file.name, "sha256": file.sha256, "mapping": file.mapping} for file in run.files],
        "clinic": run.clinic,
        "user": run.user,
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
    }
