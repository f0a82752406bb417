"""Commands in processes of their own that kill themselves (SIGKILL) at the N-th moment that matters.

Moments are: before and after every exchange with the server, before and after every commit of the ledger. Run as a script
this is what the commands are forked from: it imports the gateway once, then takes an order from each line of stdin.
"""

import atexit
import gc
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory

PATIENCE = 600
"""Seconds after which what hangs is ended."""


def command(home, fatal, *arguments):
    """Run a command killed at its `fatal`-th moment, with 0 at none; return (code, stdout, moments)."""
    with TemporaryDirectory() as folder:
        order = {"home": str(home), "fatal": fatal, "arguments": [*map(str, arguments)], "output": folder}
        forking = _forking(resumes=fatal == 0)
        forking.stdin.write(json.dumps(order) + "\n")
        forking.stdin.flush()
        code = int(forking.stdout.readline())
        out, err = ((Path(folder) / name).read_text("utf-8") for name in ("out", "err"))
    moments = re.search(r"moments (\d+)", err)
    return code, out, int(moments[1]) if moments else 0


@cache
def _forking(*, resumes):
    source = Path(__file__).parents[2] / "src"  # the checkout, whatever is installed
    forking = subprocess.Popen(
        [sys.executable, __file__],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(forking.communicate)
    return forking


def _take_orders():
    from fhir_gateway import cli  # noqa: PLC0415 - the tests' own process counts no moments

    for module in iter_modules(cli.__path__):
        import_module(f"{cli.__name__}.{module.name}")
    _prepare()
    gc.freeze()  # else a collection in a forked process copies all that was imported
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _obey(**json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _prepare():
    """Compile mappings and schemas, which every command would do for itself, before any is forked."""
    from fhir_gateway.fhir.validation import are_valid, is_valid  # noqa: PLC0415 - see above
    from fhir_gateway.sources.mapping_folders import find_mappings, load_found  # noqa: PLC0415

    nowhere = Path(os.devnull)
    for found in find_mappings(nowhere):
        load_found(found, nowhere)
    for resource_type in ("Patient", "Immunization"):
        resource = {"resourceType": resource_type}
        are_valid(resource_type, [resource])
        is_valid(resource)


def _obey(*, home, fatal, arguments, output):
    signal.alarm(PATIENCE)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}/{name}", os.O_WRONLY | os.O_CREAT), stream)
    os.environ["FHIR_GATEWAY_HOME"] = home
    os.chdir(home)
    from fhir_gateway.cli.app import run  # noqa: PLC0415 - see above

    moments = _counted(fatal)
    code = run(arguments)
    sys.stderr.write(f"moments {moments()}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking down what was imported takes as long as the command


def _counted(fatal):
    """Count the moments, die at the fatal one; return how many have passed."""
    from fhir_gateway.fhir_server.client import FhirClient  # noqa: PLC0415 - see above
    from fhir_gateway.ledger.store import Ledger  # noqa: PLC0415 - see above

    moments = 0
    send, transaction = FhirClient.send, Ledger.transaction

    def pass_a_moment():
        nonlocal moments
        moments += 1
        if moments == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    async def watched_send(self, request):
        pass_a_moment()
        answer = await send(self, request)
        pass_a_moment()
        return answer

    @contextmanager
    def watched_transaction(self):
        with transaction(self):
            yield
            pass_a_moment()
        pass_a_moment()

    FhirClient.send, Ledger.transaction = watched_send, watched_transaction
    return lambda: moments


if __name__ == "__main__":
    _take_orders()
