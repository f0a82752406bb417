"""Who shares a NIK: all Patients of a server that were read, or those who carry NIKs that an operator names."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.merges import GroupRule
from fhir_gateway.domain.searches import Search
from fhir_gateway.flows.merge.finding.registering import Registered
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.identity.evidence import unmasked
from fhir_gateway.merging.finding_groups import found_of
from fhir_gateway.merging.finding_pages import blocks_in
from fhir_gateway.merging.finding_people import Person, person_of
from fhir_gateway.merging.grouping import grade_people

_NIKS_A_SEARCH = 200
_NIKS_TOGETHER = 2_000
_GROUPS_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Sharing:
    """The active Patients that carry a NIK, by id."""

    nik: str
    people: Mapping[str, Person]


def sharing_in(registered: Registered, part: int) -> list[Sharing]:
    """Return who shares a NIK in a part of the registered people's NIKs, by NIK."""
    found: list[Sharing] = []
    for block in blocks_in(registered.niks.of(part)):
        carriers: dict[str, dict[str, Person]] = defaultdict(dict)
        numbers: dict[str, int] = {}
        for number in block:
            person = registered.person(number)
            for nik in person.niks:
                carriers[nik][person.shown.id] = person  # who was written while the server was read came twice
            numbers[person.shown.id] = number
        common = [Sharing(nik, people) for nik, people in carriers.items() if len(people) > 1]
        registered.sharing |= {one: numbers[one] for sharing in common for one in sharing.people}
        found += common
    return sorted(found, key=lambda one: one.nik)


async def find_sharing(registered: Registered, tools: FindTools) -> tuple[list[Found], int]:
    """Return who shares a NIK on the whole server, and how many such pairs are not listed since they were parted."""
    tools.progress.phase("who shares a NIK")
    found: dict[tuple[str, ...], Found] = {}
    parted = 0
    for part in registered.niks.parts():
        for together in _portions(await asyncio.to_thread(sharing_in, registered, part)):
            graded, apart = await grade_sharing(together, tools)
            parted += apart
            for one in graded:
                _keep_best(found, one)
        tools.progress.advance(len(found))
    return list(found.values()), parted


async def find_by_niks(niks: Sequence[str], tools: FindTools) -> tuple[list[Found], tuple[str, ...], int, int]:
    """Return who shares one of these NIKs, the NIKs that nobody shares, how many were parted, and Patients read."""
    tools.progress.phase("who shares these NIKs", len(niks))
    found: dict[tuple[str, ...], Found] = {}
    shared: set[str] = set()
    parted = read = done = 0
    for start in range(0, len(niks), _NIKS_TOGETHER):
        wanted = niks[start : start + _NIKS_TOGETHER]
        carriers = await _carriers(wanted, tools)
        read += sum(len(people) for people in carriers.values())
        several = [Sharing(nik, people) for nik, people in sorted(carriers.items()) if len(people) > 1]
        shared |= {one.nik for one in several}
        graded, apart = await grade_sharing(several, tools)
        parted += apart
        for one in graded:
            _keep_best(found, one)
        done += len(wanted)
        tools.progress.advance(done)
    return list(found.values()), tuple(nik for nik in niks if nik not in shared), parted, read


async def grade_sharing(sharing: Sequence[Sharing], tools: FindTools) -> tuple[list[Found], int]:
    """Grade groups; those in which every pair was parted before are not proposed again, but counted."""
    ids = {patient_id for one in sharing for patient_id in one.people}
    parted = tools.ledger.keys.kept_apart(sorted(ids))
    wanted = [one for one in sharing if not _all_parted(one.people, parted)]

    def grade() -> list[Found]:
        return [_graded(one, parted, tools) for one in wanted]

    return await asyncio.to_thread(grade), len(sharing) - len(wanted)


def _graded(sharing: Sharing, parted: Iterable[frozenset[str]], tools: FindTools) -> Found:
    evidence = {patient_id: person.evidence for patient_id, person in sharing.people.items()}
    group = grade_people(
        evidence, rule=GroupRule.SAME_NIK, nik=sharing.nik, parted=frozenset(parted), policy=tools.matching
    )
    return found_of(FoundKind.SHARED_NIK, group, sharing.people)


def _all_parted(ids: Iterable[str], parted: set[frozenset[str]]) -> bool:
    return bool(parted) and all(frozenset(pair) in parted for pair in combinations(sorted(ids), 2))


def _keep_best(found: dict[tuple[str, ...], Found], one: Found) -> None:
    """Keep one group of the same Patients who share two NIKs: that of a whole NIK before that of one that may be cut."""
    known = found.get(one.group.patient_ids)
    if known is None or _rank(one) < _rank(known):
        found[one.group.patient_ids] = one


def _rank(one: Found) -> tuple[bool, str]:
    return any(conflict.code == "nik-may-be-cut" for conflict in one.group.conflicts), one.group.nik


def _portions(sharing: Sequence[Sharing]) -> Iterator[Sequence[Sharing]]:
    for start in range(0, len(sharing), _GROUPS_TOGETHER):
        yield sharing[start : start + _GROUPS_TOGETHER]


async def _carriers(niks: Sequence[str], tools: FindTools) -> dict[str, dict[str, Person]]:
    """Return NIK → the active Patients that carry it, in few searches; one a search where the server masks NIKs.

    Raises PermanentServerError where the server cannot be searched by identifier.
    """
    size = 1 if tools.masked else _NIKS_A_SEARCH
    chunks = [niks[start : start + size] for start in range(0, len(niks), size)]
    searches = [Search("Patient", {"identifier": [f"{systems.NIK}|{nik}" for nik in chunk]}) for chunk in chunks]
    carriers: dict[str, dict[str, Person]] = {nik: {} for nik in niks}
    for chunk, answer in zip(chunks, await tools.reader.search_together(searches), strict=True):
        if answer.problem:
            raise PermanentServerError(f"The FHIR server cannot be searched for Patients by NIK: {answer.problem}")
        for patient in answer.resources:
            if patient.get("active") is False:
                continue
            person = person_of(patient)
            if tools.masked:
                person = person._replace(niks=(chunk[0],), evidence=unmasked(person.evidence, chunk[0]))
            for nik in set(person.niks) & carriers.keys():
                carriers[nik][person.shown.id] = person
    return carriers
