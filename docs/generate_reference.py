# ruff: noqa: INP001 - a script, no package
"""Write docs/reference/commands.md and docs/reference/mapping-functions.md from the code: python docs/generate_reference.py.

A test holds the files equal to what this writes, so a command or a function cannot change without its page.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from fhir_gateway.cli.app import command_line
from fhir_gateway.mapping.compiler import FUNCTIONS
from fhir_gateway.mapping.functions import Option

REFERENCE = Path(__file__).resolve().parent / "reference"
_GENERATED = "<!-- Written by docs/generate_reference.py: change the code's help texts and run it again. -->"
_HIDDEN = frozenset({"help"})
_EXIT_CODES = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | every row is loaded or unchanged; for other commands: done |
| 3 | finished, but something is left: rows in review, rejected or failed; conflicts, failed cases, a history with faults |
| 1 | could not finish: server lost and interrupted, Ctrl-C, SIGTERM, disk full. The run can be resumed |
| 2 | wrong usage, configuration, mapping, source file or report path; nothing was begun |

Results go to stdout, progress and messages to stderr.
"""


def commands_page() -> str:
    """Return the page of all commands, in the order in which the help shows them."""
    root = typer.main.get_command(command_line())
    context = root.make_context("fhir-gateway", [], resilient_parsing=True)
    sections = [
        _section(command, context, ("fhir-gateway", *names)) for names, command in _commands(root, context) if names
    ]
    intro = f"# Commands\n\n{_GENERATED}\n\n{_sentence(root.help)}\n\n{_table(root)}\n{_EXIT_CODES}"
    return "\n".join([intro, *sections])


def functions_page() -> str:
    """Return the page of all mapping functions."""
    lines = [
        "# Mapping functions",
        "",
        _GENERATED,
        "",
        "What may stand behind `through:` in a mapping; how mappings are written tells [mapping.md](../mapping.md).",
        "",
        "| function | what it makes | options |",
        "|---|---|---|",
    ]
    for name in sorted(FUNCTIONS):
        function = FUNCTIONS[name]
        options = "; ".join(_option(option, kind) for option, kind in function.options.items())
        if function.free_options:
            options = "the words, each with its value"
        lines.append(f"| `{name}` | {function.summary} | {options or 'none'} |")
    return "\n".join(lines) + "\n"


def _commands(command: Any, context: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group with its words, parents first."""
    yield names, command
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _commands(command.get_command(context, name), context, (*names, name))


def _section(command: Any, context: Any, names: tuple[str, ...]) -> str:
    title = " ".join(names)
    text = [f"## `{title}`" if len(names) == 2 else f"### `{title}`", "", _sentence(command.help)]
    if hasattr(command, "list_commands"):
        return "\n".join([*text, ""])
    own = command.make_context(title, [], parent=context, resilient_parsing=True)
    pieces = " ".join(dict.fromkeys(command.collect_usage_pieces(own)))
    pieces = pieces.replace("{", "").replace("}", "")  # Typer's sign for "one of these or several"
    text += ["", "```", f"{title} {pieces}", "```", ""]
    return "\n".join([*text, *filter(None, [_table(command)])])


def _table(command: Any) -> str:
    """Return the table of a command's arguments and options, "" where it has none."""
    rows = [_row(parameter) for parameter in command.params if parameter.name not in _HIDDEN]
    return "\n".join(["| | default | |", "|---|---|---|", *rows, ""]) if rows else ""


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{_plain(parameter.metavar or parameter.name.upper())}` | {_default(parameter)} | {parameter.help or ''} |"
    word = "" if parameter.is_flag else f" {_plain(parameter.metavar or _kind(parameter))}"
    names = ", ".join(f"`{name}{word}`" for name in parameter.opts)
    return f"| {names} | {_default(parameter)} | {parameter.help or ''} |"


def _kind(parameter: Any) -> str:
    said = str(parameter.type_descriptor.annotation)
    kinds = {"int": "N", "float": "N", "Path": "PATH"}
    return next((shown for word, shown in kinds.items() if word in said), "TEXT")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    return f"`{default}`" if isinstance(default, str | int | float) and default and default is not True else ""


def _plain(metavar: str) -> str:
    return metavar.replace("|", "\\|")


def _option(name: str, option: Option) -> str:
    kind = {"flag": "true or false", "list": "a list"}.get(option.kind, "")
    choices = ", ".join(f"`{choice}`" for choice in option.choices)
    said = ": ".join(filter(None, (kind, choices)))
    return f"`{name}`" + (" (required)" if option.required else "") + (f": {said}" if said else "")


def _sentence(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").strip().splitlines())


def main() -> None:
    """Write the pages."""
    (REFERENCE / "commands.md").write_text(commands_page(), encoding="utf-8")
    (REFERENCE / "mapping-functions.md").write_text(functions_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
