"""`review export` and `review import`: decisions made in a spreadsheet program."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import LEFT_OPEN
from fhir_gateway.cli.persons import doses_in_words, out_of_use, person_columns
from fhir_gateway.cli.printing import counted, print_json, print_table, print_text
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout, Resource, UnreadableRow
from fhir_gateway.flows.load import LoadTools
from fhir_gateway.flows.review import (
    AppliedLine,
    Choice,
    LineResult,
    SheetLine,
    apply_sheet,
    check_sheet,
    questions,
    version_of,
)
from fhir_gateway.reports import check_target, write_table
from fhir_gateway.settings import EMBEDDED
from fhir_gateway.sources import open_source

app = typer.Typer()

_COMPARED = {
    "name": "name",
    "born": "born",
    "gender": "gender",
    "identifiers": "identifiers",
    "phone": "phone",
    "address": "address",
    "mother or parent": "mother_or_parent",
}
_FILLED_IN = ("decision", "patient", "reason", "decided_by")
_COLUMNS = (
    "review",
    "rows",
    "where",
    "question",
    *(f"{side}_{name}" for name in _COMPARED.values() for side in ("row", "patient")),
    "row_doses",
    "patient_doses",
    "evidence",
    *_FILLED_IN,
    "version",
)
_READ = frozenset({"review", "version", *_FILLED_IN})
_LAYOUT = Layout("review sheet", required=frozenset({"review", "version", "decision"}), known=_READ)
_SETTLED = frozenset({LineResult.APPLIED, LineResult.ALREADY})


@app.command("export")
def export_sheet(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="Where to write: SHEET.xlsx or .csv.")],
    environment: options.Environment = EMBEDDED,
    masked: Annotated[bool, typer.Option("--masked", help="Cover names, numbers and birth dates.")] = False,
) -> None:
    """Write what waits for a decision to a sheet, to be decided there and read again with `review import`.

    One line for each Patient whom the rows may be, row and Patient side by side; a question without candidates has one
    line. Fill in `decision` (link, create or reject) in one line of each question, and leave the others empty: link
    means the Patient of that line, or another whose id is written into `patient`, with a `reason`; reject needs a `reason`, too.
    """
    check_target(sheet)
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        views = gateway.reviews(questions(gateway.ledger))
        lines = [line for view in views for line in _lines(view, version_of(view.item, gateway.ledger), masked=masked)]
    write_table(
        _COLUMNS,
        [[line.get(name, "") for name in _COLUMNS] for line in lines],
        sheet,
        choices={"decision": tuple(Choice)},
    )
    print(f"{counted(len(views), 'question')} on {counted(len(lines), 'line')}: {sheet}")


@app.command("import")
def import_sheet(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="The sheet that `review export` wrote, filled in.")],
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    as_json: options.Json = False,
) -> int:
    """Apply the decisions of a sheet, each as `review link`, `create` or `reject` would, and tell what became of each.

    The sheet is checked as a whole before anything is applied. A question that was settled or has changed since the
    export is left alone, and told. Importing a sheet again applies what was left over.

    Exit code 0: every decision stands. 3: some do not, the list says why. 2: the sheet has faults, nothing was applied.
    """
    lines = list(_read(sheet))
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        decisions = check_sheet(lines, gateway.ledger)

        async def apply(tools: LoadTools) -> list[AppliedLine]:
            applied = apply_sheet(decisions, user=user or options.login(), tools=tools)
            return [line async for line in applied]

        results = gateway.act(apply, to_post=True) if decisions else []
    decided = {str(decision.review) for decision in decisions}
    left = [line for line in lines if line.review.strip() not in decided]
    _print_results(results, left, as_json=as_json)
    return LEFT_OPEN if any(line.result not in _SETTLED for line in results) else 0


def _lines(view: bootstrap.ReviewView, version: str, *, masked: bool) -> Iterator[dict[str, str]]:
    item = view.item
    asked = {
        "review": str(item.id),
        "rows": str(item.rows),
        "where": "; ".join(f"{row.file}:{row.row}" for row in view.rows),
        "question": f"{item.text}; {item.suggestion}" if item.suggestion else item.text,
        "row_doses": doses_in_words(dose for one in view.people for dose in one.doses),
        "version": version,
        **_side("row", [one.patient for one in view.people], masked=masked),
    }
    for patient_id, candidate in view.candidates.items():
        yield {
            **asked,
            **_side("patient", [candidate.patient], masked=masked),
            "patient": patient_id,
            "patient_doses": doses_in_words(candidate.doses),
            "evidence": "\n".join((*_told_of(candidate.patient), *view.evidence_of.get(patient_id, ()))),
        }
    if not view.candidates:
        yield asked


def _told_of(patient: Resource) -> tuple[str, ...]:
    """Return that a Patient is out of use, so that nothing can be linked to it."""
    return (f"in use: {told}",) if (told := out_of_use(patient)) else ()


def _side(side: str, people: Sequence[Resource], *, masked: bool) -> dict[str, str]:
    columns = [person_columns(person, reveal=not masked) for person in people]
    return {
        f"{side}_{name}": " | ".join(dict.fromkeys(c[shown] for c in columns if c[shown]))
        for shown, name in _COMPARED.items()
    }


def _read(sheet: Path) -> Iterator[SheetLine]:
    try:
        source = open_source(sheet, [_LAYOUT])
    except SourceError as error:
        words = str(error).replace(f"mapping {_LAYOUT.mapping}", "the sheet that `review export` writes")
        raise SourceError(words) from None
    for record in source.records():
        if isinstance(record, UnreadableRow):
            raise SourceError(f"{record.ref}: {record.problem.text}; nothing was applied")
        if lost := sorted(record.lost & _READ):
            raise SourceError(
                f"{record.ref}: {', '.join(lost)} holds a formula whose value is not stored: replace it by its value;"
                " nothing was applied"
            )
        cells: Mapping[str, str] = record.cells
        yield SheetLine(
            record.ref.row, cells["review"], cells["version"], *(cells.get(name, "") for name in _FILLED_IN)
        )


def _print_results(results: Sequence[AppliedLine], left: Sequence[SheetLine], *, as_json: bool) -> None:
    """Print what became of the decisions; `left` are the lines of questions that were left undecided."""
    undecided = len({line.review for line in left})
    half_filled = [line.number for line in left if line.reason or line.decided_by]
    if as_json:
        lines = [_as_json(line) for line in results]
        print_json({"lines": lines, "undecided": undecided, "half_filled": half_filled})
        return
    print_table(
        ("row", "review", "decision", "result", "run", ""),
        [(r.decision.line, r.decision.review, r.decision.choice, r.result, r.run or "", r.message) for r in results],
    )
    counts = {result: sum(line.result is result for line in results) for result in LineResult}
    print(", ".join(f"{count} {result}" for result, count in counts.items() if count) or "no decision on the sheet")
    if undecided:
        print(f"{counted(undecided, 'question')} {'was' if undecided == 1 else 'were'} left undecided")
    if half_filled:
        rows = ", ".join(map(str, half_filled))
        print_text(f"row {rows}: reason or decided_by is filled in, but decision is empty: nothing was done")


def _as_json(line: AppliedLine) -> dict[str, object]:
    return {
        "row": line.decision.line,
        "review": line.decision.review,
        "decision": line.decision.choice,
        "result": line.result,
        "run": line.run or None,
        "message": line.message,
    }
