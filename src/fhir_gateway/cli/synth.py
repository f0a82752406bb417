"""`fhir-gateway synth`: invented clinics with the truth beside them, and the score of a gateway's reports against it."""

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fhir_gateway.cli import options
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.naming import POPULATIONS
from fhir_gateway.synth.population import Region
from fhir_gateway.synth.rates import Rates, rates_as_toml, read_rates
from fhir_gateway.synth.reports import read_report
from fhir_gateway.synth.same_region import check_same_region
from fhir_gateway.synth.score import score
from fhir_gateway.synth.score_words import score_as_json, score_as_text
from fhir_gateway.synth.truth import read_truth

_WRITE = "write"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What writing to a full disk ends with, also where it is full for this user or this file."""


class _WriteUnlessNamed(TyperGroup):
    """A group whose first word may be a folder: `synth DIR` is `synth write DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front where no other is named."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_WRITE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_WriteUnlessNamed,
    help="Invented clinics with the truth, to try and to score.",
    no_args_is_help=True,
)


@app.command(_WRITE)
def write(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the exports and truth.csv.")],
    persons: Annotated[int, typer.Option(min=1, help="How many persons stand in at least one row.")],
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")],
    rates: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file with rates, see `synth rates`.")] = None,
    harsh: Annotated[float, typer.Option(min=0, help="Multiplies the rate of every writing error.")] = 1.0,
    population: Annotated[
        str,
        typer.Option(
            metavar="|".join(POPULATIONS), help="Whose names: A, B or C (they share none), or mixed (A and B)."
        ),
    ] = "mixed",
    as_json: options.Json = False,
) -> None:
    """Write simrs-khanza.csv, asik.xlsx, puskesmas.csv and truth.csv; `synth DIR` is `synth write DIR`."""
    if population not in POPULATIONS:
        raise UsageError(f"--population {population}: there are {', '.join(POPULATIONS)}")
    chosen = (read_rates(rates) if rates else Rates()).harsher(harsh)
    try:
        written = generate(folder, Region(seed, persons, population, chosen))
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise UsageError(f"{folder}: cannot be written ({error.strerror}), choose another folder") from error
    if as_json:
        print(json.dumps({"persons": written.persons, "doses": written.doses, "rows": written.rows}))
        return
    for source, rows in written.rows.items():
        print(f"{rows:>9,} rows  {folder / FILES[source]}")
    print(f"{written.persons:>9,} persons, {written.doses:,} doses: the truth is in {folder / 'truth.csv'}")


@app.command("score")
def score_(
    truth: Annotated[Path, typer.Option(metavar="DIR", help="Folder that `synth` wrote.")],
    report: Annotated[list[str], typer.Option(metavar="SOURCE=FILE", help="A report of `load`, per source.")],
    as_json: options.Json = False,
) -> None:
    """Score reports against the truth: who was merged or split and why, the review load, the doses.

    A report of another region's export is refused, where DIR has the export and the report the export's own columns.
    """
    files = _report_files(report)
    for source, path in files.items():
        if not check_same_region(truth, source, path):
            print(f"{path}: it cannot be told whether it is of {truth / FILES[source]}", file=sys.stderr)
    reports = {source: read_report(path) for source, path in files.items()}
    result = score(read_truth(truth), reports)
    print(json.dumps(score_as_json(result)) if as_json else score_as_text(result), end="\n" if as_json else "")


def _report_files(words: list[str]) -> dict[str, Path]:
    """Return the report files by source."""
    files: dict[str, Path] = {}
    for word in words:
        source, sign, name = word.partition("=")
        if not sign or not name or source not in FILES or source in files:
            raise UsageError(f"--report {word}: say SOURCE=FILE once for each source of {', '.join(FILES)}")
        files[source] = Path(name)
    return files


@app.command("rates")
def rates_(
    as_json: options.Json = False,
) -> None:
    """Print every rate with its default and its origin, as a TOML file to edit for --rates."""
    if as_json:
        print(json.dumps({name: getattr(Rates(), name) for name in Rates.__dataclass_fields__}))
        return
    print(rates_as_toml(Rates()), end="")
