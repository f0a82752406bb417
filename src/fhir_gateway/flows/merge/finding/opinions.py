"""What another model says of the pairs that were found; it changes no kind and no grade."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fhir_gateway.domain.finding import Found
from fhir_gateway.flows.merge.finding.registering import Registered
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.merging.finding_people import words_of


async def with_opinions(
    found: Sequence[Found], registered: Registered, tools: FindTools
) -> tuple[list[Found], tuple[str, ...]]:
    """Return groups with the second opinion on their weakest pair, and why there is none where there is none."""
    second = tools.second
    if second is None or not found:
        return list(found), ()
    tools.progress.phase(f"asking {second.name}")
    pairs = sorted({(str(pair.left), str(pair.right)) for one in found for pair in one.group.pairs})
    said = await asyncio.to_thread(second.probabilities, _rows(registered), pairs)
    if not said:
        few = f"{second.name} was not asked: the server's people are too few, or too few of them alike, to estimate a model"
        return list(found), (few,)
    return [replace(one, second_opinion=_of_weakest(one, said)) for one in found], ()


def _rows(registered: Registered) -> Iterator[Mapping[str, str]]:
    for number in range(len(registered)):
        yield words_of(registered.person(number))


def _of_weakest(found: Found, said: Mapping[tuple[str, str], float]) -> float | None:
    known = [said.get((str(pair.left), str(pair.right))) for pair in found.group.pairs]
    return min((one for one in known if one is not None), default=None)
