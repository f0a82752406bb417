"""Who is likely one person without a NIK in common: blocks of people, who is worth it, the comparison, groups."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fhir_gateway.domain.finding import Found
from fhir_gateway.domain.identity import Grade
from fhir_gateway.flows.load.blocks import LARGEST_BLOCK
from fhir_gateway.flows.merge.finding.likely_groups import LikelyGroups, LikelyPair
from fhir_gateway.flows.merge.finding.registering import Registered, unpacked_pairs
from fhir_gateway.flows.merge.finding.tools import FindTools, worked_off
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen
from fhir_gateway.merging.finding_pages import kind_of, pair_off
from fhir_gateway.merging.finding_people import Person
from fhir_gateway.merging.finding_screen import LEAST, worth_of

_REMEMBERED = 4_000
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
_ASKED = frozenset({Grade.CERTAIN, Grade.PROBABLE})


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
    frequencies = await asyncio.to_thread(registered.count.result, tools.matching.parameters.counting)
    pairs, numbers = await _compared(registered, frequencies, tools)
    grouping = LikelyGroups(shared, frequencies, tools)
    tools.progress.phase("grouping", len(pairs))
    for together in grouping.portions(pairs):
        wanted = {one: numbers[one] for pair in together for one in (pair.left, pair.right)}
        wanted |= {one: registered.sharing[one] for pair in together for one in grouping.with_whom(pair)}
        people = {one: registered.person(number) for one, number in wanted.items()}
        await grouping.add(together, people)
        tools.progress.advance(grouping.done)
    return Likely(grouping.found, frozenset(grouping.joined), grouping.parted, notes)


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


async def _compared(
    registered: Registered, frequencies: Frequencies, tools: FindTools
) -> tuple[list[LikelyPair], dict[str, int]]:
    """Compare the pairs that are worth it; return those that are found, and the numbers of whom they name."""
    tools.progress.phase("comparing people")
    people = _People(registered)
    found: list[LikelyPair] = []
    numbers: dict[str, int] = {}
    done = 0
    pieces = _portions(registered, tools.matching)
    async with aclosing(worked_off(tools.workers, worth_of, pieces)) as screened:
        async for (pairs, _, policy), worth in screened:
            found.extend(await asyncio.to_thread(_compare, worth, people, numbers, frequencies, policy))
            done += len(pairs)
            tools.progress.advance(done)
    return found, numbers


def _portions(
    registered: Registered, policy: MatchingPolicy
) -> Iterator[tuple[list[tuple[int, int]], dict[int, bytes], MatchingPolicy]]:
    """Yield portions of the pairs with the records of whom they name."""
    for part in registered.pairs.parts():
        pairs = list(unpacked_pairs(registered.pairs.of(part)))
        for start in range(0, len(pairs), _PAIRS_TOGETHER):
            together = pairs[start : start + _PAIRS_TOGETHER]
            numbers = {number for pair in together for number in pair}
            yield together, {number: registered.records.get(number) for number in sorted(numbers)}, policy


def _compare(
    pairs: Iterable[tuple[int, int]],
    people: "_People",
    numbers: dict[str, int],
    frequencies: Frequencies,
    policy: MatchingPolicy,
) -> list[LikelyPair]:
    found = []
    screen = Screen(policy, frequencies, least=LEAST)
    for left, right in pairs:
        one, other = people[left], people[right]
        if not screen.passes(one.evidence, other.evidence):
            continue
        comparison = compare(one.evidence, other.evidence, policy=policy, frequencies=frequencies)
        if comparison.grade in _ASKED:
            numbers |= {one.shown.id: left, other.shown.id: right}
            certain = comparison.grade is Grade.CERTAIN
            first, second = sorted((one.shown.id, other.shown.id))
            found.append(LikelyPair(first, second, certain, comparison.weight))
    return found


class _People:
    """Registered people, the latest of them remembered: pairs come in order, so the same people come together."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered
        self._kept: dict[int, Person] = {}

    def __getitem__(self, number: int) -> Person:
        found = self._kept.get(number)
        if found is None:
            if len(self._kept) >= _REMEMBERED:
                self._kept.clear()
            found = self._kept[number] = self._registered.person(number)
        return found
