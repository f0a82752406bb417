"""Everybody on a server, read once: page by page in the order of writing, while the pages before are looked at."""

import asyncio
from array import array
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from itertools import groupby

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, UsageError
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.flows.registry.ordered import Order, moments
from fhir_gateway.identity.blocking import blocking_keys
from fhir_gateway.identity.frequencies import FrequencyCount
from fhir_gateway.merging.finding_people import (
    Person,
    hides_nik,
    niks_of,
    pack,
    pack_unread,
    person_of,
    unpack,
)
from fhir_gateway.merging.finding_screen import Screen
from fhir_gateway.ports.finding import FindingNumbers, FindingStore

PAGE = 500
_NUMBER_BITS = 28
"""A person's number and 36 bits of a key's hash stand in one 64-bit number."""
_NUMBER = (1 << _NUMBER_BITS) - 1
_HASH = (1 << 36) - 1
_PARTS_A_KIND = 16


class Registered:
    """All people who were read: on disk, with what is needed to bring them together in numbers."""

    def __init__(self, store: FindingStore, *, likely: bool, wanted: Collection[str] = ()) -> None:
        self.records = store.records()
        self.niks = Keys(store.numbers())
        self.blocks = Keys(store.numbers())
        self.pairs = store.numbers()
        self.screen = Screen()
        self.count = FrequencyCount()
        self.numbers: dict[str, int] = {}
        """The numbers of those wanted ids that were met."""
        self.masked = 0
        """How many carry a NIK that the server hides."""
        self._likely = likely
        self._wanted = frozenset(wanted)

    def add(self, patients: Sequence[Resource]) -> None:
        """Add Patients; inactive ones are nobody. Raises UsageError where there are too many to be numbered."""
        for patient in patients:
            if patient.get("active") is False or not patient.get("id"):
                continue
            self.masked += hides_nik(patient)
            if self._likely:
                person = person_of(patient)
                number, niks = self._numbered(person.shown.id, pack(person)), person.niks
                self._bring_together(number, person)
            else:
                number, niks = self._numbered(str(patient["id"]), pack_unread(patient)), niks_of(patient)
            for nik in niks:
                self.niks.add("n", nik, number)

    def _numbered(self, patient_id: str, record: bytes) -> int:
        number = self.records.add(record)
        if number > _NUMBER:
            raise UsageError(
                f"more than {_NUMBER:,} active Patients stand on the server: that is more than can be compared"
            )
        if patient_id in self._wanted:
            self.numbers[patient_id] = number
        return number

    def _bring_together(self, number: int, person: Person) -> None:
        self.screen.add(person.evidence)
        self.count.add(person.evidence)
        for key in blocking_keys(person.evidence):
            self.blocks.add(key[0], key, number)

    def person(self, number: int) -> Person:
        """Return a person by number."""
        return unpack(self.records.get(number))

    def __len__(self) -> int:
        return len(self.records)


class Keys:
    """Who shares a key, by kinds of keys; keys are hashed and do not leave the process."""

    def __init__(self, numbers: FindingNumbers) -> None:
        self._numbers = numbers

    def add(self, kind: str, key: str, number: int) -> None:
        """Note that a person has a key of a kind (a letter)."""
        hashed = hash(key)
        part = ord(kind) * _PARTS_A_KIND + hashed % _PARTS_A_KIND
        self._numbers.add(part, ((hashed >> 4) & _HASH) << _NUMBER_BITS | number)

    def parts(self) -> list[int]:
        """Return the parts that can be looked at one by one."""
        return self._numbers.parts()

    @staticmethod
    def kind_of(part: int) -> str:
        """Return the kind of the keys in a part."""
        return chr(part // _PARTS_A_KIND)

    def blocks(self, part: int) -> Iterator[list[int]]:
        """Yield the numbers of two or more people who share a key, rising; keys of one hash are taken for one."""
        noted = sorted(set(self._numbers.of(part)))
        for _, together in groupby(noted, key=_hash_in):
            block = [value & _NUMBER for value in together]
            if len(block) > 1:
                yield block


def _hash_in(value: int) -> int:
    return value >> _NUMBER_BITS


async def register(
    tools: FindTools, *, likely: bool, wanted: Collection[str] = ()
) -> tuple[Registered, tuple[str, ...]]:
    """Return all active Patients of the server, and what is to be known of how they were read.

    Raises a ServerError where the server cannot be read to the end.
    """
    tools.progress.phase("reading the server's Patients", await _total(tools))
    try:
        return await _registered(_in_order(tools), tools, likely=likely, wanted=wanted), ()
    except AccessRefusedError:
        raise
    except PermanentServerError as error:
        read = await _registered(_as_given(tools), tools, likely=likely, wanted=wanted)
        note = f"{error}; read page by page instead: what was written meanwhile may be missing"
        return read, (note,)


async def _registered(
    pages: AsyncGenerator[list[Resource]], tools: FindTools, *, likely: bool, wanted: Collection[str]
) -> Registered:
    """Look at a page while the next one is fetched."""
    registered = Registered(tools.store, likely=likely, wanted=wanted)
    following = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await following) is not None:
            following = asyncio.ensure_future(anext(pages, None))
            await asyncio.to_thread(registered.add, page)
            tools.progress.advance(len(registered))
    finally:
        following.cancel()
    return registered


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


def packed_pair(one: int, other: int) -> tuple[int, int]:
    """Return the part and the number under which a pair is kept; pairs of one part are near each other on disk."""
    return one >> 16, one << _NUMBER_BITS | other


def unpacked_pairs(values: "array[int]") -> Iterator[tuple[int, int]]:
    """Yield the pairs of a part, each once, rising."""
    for value in sorted(set(values)):
        yield value >> _NUMBER_BITS, value & _NUMBER
