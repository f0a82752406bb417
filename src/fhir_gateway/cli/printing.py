"""Tables and JSON on stdout; what a person of the shared screen may see."""

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from decimal import Decimal
from io import TextIOWrapper
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.table import Table

from fhir_gateway.domain.outcomes import Outcome

_NIK = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}){0,2}")
_NEVER_BROKEN = ("id", "dose", "run", "row", "rows", "read", "since", *Outcome)


def print_json(value: Any) -> None:
    """Print one JSON value, indented, in UTF-8 whatever the console's own; a server's decimals keep their digits."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(orjson.dumps(value, default=_number, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print rows under their columns; text is printed as it is, never read as markup."""
    table = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.show_header = any(columns)
    for column in table.columns:
        column.overflow = "fold"  # an id or a path is of no use without its end
        column.no_wrap = column.header in _NEVER_BROKEN
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    screen = console()
    if (least := _least_width(columns, rows)) > screen.width:
        screen.width = least  # the terminal breaks the lines: a number that is cut off would be another number
    screen.print(table)


def _least_width(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
    """Return the width in which a table's unbroken columns are whole and the others have room for a short word."""
    widths = [
        max(len(name), *(len(_plain(row[place])) for row in rows)) if name in _NEVER_BROKEN and rows else len(name)
        for place, name in enumerate(columns)
    ]
    return sum(widths) + 2 * len(widths)


def print_text(text: str, *, file: TextIO | None = None) -> None:
    """Print lines: whole, but on a terminal between words where one is too long; what would steer it is left out."""
    stream = file or sys.stdout
    for line in _plain(text).split("\n"):
        print(_between_words(line) if stream.isatty() else line, file=stream, flush=True)


def _between_words(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.strip(),
        shutil.get_terminal_size().columns,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def console() -> Console:
    """Return a console on stdout that does not cut lines off where it is no terminal."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)


def counted(number: int, what: str, several: str = "") -> str:
    """Return a number of things in words: `1 row`, `2 rows`; `several` where the plural has more than an s."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def without_niks(text: str) -> str:
    """Return a message with all but the ends of what may be NIKs covered: a word in the wrong place is told again."""
    return _NIK.sub(lambda found: _covered(found[0]), text)


def masked(text: str) -> str:
    """Return the text with all but its first and its last characters covered, word by word."""
    return " ".join(_covered(word) for word in text.split())


def masked_date(text: str) -> str:
    """Return a date with all but its year covered."""
    return text[:4] + "-••" * text.count("-") if _DATE.fullmatch(text) else masked(text)


def _number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _covered(word: str) -> str:
    if word.isdigit():
        seen = min(2, len(word) // 5)  # at either end: of a short number two digits would be most of it
        return word[:seen] + "•" * (len(word) - 2 * seen) + word[len(word) - seen :]
    return word[:1] + "•" * (len(word) - 1)


def _plain(cell: object) -> str:
    return "" if cell is None else "".join(c if c.isprintable() or c == "\n" else " " for c in str(cell))
