"""What finding duplicates works with, and what it is asked to do."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fhir_gateway.flows.merge.tools import MergeReader
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ports import Ledger, Progress
from fhir_gateway.ports.finding import FindingStore, FindingWorkers, SecondOpinion
from fhir_gateway.ports.registry import FhirPuller

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FindRequest:
    """What is looked for.

    With `niks` it is who shares one of these, in few searches; with None it is everybody on the server, read once.
    `likely` asks for those, too, who share no NIK (never with `niks`).
    """

    niks: Sequence[str] | None = None
    likely: bool = True


class OneThread:
    """Works beside the event loop, one thing after another (ports.FindingWorkers)."""

    together = 1

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Return what a pure function returns."""
        return await asyncio.to_thread(work, *arguments)


@dataclass(frozen=True, slots=True)
class FindTools:
    """The adapters and policies of one environment; `masked` says that its server hides NIKs and birth dates."""

    ledger: Ledger
    reader: MergeReader
    puller: FhirPuller
    store: FindingStore
    progress: Progress
    matching: MatchingPolicy
    masked: bool = False
    second: SecondOpinion | None = None
    workers: FindingWorkers = field(default_factory=OneThread)
