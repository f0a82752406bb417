"""`merge find`: who stands several times on a server."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.bootstrap import finding
from fhir_gateway.cli import options
from fhir_gateway.cli.merge_niks import masked_niks, read_niks
from fhir_gateway.cli.merge_words import tell
from fhir_gateway.cli.printing import counted, print_json, print_table, print_text
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.finding import Finding, Found
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.reports.tables import write_table
from fhir_gateway.reports.targets import check_target
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()

COLUMNS = (
    *("nik", "group", "kind", "grade", "weight", "patient_id", "name", "birth_date", "gender"),
    *("second_opinion", "run", "why"),
)
"""One row for each Patient of each group. The NIK comes first: such a file can be given to `merge plan --niks`."""


@app.command("find")
def find_duplicates(
    niks: Annotated[
        Path | None,
        typer.Option("--niks", metavar="FILE", help="Look only for who shares one of these NIKs, one in each line."),
    ] = None,
    shared_only: Annotated[
        bool, typer.Option("--shared-only", help="Look only for who shares a NIK, not for likely duplicates.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="OUT", help="Write all that is found to OUT.csv, .xlsx or .ndjson, names in full."
        ),
    ] = None,
    second_opinion: Annotated[
        bool,
        typer.Option(
            "--second-opinion", help="Ask Splink, too (the extra linkage); its probability stands beside the grade."
        ),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show the evidence of each group, bit by bit.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, max=options.MOST, metavar="N", help="Show the first N groups; 0: all.")
    ] = 100,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> None:
    """Find Patients that may be one person: a NIK in common, or all else that agrees. Nothing is written but OUT."""
    if out:
        check_target(out, [niks] if niks else [])
    request = finding.FindRequest(None if niks is None else read_niks(niks), likely=not shared_only)
    if request.niks is not None and not request.niks:
        raise UsageError(f"{niks} holds no NIK")
    if request.niks is not None and second_opinion:
        raise UsageError("a second opinion needs all people of the server: leave out --niks or --second-opinion")
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        found = finding.duplicates(gateway, request, second_opinion=second_opinion)
        progress.rest()
        policy = gateway.environment.matching
    if out:
        write_table(COLUMNS, _rows(found, policy), out)
    _tell(found)
    if as_json:
        print_json([finding.told_found(one, policy) for one in found.found])
        return
    _print(found, policy, explain=explain, limit=limit or len(found.found))


def _tell(found: Finding) -> None:
    for note in found.notes:
        tell(note)
    if found.single:
        tell(f"{len(found.single)} NIK: fewer than two active Patients carry it ({masked_niks(found.single)})")


def _print(found: Finding, policy: MatchingPolicy, *, explain: bool, limit: int) -> None:
    shown = found.found[:limit]
    if explain:
        for one in shown:
            _print_group(one, policy)
    elif shown:
        print_table(
            ("kind", "NIK", "Patients", "grade", "bits", "why"),
            [(one.kind, _nik(one), ", ".join(one.group.patient_ids), *_graded(one), finding.why(one)) for one in shown],
        )
    if len(shown) < len(found.found):
        print_text(f"… and {len(found.found) - len(shown)} more: --limit 0 shows all, --out writes them")
    counts = Counter(one.kind.value for one in found.found)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "no duplicates"
    print_text(f"{counted(found.read, 'active Patient')} looked at: {told}")


def _print_group(one: Found, policy: MatchingPolicy) -> None:
    nik = f", NIK {_nik(one)}" if one.group.nik else ""
    print_text(f"{one.kind}{nik}: {', '.join(one.group.patient_ids)}")
    for conflict in one.group.conflicts:
        print_text(f"  {'CONFLICT' if conflict.blocks else 'to know'}: {conflict.text}")
    for line in finding.waterfall(one, policy):
        print_text(f"  {line}")
    print_text("")


def _nik(one: Found) -> str:
    return masked_niks([one.group.nik]) if one.group.nik else ""


def _graded(one: Found) -> tuple[str, str]:
    opinion = "" if one.second_opinion is None else f" ({one.second_opinion:.0%})"
    return f"{one.group.grade}{opinion}", f"{one.weight:+.1f}"


def _rows(found: Finding, policy: MatchingPolicy) -> Iterator[tuple[str, ...]]:
    for number, one in enumerate(found.found, start=1):
        why = finding.why(one) or " ".join(finding.waterfall(one, policy))
        opinion = "" if one.second_opinion is None else f"{one.second_opinion:.4f}"
        for patient in one.patients:
            yield (
                *(one.group.nik, str(number), one.kind.value, one.group.grade.value, f"{one.weight:.1f}"),
                *(patient.id, patient.name, patient.birth_date, patient.gender),
                *(opinion, str(one.run or ""), why),
            )
