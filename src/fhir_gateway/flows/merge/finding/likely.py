"""Who is likely one person without a NIK in common: blocks of people, who is worth it, the comparison, groups."""

import asyncio
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fhir_gateway.domain.finding import Found
from fhir_gateway.flows.load.blocks import LARGEST_BLOCK
from fhir_gateway.flows.merge.finding.likely_groups import Portions
from fhir_gateway.flows.merge.finding.registering import Registered
from fhir_gateway.flows.merge.finding.tools import FindTools, worked_off
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.merging.finding_groups import Pair
from fhir_gateway.merging.finding_likely import group_likely
from fhir_gateway.merging.finding_pages import NUMBER, NUMBER_BITS, kind_of, pair_off
from fhir_gateway.merging.finding_screen import worth_of

_PAIRS_TOGETHER = 5_000
_KEYS = {
    "n": "NIK but for its last digit",
    "r": "medical record number",
    "o": "the gateway's own identifier",
    "d": "birth date and a word of the name",
    "m": "birth date and mother's name",
    "t": "birth date and phone",
    "y": "year of birth and two words of the name",
    "b": "birthday and two words of the name",
    "p": "phone and a word of the name",
    "f": "mother's name, a word of the name and the years of birth",
}


@dataclass(frozen=True, slots=True)
class Likely:
    """Groups of likely duplicates. `joined` are the ids of shared NIKs' groups that stand in one of these as a whole."""

    found: list[Found]
    joined: frozenset[tuple[str, ...]]
    parted: int
    notes: tuple[str, ...]


async def find_likely(registered: Registered, tools: FindTools, shared: Sequence[Found] = ()) -> Likely:
    """Return groups of likely duplicates, how many pairs were parted before, and which blocks were too large.

    Who is likely somebody of those who share a NIK (`shared`, as they were found) stands in one group with all of them.
    """
    notes = await _bring_together(registered, tools)
    worth, frequencies = await asyncio.gather(
        _worth_comparing(registered, tools),
        asyncio.to_thread(registered.count.result, tools.matching.parameters.counting),
    )
    return await _grouped(Portions(worth, shared, registered), frequencies, tools, notes)


async def _bring_together(registered: Registered, tools: FindTools) -> tuple[str, ...]:
    """Note the pairs of all blocks that tell somebody from others."""
    tools.progress.phase("bringing people together")
    cut: Counter[str] = Counter()
    largest: Counter[str] = Counter()
    noted = 0
    parts = registered.blocks.parts()
    pieces = ((registered.blocks.of(part), LARGEST_BLOCK) for part in parts)
    async with aclosing(worked_off(tools.workers, pair_off, pieces)) as all_paired:
        kinds = map(kind_of, parts)
        async for _, paired in all_paired:
            await asyncio.to_thread(registered.pair, paired.pairs)
            kind = next(kinds)
            cut[kind] += paired.cut
            largest[kind] = max(largest[kind], paired.largest)
            noted += len(paired.pairs)
            tools.progress.advance(noted)
    return tuple(
        f"{cut[kind]} blocks of people who share {_KEYS.get(kind, 'a key')} were passed over, since more than"
        f" {LARGEST_BLOCK} stand in each (at most {largest[kind]}): who meets nowhere else was not compared"
        for kind in sorted(+cut)
    )


async def _worth_comparing(registered: Registered, tools: FindTools) -> dict[Pair, tuple[int, int]]:
    """Return the pairs that are worth a comparison, by the Patients' ids, with the people's numbers."""
    tools.progress.phase("comparing people")
    worth: dict[int, Pair] = {}
    done = 0
    async with aclosing(worked_off(tools.workers, worth_of, _portions(registered, tools.matching))) as screened:
        async for (pairs, _, _), found in screened:
            worth |= found
            done += len(pairs)
            tools.progress.advance(done)
    return _by_ids(worth)


def _by_ids(worth: Mapping[int, Pair]) -> dict[Pair, tuple[int, int]]:
    """Return numbers by ids; of a Patient who came twice, written while the server was read, the later number."""
    numbers: dict[Pair, tuple[int, int]] = {}
    for pair, (one, other) in sorted(worth.items()):
        (first, its), (second, others) = sorted(((one, pair >> NUMBER_BITS), (other, pair & NUMBER)))
        numbers[first, second] = its, others
    return numbers


async def _grouped(portions: Portions, frequencies: Frequencies, tools: FindTools, notes: tuple[str, ...]) -> Likely:
    """Compare the pairs with the frequencies of this server, and group those that are likely one person."""
    tools.progress.phase("grouping", len(portions))
    apart = tools.ledger.keys.kept_apart(portions.people())
    found: list[Found] = []
    joined: set[tuple[str, ...]] = set()
    parted = done = 0
    pieces = ((portion, tools.matching, frequencies) for portion in portions.all(apart))
    async with aclosing(worked_off(tools.workers, group_likely, pieces)) as all_grouped:
        async for (portion, _, _), grouped in all_grouped:
            found += grouped.found
            joined |= grouped.joined
            parted += grouped.parted
            done += len(portion.pairs)
            tools.progress.advance(done)
    return Likely(found, frozenset(joined), parted, notes)


def _portions(
    registered: Registered, policy: MatchingPolicy
) -> "Iterator[tuple[array[int], dict[int, bytes], MatchingPolicy]]":
    """Yield portions of the pairs with the records of whom they name."""
    for together in _cut(registered.pairs()):
        numbers = {pair >> NUMBER_BITS for pair in together}.union(pair & NUMBER for pair in together)
        yield together, {number: registered.records.get(number) for number in sorted(numbers)}, policy


def _cut(parts: "Iterable[array[int]]") -> "Iterator[array[int]]":
    """Yield the pairs of all parts in portions of one size, as each takes time to begin with."""
    waiting = array("Q")
    for pairs in parts:
        waiting += pairs
        while len(waiting) > _PAIRS_TOGETHER:
            yield waiting[:_PAIRS_TOGETHER]
            del waiting[:_PAIRS_TOGETHER]
    if waiting:
        yield waiting
