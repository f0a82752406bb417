"""Where the command begins: signals are heeded before anything large is imported, which takes most of its first second."""

import os
import signal
import sys
from types import FrameType

from fhir_gateway.cli.exit_codes import COULD_NOT_FINISH

_STDERR = 2


def main() -> None:
    """Run the command; SIGTERM and Ctrl-C while it is still being imported end it at once, with the code for that."""
    _open_closed_streams()
    heeds_ctrl_c = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    signal.signal(signal.SIGTERM, _end)
    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, _end)
    from fhir_gateway.cli import app  # noqa: PLC0415 - see above

    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app.main()


def _open_closed_streams() -> None:
    """Let what nobody listens to vanish: with a closed stderr progress would go to stdout, a closed stdout is None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - stays open to the end


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal handlers are called
    os.write(_STDERR, b"fhir-gateway: interrupted before anything was begun\n")
    os._exit(COULD_NOT_FINISH)
