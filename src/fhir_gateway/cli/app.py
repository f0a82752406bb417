"""The command `fhir-gateway`: its groups, and the one place where errors become exit codes."""

import sys

import typer

from fhir_gateway.cli import demo, env, load, mapping, persons, review, runs
from fhir_gateway.cli.fhir_server import fhir_server
from fhir_gateway.cli.synth import synth
from fhir_gateway.domain.errors import GatewayError, UsageError

FINISHED_WITH_OPEN_ROWS = 3
COULD_NOT_FINISH = 1
WRONG_USAGE = 2

app = typer.Typer(
    name="fhir-gateway",
    help="Makes clinics' legacy records FHIR R4 Patients and Immunizations: each person once, each dose once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(demo.app)
app.add_typer(load.app)
app.add_typer(mapping.app, name="mapping")
app.add_typer(env.app, name="env")
app.add_typer(runs.app, name="runs")
app.add_typer(review.app, name="review")
app.add_typer(persons.app, name="person")
app.add_typer(synth)
app.command("fhir-server")(fhir_server)


def main() -> None:
    """Run the command and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command with these arguments and return its exit code; errors go to stderr."""
    try:
        code = app(args=arguments, prog_name="fhir-gateway", standalone_mode=False)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # Typer's own copy of click raises only such as can be shown
        return WRONG_USAGE
    except UsageError as error:
        print(f"fhir-gateway: {error}", file=sys.stderr)
        return WRONG_USAGE
    except GatewayError as error:
        print(f"fhir-gateway: {error}", file=sys.stderr)
        return COULD_NOT_FINISH
    except (typer.Abort, KeyboardInterrupt):
        print("fhir-gateway: interrupted", file=sys.stderr)
        return COULD_NOT_FINISH
    return code if isinstance(code, int) else 0
