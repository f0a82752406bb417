"""Begins an export of the environment `embedded` in a working folder and kills itself (SIGKILL) at its N-th checkpoint.

Run as `python killed_export.py FOLDER N`; the export's id stands on stdout.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "src"))  # the checkout, whatever is installed

from fhir_gateway.domain.registry import PullKind, Request
from fhir_gateway.ledger.registry.exports import Exports
from fhir_gateway.registry.exports import ExportOrder, Level
from fhir_gateway.serving.environments import Serving

home, fatal = Path(sys.argv[1]), int(sys.argv[2])
reach = Exports.reach
reached = 0


def watched(self, job, checkpoint):
    global reached  # noqa: PLW0603 - the process has one count
    reached += 1
    if reached == fatal:
        os.kill(os.getpid(), signal.SIGKILL)  # the checkpoint is not written, what stands in the files is
    return reach(self, job, checkpoint)


Exports.reach = watched


async def main():
    async with Serving(home) as serving:
        environment = await serving.environment("embedded")
        order = ExportOrder(Level.SYSTEM, ("Patient", "Immunization"))
        asked = Request("c-1", "t-1", PullKind.EXPORT, "", b"", "", datetime.now(UTC))
        job = await environment.exports.kick_off(order, asked, url="u")
        sys.stdout.write(job.id)
        sys.stdout.flush()
        await environment.exports.wait()


asyncio.run(main())
