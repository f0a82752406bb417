"""`merge part`: an operator says that Patients who look alike are different people."""

import re
from datetime import UTC, datetime
from itertools import combinations
from typing import Annotated

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import print_json, print_text
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.settings import EMBEDDED

app = typer.Typer()

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_MOST = 50


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
    ids = sorted({one.removeprefix("Patient/") for one in patients})
    wrong = [one for one in ids if not _ID.fullmatch(one)]
    if wrong:
        raise UsageError("a Patient's id has letters, digits, - and . only, 64 at most")
    if not 1 < len(ids) <= _MOST:
        raise UsageError(f"name two or more Patients, {_MOST} at most")
    if not reason.strip():
        raise UsageError("--reason must say why")
    with bootstrap.ledger_of(environment) as ledger, ledger.transaction():
        ledger.merges.part(ids, user=user or options.login(), at=datetime.now(UTC), reason=reason.strip())
    pairs = len(list(combinations(ids, 2)))
    if as_json:
        print_json({"patients": ids, "pairs": pairs})
    else:
        print_text(f"{len(ids)} Patients are different people from now on ({pairs} pairs)")
