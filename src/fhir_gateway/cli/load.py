"""`load` and `convert`: a file's rows become resources."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import LEFT_OPEN
from fhir_gateway.cli.printing import counted
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.cli.summary import print_summary, print_summary_json
from fhir_gateway.domain.errors import InterruptedRunError, ReportError, UsageError
from fhir_gateway.domain.outcomes import RIGHTLY_REJECTED, Outcome
from fhir_gateway.domain.runs import Run, RunKind
from fhir_gateway.flows.load import LoadRequest
from fhir_gateway.ports import Source
from fhir_gateway.reports import EXTENSIONS, check_target
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()

_MOST_UNREAD = 12
_NO_ROWS = "{}: no row stands below its header, nothing was read from it"


@app.command()
def load(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="CSV, XLSX or NDJSON exports, one or more.")],
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
    report: options.Report = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide everything, send nothing.")] = False,
    limit: options.Limit = 0,
    user: options.User = "",
    as_json: options.Json = False,
) -> int:
    """Load exports into a FHIR server, every row accounted for.

    It is the environment's server; there each person stands once with each dose once. The same command after an
    interruption goes on where it stopped.

    Exit code 0: every row is loaded or unchanged. 3: some rows are in review, rejected or failed. 1: could not finish,
    the same command resumes. 2: wrong usage, configuration, mapping or file; nothing was begun.
    """
    began = time.monotonic()
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        inputs = gateway.inputs(files, mapping=mapping, clinic=clinic)
        for entry in inputs:
            if not mapping:
                progress.say(f"{entry.source.path.name}: read with the mapping {entry.mapping}")
            _tell_unread(entry.source, progress)
        targets = report_targets(report, [entry.source.path for entry in inputs])
        for target in targets:
            check_target(target, files)
        try:
            run = gateway.load(LoadRequest(inputs, clinic, user or options.login(), limit, dry_run))
        except KeyboardInterrupt:
            raise InterruptedRunError(
                "interrupted; run the same command again and it goes on where it stopped"
            ) from None
        for name in gateway.files_without_rows(run) if not limit else ():
            progress.say(_NO_ROWS.format(name))
        try:
            _write_reports(run, [entry.source for entry in inputs], targets, gateway)
            summary = gateway.summary(run, time.monotonic() - began)
        finally:
            if run.kind is RunKind.DRY_RUN:
                gateway.forget(run)
        if run.kind is RunKind.DRY_RUN:
            summary = replace(summary, run=0)
        read = list(_how_it_was_read([entry.source for entry in inputs], limit, summary.read, reported=bool(targets)))
        for line in read if as_json else ():
            progress.say(line)
    if as_json:
        print_summary_json(summary)
    else:
        print_summary(summary, next_steps=[*read, *_next_steps(summary, run, targets, environment)])
    return LEFT_OPEN if summary.open_rows else 0


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV, XLSX or NDJSON export.")],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.ndjson", help="Where the resources go.")],
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
    report: options.Report = None,
    limit: options.Limit = 0,
    as_json: options.Json = False,
) -> int:
    """Convert an export to NDJSON of FHIR R4, without a server.

    Every resource is valid, ids are deterministic, no ledger is kept. Of the environment just the time zone and the clinics are used.

    Exit code 0: every row was converted. 3: some rows are rejected. 2: wrong usage, mapping or file; nothing was written.
    """
    began = time.monotonic()
    with ProgressDisplay() as progress:
        conversion = bootstrap.Conversion(file, mapping=mapping, clinic=clinic, limit=limit, environment=environment)
        if not mapping:
            progress.say(f"{file.name}: read with the mapping {conversion.mapping}")
        _tell_unread(conversion.source, progress)
        books = conversion.run(out, report, progress)
        if not books.read:
            progress.say(_NO_ROWS.format(file.name))
        read = list(_how_it_was_read([conversion.source], limit, books.read, reported=bool(report)))
        for line in read if as_json else ():
            progress.say(line)
    summary = conversion.summary(books, time.monotonic() - began)
    if as_json:
        print_summary_json(summary)
    else:
        print_summary(summary, next_steps=[*read, *_after_converting(summary, report)])
    return LEFT_OPEN if summary.open_rows else 0


def _write_reports(run: Run, sources: Sequence[Source], targets: Sequence[Path], gateway: bootstrap.Gateway) -> None:
    """Write each file's report; raises InterruptedRunError where a file is another one by now, the run itself is done."""
    for number, target in enumerate(targets):
        try:
            gateway.write_report(run, sources[number], file=number, target=target)
        except UsageError as error:
            raise InterruptedRunError(f"{error}; the load itself is finished, but not its report") from error


