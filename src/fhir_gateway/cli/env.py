"""`env`: which environments there are, and whether their servers can be used."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import COULD_NOT_FINISH
from fhir_gateway.cli.printing import print_json, print_table, print_text
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.settings import EMBEDDED, environment_names, home, load_environment, without_credentials

app = typer.Typer(help="Environments: which there are, whether their servers work.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    base_url: str
    ledger: str
    zone: str
    clinics: tuple[str, ...]
    problems: tuple[str, ...]


@app.command("list")
def list_environments(as_json: options.Json = False) -> None:
    """List the environments of the working folder with their servers, and what is wrong with their files."""
    listed = [_listed(name) for name in environment_names(home())]
    if as_json:
        print_json([asdict(each) for each in listed])
        return
    rows = [(each.name, each.base_url, each.zone, ", ".join(each.clinics)) for each in listed]
    print_table(("environment", "server", "time zone", "clinics"), rows)
    for problem in (problem for each in listed for problem in each.problems):
        print_text(problem)


def _listed(name: str) -> _Listed:
    try:
        environment = load_environment(name, home())
    except ConfigurationError as error:
        return _Listed(name, "", "", "", (), tuple(str(problem) for problem in error.problems))
    return _Listed(
        name=name,
        base_url=environment.shown_url,
        ledger=without_credentials(environment.ledger_url),
        zone=environment.zone.key,
        clinics=tuple(environment.clinics),
        problems=(),
    )


@app.command()
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The environment; the same as --env.", show_default=False)
    ] = None,
    environment: options.Environment = EMBEDDED,
    as_json: options.Json = False,
) -> int:
    """Try an environment's server: reach, credentials, FHIR version, and which searches really work.

    Exit code 0: it can be used; 1: it cannot, the last line says why; 2: the environment's file is wrong.
    """
    name = environment if name is None else name
    with ProgressDisplay() as progress, bootstrap.opened(name, progress) as gateway:
        shown = gateway.environment.shown_url
        found = gateway.check()
    if as_json:
        print_json({"environment": name, "base_url": shown, **asdict(found)})
        return COULD_NOT_FINISH if found.problem else 0
    reached = found.software or "yes" if found.reached else "no"
    print(f"environment   {name}")
    print(f"server        {shown}")
    print(f"reached       {reached}")
    print(f"credentials   {'accepted' if found.authorised else 'not accepted or not tried'}")
    print(f"FHIR version  {found.fhir_version or 'unknown'}")
    rows = [(f"{each.resource_type}?{each.parameter}", _verdict(each.works), each.words) for each in found.searches]
    if rows:
        print_table(("search", "works", "why"), rows)
    print_text(f"problem: {found.problem}" if found.problem else "the environment can be used")
    return COULD_NOT_FINISH if found.problem else 0


def _verdict(works: bool) -> str:
    return "yes" if works else "no"
