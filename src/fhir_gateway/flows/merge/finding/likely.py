"""Who is likely one person without a NIK in common: blocks of people, who is worth it, the comparison, groups."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from fhir_gateway.domain.finding import Found
from fhir_gateway.domain.identity import Grade
from fhir_gateway.flows.load.blocks import LARGEST_BLOCK
from fhir_gateway.flows.merge.finding.likely_groups import LikelyGroups, LikelyPair
from fhir_gateway.flows.merge.finding.registering import Registered, packed_pair, unpacked_pairs
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen
from fhir_gateway.merging.finding_pages import kind_of
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
    for part in registered.blocks.parts():
        paired = await asyncio.to_thread(_pair_off, registered, part)
        noted += paired.pairs
        if paired.cut:
            kind = kind_of(part)
            cut[kind] += paired.cut
            largest[kind] = max(largest[kind], paired.largest)
        tools.progress.advance(noted)
    return tuple(
        f"{cut[kind]} blocks of people who share {_KEYS.get(kind, 'a key')} were passed over, since more than"
        f" {LARGEST_BLOCK} stand in each (at most {largest[kind]}): who meets nowhere else was not compared"
        for kind in sorted(cut)
    )


@dataclass(frozen=True, slots=True)
class _Paired:
    pairs: int
    cut: int
    largest: int


def _pair_off(registered: Registered, part: int) -> _Paired:
    pairs = cut = largest = 0
    for block in registered.blocks.blocks(part):
        if len(block) > LARGEST_BLOCK:
            cut, largest = cut + 1, max(largest, len(block))
            continue
        for one, other in combinations(block, 2):
            registered.pairs.add(*packed_pair(one, other))
        pairs += len(block) * (len(block) - 1) // 2
    return _Paired(pairs, cut, largest)


async def _compared(
    registered: Registered, frequencies: Frequencies, tools: FindTools
) -> tuple[list[LikelyPair], dict[str, int]]:
    """Compare the pairs that are worth it; return those that are found, and the numbers of whom they name."""
    tools.progress.phase("comparing people")
    people = _People(registered)
    found: list[LikelyPair] = []
    numbers: dict[str, int] = {}
    under_way: deque[asyncio.Future[list[tuple[int, int]]]] = deque()
    done = 0

    async def compare_next() -> None:
        worth = await under_way[0]
        under_way.popleft()
        found.extend(await asyncio.to_thread(_compare, worth, people, numbers, frequencies, tools.matching))

    try:
        portions = _portions(registered)
        while (portion := await asyncio.to_thread(next, portions, None)) is not None:
            work = tools.workers.run(worth_of, portion.pairs, portion.records, tools.matching)
            under_way.append(asyncio.ensure_future(work))
            while len(under_way) >= tools.workers.together:
                await compare_next()
            done += len(portion.pairs)
            tools.progress.advance(done)
        while under_way:
            await compare_next()
    finally:
        for each in under_way:
            each.cancel()
    return found, numbers


@dataclass(frozen=True, slots=True)
class _Portion:
    pairs: list[tuple[int, int]]
    records: dict[int, bytes]


def _portions(registered: Registered) -> Iterator[_Portion]:
    for part in registered.pairs.parts():
        pairs = list(unpacked_pairs(registered.pairs.of(part)))
        for start in range(0, len(pairs), _PAIRS_TOGETHER):
            together = pairs[start : start + _PAIRS_TOGETHER]
            numbers = {number for pair in together for number in pair}
            yield _Portion(together, {number: registered.records.get(number) for number in sorted(numbers)})


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