def _tell_unread(source: Source, progress: ProgressDisplay) -> None:
    """Say which columns the mapping leaves out: one that is spelled otherwise than it expects would be lost silently."""
    if source.unread:
        more = f" and {len(source.unread) - _MOST_UNREAD} more" if len(source.unread) > _MOST_UNREAD else ""
        progress.say(f"{source.path.name}: not read: {', '.join(source.unread[:_MOST_UNREAD])}{more}")
    if source.without_doses:
        expected = min(source.layout.doses)
        progress.say(
            f"{source.path.name}: no column holds doses (as '{expected}' would), only persons are read:"
            " where the header has two rows, make one of them"
        )


def _how_it_was_read(sources: Sequence[Source], limit: int, read: int, *, reported: bool) -> Iterator[str]:
    """Tell what a user may not expect: another encoding than UTF-8, and rows that a limit left unread."""
    for source in sources:
        if source.encoding not in {"", "utf-8-sig"}:
            yield f"{source.path.name} was read as {source.encoding.upper()}."
    if limit and read == limit:
        without = "; rows behind them stand in the report without a status" if reported else ""
        yield f"Only the first {counted(limit, 'row')} {'was' if limit == 1 else 'were'} read (--limit){without}."


def report_targets(report: Path | None, files: Sequence[Path]) -> list[Path]:
    """Return where each file's report goes: `report` itself, or files of the inputs' names in the folder `report`.

    Raises UsageError where several files would share one report.
    """
    if report is None:
        return []
    if len(files) == 1:
        return [report]
    if report.suffix and not report.is_dir():
        raise UsageError(f"--report {report.name}: {len(files)} files need a folder for their reports, name one")
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise UsageError("--report: two of the files have the same name, load them one by one")
    try:
        report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(f"--report {report}: the folder cannot be made: {error.strerror}") from error
    return [report / (name if Path(name).suffix.lower() in EXTENSIONS else f"{name}.csv") for name in names]


def _next_steps(summary: bootstrap.Summary, run: Run, targets: Sequence[Path], environment: str) -> list[str]:
    option = "" if environment == EMBEDDED else f" --env {environment}"
    steps = []
    if run.kind is RunKind.DRY_RUN:
        return ["Dry run: nothing was sent and nothing was kept."]
    if summary.outcomes.get(Outcome.REVIEW):
        steps.append(f"Next: `fhir-gateway review list{option}` shows whose identity waits for your decision.")
    steps += _about_rejected(summary, targets, "load")
    if summary.outcomes.get(Outcome.FAILED):
        steps.append(f"Next: `fhir-gateway runs retry {run.id}{option}` sends the failed rows again.")
    return steps


def _after_converting(summary: bootstrap.Summary, report: Path | None) -> list[str]:
    steps = ["`loaded` counts the rows whose resources were written; nothing was sent to a server."]
    return [*steps, *_about_rejected(summary, [report] if report else [], "convert")]


def _about_rejected(summary: bootstrap.Summary, targets: Sequence[Path], command: str) -> Iterator[str]:
    """Tell what to do about rejected rows, apart from those that are rightly so."""
    rejected = summary.outcomes.get(Outcome.REJECTED, 0)
    rightly = sum(summary.reasons.get(code, 0) for code in RIGHTLY_REJECTED)
    if rejected > rightly and targets:
        where = ", ".join(str(target) for target in targets)
        yield f"Next: correct the rejected rows in {where} and {command} that file."
    elif rejected > rightly:
        yield f"Next: {command} with --report OUT.csv, correct the rejected rows there and {command} that file."
    elif rejected:
        yield (
            "About the rejected rows nothing has to be done: they are no immunizations, a header that stands again,"
            " or an operator refused them."
        )
