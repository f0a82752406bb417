"""Options that several commands share."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

Environment = Annotated[str, typer.Option("--env", metavar="NAME", help="The environment (environments/NAME.toml).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Clinic = Annotated[
    str,
    typer.Option(
        "--clinic",
        metavar="ID",
        help="The clinic that the file comes from; else its clinic column, else the mapping's name.",
    ),
]
Mapping = Annotated[
    str, typer.Option("--mapping", metavar="NAME|PATH", help="The mapping; else the one whose columns fit.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Read the first N rows only; 0: all.")]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="OUT",
        help="Write what became of every row: OUT.csv, .xlsx or .ndjson; a folder for several files.",
    ),
]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show names and numbers in full (not on a shared screen).")]


User = Annotated[
    str, typer.Option("--user", metavar="WHO", help="Who decides; the login if not given.", show_default=False)
]


def login() -> str:
    """Return who runs the command, the default of `--user`."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in the system's table, as in some containers
        return "unknown"
