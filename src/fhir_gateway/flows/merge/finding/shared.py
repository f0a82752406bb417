"""Who shares a NIK: all Patients of a server that were read, or those who carry NIKs that an operator names."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing

from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.finding import Found
from fhir_gateway.domain.searches import Search
from fhir_gateway.flows.merge.finding.registering import Registered
from fhir_gateway.flows.merge.finding.tools import FindTools, worked_off
from fhir_gateway.identity.evidence import unmasked
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.merging.finding_pages import blocks_in
from fhir_gateway.merging.finding_people import Person, person_of
from fhir_gateway.merging.finding_sharing import Sharing, grade_blocks, grade_sharing

_NIKS_A_SEARCH = 200
_NIKS_TOGETHER = 2_000


async def find_sharing(registered: Registered, tools: FindTools) -> tuple[list[Found], int]:
    """Return who shares a NIK on the whole server, and how many such groups are not listed since they were parted."""
    tools.progress.phase("who shares a NIK")
    found: dict[tuple[str, ...], Found] = {}
    parted = 0
    async with aclosing(worked_off(tools.workers, grade_blocks, _blocks(registered, tools))) as all_graded:
        async for piece, graded in all_graded:
            registered.sharing |= graded.numbers
            apart = tools.ledger.keys.kept_apart(sorted(graded.numbers))
            if apart:  # so few have ever been parted that nobody is asked of beforehand
                graded = await tools.workers.run(grade_blocks, *piece, apart)  # noqa: PLW2901 - it takes its place
            parted += graded.parted
            for one in graded.found:
                _keep_best(found, one)
            tools.progress.advance(len(found))
    return list(found.values()), parted


def _blocks(
    registered: Registered, tools: FindTools
) -> Iterator[tuple[list[list[int]], dict[int, bytes], MatchingPolicy]]:
    """Yield who has a NIK in common, part by part, with their records."""
    for part in registered.niks.parts():
        blocks = list(blocks_in(registered.niks.of(part)))
        yield blocks, {number: registered.records.get(number) for block in blocks for number in block}, tools.matching


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
        apart = tools.ledger.keys.kept_apart(sorted({one for sharing in several for one in sharing.people}))
        graded = await asyncio.to_thread(grade_sharing, several, tools.matching, apart)
        parted += graded.parted
        for one in graded.found:
            _keep_best(found, one)
        done += len(wanted)
        tools.progress.advance(done)
    return list(found.values()), tuple(nik for nik in niks if nik not in shared), parted, read


def _keep_best(found: dict[tuple[str, ...], Found], one: Found) -> None:
    """Keep one group of the same Patients who share two NIKs: that of a whole NIK before that of one that may be cut."""
    known = found.get(one.group.patient_ids)
    if known is None or _rank(one) < _rank(known):
        found[one.group.patient_ids] = one


def _rank(one: Found) -> tuple[bool, str]:
    return any(conflict.code == "nik-may-be-cut" for conflict in one.group.conflicts), one.group.nik


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
