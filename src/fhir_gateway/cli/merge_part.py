"""`merge part`: an operator says that Patients who look alike are different people."""

from datetime import UTC, datetime
from itertools import combinations
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import counted, print_json, print_text
from fhir_gateway.flows import merge as merge_road
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()


@app.command("part")
def part_patients(
    patients: Annotated[list[str], typer.Argument(metavar="PATIENT…", help="Two or more Patients, by id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the history.")],
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    as_json: options.Json = False,
) -> None:
    """Say that Patients are different people, each of them: `merge find` lists no two of them any more.

    Nothing is written on the server. The decision stands in the history with its user and reason; a merge of them, made
    afterwards all the same, overrules it.
    """
    with bootstrap.ledger_of(environment) as ledger:
        ids = merge_road.part(
            patients,
            user=user or options.login(),
            reason=reason,
            via="command",
            at=datetime.now(UTC),
            ledger=ledger,
            journal=ledger.merges,
        )
    pairs = len(list(combinations(ids, 2)))
    if as_json:
        print_json({"patients": ids, "pairs": pairs})
    else:
        print_text(f"{len(ids)} Patients are different people from now on ({counted(pairs, 'pair')})")
