"""Options that several commands share."""

import getpass
import re
from pathlib import Path
from typing import Annotated

import typer

from fhir_gateway.domain.errors import UsageError

_CLINIC = re.compile(r"\w(?:[\w.-]| (?! )){0,62}(?<! )")
MOST = 2**31
"""No run, row, review or merge has a larger number."""


def _clinic(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Return a clinic's id without surrounding blanks; raises UsageError for what is none: it is part of every key."""
    clinic = value.strip()
    source = context.get_parameter_source(parameter.name) if parameter.name else None
    if not clinic and (source is None or source.name != "COMMANDLINE"):
        return ""
    if not _CLINIC.fullmatch(clinic):
        raise UsageError(
            "--clinic: a clinic's id has letters, digits, single blanks, . - and _ only, 63 at most, and begins with a"
            " letter or digit"
        )
    return clinic


Environment = Annotated[str, typer.Option("--env", metavar="NAME", help="The environment (environments/NAME.toml).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Clinic = Annotated[
    str,
    typer.Option(
        "--clinic",
        metavar="ID",
        callback=_clinic,
        help="The clinic that the file comes from; else its clinic column, else the mapping's name.",
    ),
]
Mapping = Annotated[
    str, typer.Option("--mapping", metavar="NAME|PATH", help="The mapping; else the one whose columns fit.")
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, max=MOST, metavar="N", help="Read the first N rows only; 0: all.")
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="OUT",
        help="Write what became of every row: OUT.csv, .xlsx or .ndjson; a folder for several files.",
    ),
]
FileOfRun = Annotated[
    int | None,
    typer.Option(
        "--file", metavar="N", min=1, max=MOST, help="Which of the run's files; to be said where it read several."
    ),
]
Reveal = Annotated[
    bool, typer.Option("--reveal", help="Show names, numbers and birth dates in full (not on a shared screen).")
]


User = Annotated[
    str, typer.Option("--user", metavar="WHO", help="Who decides; the login if not given.", show_default=False)
]


Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")]

_LONGEST_NAME = 100


def shown_name(text: str) -> str:
    """Return a name as lists and the history show it, without surrounding blanks; raises UsageError for what is none."""
    name = text.strip()
    if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise UsageError(f"a name has 1 to {_LONGEST_NAME} printable characters")
    return name


def login() -> str:
    """Return who runs the command, the default of `--user`."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in the system's table, as in some containers
        return "unknown"
