"""Runs the command and kills itself (SIGKILL) at the N-th moment that matters.

Moments are: before and after every exchange with the server, before and after every commit of the ledger. Run as
`python killed_command.py N ARGUMENT…`; with N = 0 nothing is killed and the number of moments is printed to stderr.
"""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))  # the checkout, whatever is installed

from fhir_gateway.cli.app import run
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.ledger.store import Ledger

moments = 0
fatal = int(sys.argv[1])


def pass_a_moment():
    global moments  # noqa: PLW0603 - the process has one count
    moments += 1
    if moments == fatal:
        os.kill(os.getpid(), signal.SIGKILL)


send, transaction = FhirClient.send, Ledger.transaction


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

code = run(sys.argv[2:])
sys.stderr.write(f"moments {moments}\n")
sys.exit(code)
