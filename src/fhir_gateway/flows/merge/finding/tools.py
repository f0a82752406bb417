"""What finding duplicates works with, and what it is asked to do."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

from fhir_gateway.flows.merge.tools import MergeReader
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ports import Ledger, Progress
from fhir_gateway.ports.finding import FindingStore, FindingWorkers, SecondOpinion
from fhir_gateway.ports.registry import FhirPuller

Result = TypeVar("Result")
Pieces = TypeVarTuple("Pieces")


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


async def worked_off(
    workers: FindingWorkers, work: Callable[[*Pieces], Result], pieces: Iterator[tuple[*Pieces]]
) -> AsyncGenerator[tuple[tuple[*Pieces], Result]]:
    """Yield each piece of work with what a pure function makes of it, in order, while the next ones are under way."""
    under_way: deque[tuple[tuple[*Pieces], asyncio.Future[Result]]] = deque()
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            under_way.append((piece, asyncio.ensure_future(workers.run(work, *piece))))
            while len(under_way) >= workers.together:
                yield under_way[0][0], await under_way[0][1]
                under_way.popleft()
        while under_way:
            yield under_way[0][0], await under_way[0][1]
            under_way.popleft()
    finally:
        for _, each in under_way:
            each.cancel()


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
