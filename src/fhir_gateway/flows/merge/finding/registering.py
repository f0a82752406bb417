"""Everybody on a server, read once: page by page in the order of writing, while the pages before are looked at."""

import asyncio
from array import array
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, UsageError
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.flows.registry.ordered import Order, moments
from fhir_gateway.identity.frequencies import FrequencyCount
from fhir_gateway.merging.finding_pages import NUMBER, NUMBER_BITS, Noted, Page, look_at, look_for_niks
from fhir_gateway.merging.finding_people import Person, pack_unread, unpack
from fhir_gateway.ports.finding import FindingNumbers, FindingStore

PAGE = 500
_PARTS_OF_PAIRS = 64


@dataclass(frozen=True, slots=True)
class Begun:
    """A page of active Patients as bytes, numbered from `first` on, that is still to be looked at."""

    patients: bytes
    first: int


class Registered:
    """All people who were read: on disk, with what is needed to bring them together in numbers."""

    def __init__(self, store: FindingStore, *, wanted: Collection[str] = ()) -> None:
        self.records = store.records()
        self.niks = Keys(store.numbers())
        self.blocks = Keys(store.numbers())
        self._pairs = store.numbers()
        self.count = FrequencyCount()
        self.numbers: dict[str, int] = {}
        """The numbers of those wanted ids that were met."""
        self.sharing: dict[str, int] = {}
        """The numbers of those who share a NIK, when they have been looked for."""
        self.masked = 0
        """How many carry a NIK that the server hides."""
        self._born = array("I")
        self._wanted = frozenset(wanted)
        self._begun = 0

    def begin(self, patients: Sequence[Resource]) -> Begun:
        """Give the active ones of some Patients their numbers; inactive ones are nobody. Raises UsageError where there are too many."""
        active = [patient for patient in patients if patient.get("active") is not False and patient.get("id")]
        first = self._begun
        self._begun += len(active)
        if self._begun > NUMBER:
            raise UsageError(f"more than {NUMBER:,} active Patients stand on the server: more than can be compared")
        if self._wanted:
            numbered = ((str(patient["id"]), number) for number, patient in enumerate(active, start=first))
            self.numbers.update((one, number) for one, number in numbered if one in self._wanted)
        return Begun(pack_unread(active), first)

    def take(self, page: Page) -> None:
        """Keep what a page comes to; pages are taken in the order in which they were begun."""
        self.records.extend(page.records)
        self._born.extend(page.born)
        self.masked += page.masked
        self.niks.add(page.niks)
        self.blocks.add(page.blocks)
        self.count.extend(page.count)

    def pair(self, pairs: "array[int]") -> None:
        """Keep who meets whom (see finding_pages.Paired); pairs of one birth date stand in one part."""
        parts: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))
        for value in pairs:
            parts[self._born_of(value) % _PARTS_OF_PAIRS].append(value)
        for part, values in parts.items():
            self._pairs.extend(part, values)

    def pairs(self) -> "Iterator[array[int]]":
        """Yield the pairs part by part, each once: by the birth date of the first one, so that who meets several comes together."""
        for part in self._pairs.parts():
            yield array("Q", sorted(sorted(set(self._pairs.of(part))), key=self._born_of))

    def _born_of(self, pair: int) -> int:
        return self._born[pair >> NUMBER_BITS]

    def person(self, number: int) -> Person:
        """Return a person by number."""
        return unpack(self.records.get(number))

    def __len__(self) -> int:
        return len(self.records)


class Keys:
    """Who shares a key, by kinds of keys; keys are hashed and do not leave the process."""

    def __init__(self, numbers: FindingNumbers) -> None:
        self._numbers = numbers

    def add(self, noted: Noted) -> None:
        """Add the keys of a page."""
        for part, values in noted.items():
            self._numbers.extend(part, values)

    def parts(self) -> list[int]:
        """Return the parts that can be looked at one by one."""
        return self._numbers.parts()

    def of(self, part: int) -> "array[int]":
        """Return the keys of a part (see finding_pages.blocks_in)."""
        return self._numbers.of(part)


async def register(
    tools: FindTools, *, likely: bool, wanted: Collection[str] = ()
) -> tuple[Registered, tuple[str, ...]]:
    """Return all active Patients of the server, and what is to be known of how they were read.

    Raises a ServerError where the server cannot be read to the end.
    """
    tools.progress.phase("reading the server's Patients", await _total(tools))
    try:
        return await look_through(_in_order(tools), tools, likely=likely, wanted=wanted), ()
    except AccessRefusedError:
        raise
    except PermanentServerError as error:
        read = await look_through(_as_given(tools), tools, likely=likely, wanted=wanted)
        note = f"{error}; read page by page instead: what was written meanwhile may be missing"
        return read, (note,)


async def look_through(
    pages: AsyncGenerator[list[Resource]], tools: FindTools, *, likely: bool, wanted: Collection[str] = ()
) -> Registered:
    """Return the active Patients of pages; some pages are looked at while the next one is fetched."""
    registered = Registered(tools.store, wanted=wanted)
    work = look_at if likely else look_for_niks
    under_way: deque[asyncio.Future[Page]] = deque()
    following = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await following) is not None:
            following = asyncio.ensure_future(anext(pages, None))
            begun = await asyncio.to_thread(registered.begin, page)
            under_way.append(asyncio.ensure_future(tools.workers.run(work, begun.patients, begun.first)))
            while len(under_way) >= tools.workers.together:
                await _take(registered, under_way)
            tools.progress.advance(len(registered))
        while under_way:
            await _take(registered, under_way)
        tools.progress.advance(len(registered))
    finally:
        following.cancel()
        for each in under_way:
            each.cancel()
    return registered


async def _take(registered: Registered, under_way: "deque[asyncio.Future[Page]]") -> None:
    page = await under_way[0]
    under_way.popleft()
    await asyncio.to_thread(registered.take, page)


async def _total(tools: FindTools) -> int | None:
    try:
        return await tools.puller.count("Patient", ())
    except AccessRefusedError:
        raise
    except PermanentServerError:
        return None


async def _in_order(tools: FindTools) -> AsyncGenerator[list[Resource]]:
    page: list[Resource] = []
    order = Order("Patient", (), lambda _: True)
    async for placed in moments(tools.puller, order, start=None, size=PAGE):
        page += [resource for _, resource in placed]
        if len(page) >= PAGE:
            yield page
            page = []
    yield page


async def _as_given(tools: FindTools) -> AsyncGenerator[list[Resource]]:
    page: list[Resource] = []
    async for resource in tools.reader.search("Patient", {}):
        page.append(resource)
        if len(page) >= PAGE:
            yield page
            page = []
    yield page
