"""The command `fhir-gateway`: its groups, and the one place where errors become exit codes."""

import errno
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from io import StringIO, TextIOWrapper
from types import FrameType
from typing import Annotated

import typer

from fhir_gateway import __version__
from fhir_gateway.cli.exit_codes import COULD_NOT_FINISH, WRONG_USAGE
from fhir_gateway.cli.printing import print_text, without_niks
from fhir_gateway.domain.errors import GatewayError, UsageError

_INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""
_WIDE_ENOUGH = 80
"""Columns of a terminal below which help in boxes would cut off the options' names."""
_PACKAGE = f"fhir_gateway{os.sep}"

_MODULES: Mapping[str, str] = {
    "demo": "demo",
    "load": "load",
    "convert": "load",
    "mapping": "mapping",
    "runs": "runs",
    "review": "review",
    "person": "persons",
    "identity": "identity",
    "merge": "merge",
    "env": "env",
    "access": "access",
    "registry": "registry",
    "synth": "synth",
    "serve": "serve",
    "fhir-server": "fhir_server",
}
"""A command's first word and the module that has it, in the order in which the help shows them."""
_UNGROUPED = frozenset({"demo", "load", "serve", "fhir_server"})
"""Modules whose commands stand by themselves; elsewhere the word is the group's name."""


def command_line(first: str = "") -> typer.Typer:
    """Return the command line with the commands that begin with the word `first` alone, with all where none does.

    A command pays for what it needs: beside a load all the others take 6 MiB.
    """
    root = typer.Typer(
        name="fhir-gateway",
        help="Makes clinics' legacy records FHIR R4 Patients and Immunizations: each person once, each dose once.",
        epilog="Exit codes: 0 done; 3 finished, but something is left to decide or correct; 1 could not finish, say it again;"
        " 2 wrong usage, configuration or file, nothing was begun.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="rich" if shutil.get_terminal_size().columns >= _WIDE_ENOUGH else None,
    )
    root.callback()(_root)
    chosen = [first] if first in _MODULES else _MODULES
    for module, word in {_MODULES[word]: word for word in chosen}.items():
        part = import_module(f"fhir_gateway.cli.{module}")
        root.add_typer(part.app, name=None if module in _UNGROUPED else word)
    return root


def _tell_version(asked: bool) -> None:
    """Print the installed version and end."""
    if asked:
        print(f"fhir-gateway {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    pass  # a command line with a callback stays a group where it has a single command


def main() -> None:
    """Run the command and exit with its code; SIGTERM ends it as Ctrl-C does."""
    for stream in (sys.stdout, sys.stderr):
        # A console or a pipe of another encoding shows what it lacks by its number: no letter may end a command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background by a shell: Ctrl-C stays unheeded, but SIGTERM needs its handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command with these arguments and return its exit code; errors go to stderr."""
    try:
        _check_letters(arguments)
        command = command_line(*arguments[:1])
        code = command(args=arguments, prog_name="fhir-gateway", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        told = StringIO()
        error.show(told)  # type: ignore[attr-defined]  # Typer's own copy of click raises only such as can be shown
        sys.stderr.write(without_niks(told.getvalue()))
        return WRONG_USAGE
    except BrokenPipeError:  # who read the output has gone, as `| head` does
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - stays open to the end: the interpreter flushes it
        return COULD_NOT_FINISH
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the command's edge: nobody is shown a traceback
        print_text(without_niks(f"fhir-gateway: {_words(error)}"), file=sys.stderr)
        return WRONG_USAGE if isinstance(error, UsageError) or _is_no_name(error) else COULD_NOT_FINISH
    if code == _INTERRUPTED:
        print_text(f"fhir-gateway: {_words(KeyboardInterrupt())}", file=sys.stderr)
        return COULD_NOT_FINISH
    return code if isinstance(code, int) else 0


def _check_letters(arguments: list[str]) -> None:
    """Raise UsageError for bytes that are no text: neither a ledger nor a server can hold them."""
    for number, argument in enumerate(arguments, start=1):
        if not argument.isascii() and argument != argument.encode("utf-8", "ignore").decode():
            raise UsageError(
                f"word {number} of the command is not in UTF-8: where it is a file's name, give it another"
            )


def _is_no_name(error: BaseException) -> bool:
    """Tell whether no file can be called as an argument says: longer than names may be."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


def _words(error: BaseException) -> str:
    """Return what an operator is told; of a fault of the program its place only, since its message could hold data."""
    match error:
        case GatewayError():
            return str(error)
        case KeyboardInterrupt() | typer.Abort():
            return "interrupted; what is done is kept, run the same command again"
        case OSError():
            return f"{_named(error)}; what is done is kept, run the command again when that is solved"
        case _:
            kind = type(error).__name__
            return f"a fault of the program ({kind} at {_place(error)}); what is done is kept, report this place"


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C does."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(number, frame)


def _named(error: OSError) -> str:
    """Name what failed and the file, as far as the error knows."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or type(error).__name__)


def _place(error: BaseException) -> str:
    """Return the innermost place in this package."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in frame.filename]
    return f"{frames[-1].filename.rpartition(_PACKAGE)[2]}:{frames[-1].lineno}" if frames else "an unknown place"
