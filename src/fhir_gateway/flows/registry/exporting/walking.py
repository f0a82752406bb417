"""The steps that read what is on the server now: all of a type, what some people have, what newcomers brought along."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.exports import FileKind
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.masters import master_of
from fhir_gateway.flows.registry.exporting.tools import PERSONAL, Work, person_in
from fhir_gateway.flows.registry.exporting.writing import problem_line, write_resources, write_stored
from fhir_gateway.flows.registry.grouping import batches
from fhir_gateway.flows.registry.ordered import Order
from fhir_gateway.ports.exports import Stock
from fhir_gateway.registry.cursors import Position, position_of
from fhir_gateway.registry.exports import Level
from fhir_gateway.registry.parameters import to_pairs

_PAGES_BETWEEN_CHECKPOINTS = 10
_PEOPLE_TOGETHER = 50
_CONTROLS = ("_count", "_sort", "_summary", "_total", "_include", "_elements")


async def walk(work: Work, resource_type: str) -> None:
    """Export what was written up to the transaction time (and since `_since`), in the order of (lastUpdated, id)."""
    cursor = work.done.cursor
    after = Position(datetime.fromisoformat(cursor[0]), cursor[1]) if cursor else None
    pairs = _pairs(work, resource_type)
    read, total = int(cursor[2]) if cursor else 0, await _total(work, resource_type, pairs)
    order = Order(resource_type, pairs, lambda _: True, until=work.moment)
    pages = 0
    async for batch in batches(work.tools.server, order, after=after, size=work.tools.page):
        found = [one for position, one in batch if work.is_in_time(position.updated) and work.is_asked_for(one)]
        await write_resources(work, resource_type, of_members(work, found))
        read, last, pages = read + len(batch), batch[-1][0], pages + 1
        if pages % _PAGES_BETWEEN_CHECKPOINTS == 0:
            said = f"{resource_type}: {read} of {total} read" if total else f"{resource_type}: {read} read"
            work.save(cursor=(last.updated.isoformat(), last.id, str(read)), said=said)


async def walk_stock(work: Work, resource_type: str, stock: Stock) -> None:
    """Do what walk does where the server runs inside of this process: its bytes go into the files as they are."""
    cursor, since = work.done.cursor, work.order.since
    after = datetime.fromisoformat(cursor[0]) if cursor else since
    read, total = int(cursor[2]) if cursor else 0, await _total(work, resource_type, _pairs(work, resource_type))
    pages = 0
    while rows := await stock.rows(resource_type, after=after, until=work.moment, limit=work.tools.page):
        found = [one for one in rows if work.is_in_time(one.updated)]
        if work.order.elements or work.order.searches(resource_type) or work.is_personal(resource_type):
            read_ones = [one for one in (json_text.parse(each.body) for each in found) if work.is_asked_for(one)]
            await write_resources(work, resource_type, of_members(work, read_ones))
        else:
            await write_stored(work, resource_type, [one.body for one in found])
        after, read, pages = rows[-1].updated, read + len(rows), pages + 1
        if pages % _PAGES_BETWEEN_CHECKPOINTS == 0:
            said = f"{resource_type}: {read} of {total} read"
            work.save(cursor=(after.isoformat(), rows[-1].id, str(read)), said=said)


async def walk_people(work: Work, resource_type: str) -> None:
    """Export what the people have who were asked for, by whatever id they go now."""
    people = await people_of(work)
    if resource_type == next(one for one in work.order.types if one in PERSONAL):  # once
        _tell_missing(work, people)
    for n in range(0, len(people), _PEOPLE_TOGETHER):
        found = await _of_people(work, resource_type, people[n : n + _PEOPLE_TOGETHER])
        await write_resources(work, resource_type, wanted(work, found))


def _tell_missing(work: Work, people: Sequence[str]) -> None:
    """Say in the error file who of those that were asked for is not there, or no member of the group."""
    named = work.order.patients
    words = {one: f"there is no Patient/{one} here" for one in named if one not in people}
    if work.order.level is Level.GROUP:
        members = work.tools.groups.among(work.order.group, named, until=work.moment)
        words |= {
            one: f"Patient/{one} is no member of the group" for one in named if one in people and one not in members
        }
    lines = [problem_line("warning", "not-found", words[one]) for one in named if one in words]
    work.tools.files.write(FileKind.ERROR, "OperationOutcome", lines)


async def walk_joined(work: Work, resource_type: str) -> None:
    """Export what is older than `_since` of whoever joined the group after that."""
    since = work.order.since
    assert since is not None  # noqa: S101 - the step is for exports since a time
    after = work.done.cursor[0] if work.done.cursor else ""
    while joined := work.tools.groups.joined(
        work.order.group, since=since, until=work.moment, after=after, limit=_PEOPLE_TOGETHER
    ):
        found = await _of_people(work, resource_type, joined)
        await write_resources(work, resource_type, [one for one in found if position_of(one).updated <= since])
        after = joined[-1]
        work.save(cursor=(after,), said=f"{resource_type} of those who joined")


def wanted(work: Work, resources: Sequence[Resource]) -> Sequence[Resource]:
    """Return what belongs to the export: what was written in its time, of newcomers to a group what is older, too."""
    newer = of_members(work, [one for one in resources if work.is_in_time(position_of(one).updated)])
    since = work.order.since
    older = [one for one in resources if since is not None and position_of(one).updated <= since]
    if since is None or not older or not work.is_personal(older[0]["resourceType"]):
        return newer
    members = work.tools.groups.among(work.order.group, [person_in(one) for one in older], until=work.moment)
    return [*newer, *(one for one in older if members.get(person_in(one), since) > since)]


def of_members(work: Work, resources: Sequence[Resource]) -> Sequence[Resource]:
    """Return those that are about members of the group; all where no group is asked for."""
    if not resources or not work.is_personal(resources[0]["resourceType"]):
        return resources
    people = sorted({person_in(one) for one in resources})
    members = work.tools.groups.among(work.order.group, people, until=work.moment)
    return [one for one in resources if person_in(one) in members]


async def people_of(work: Work) -> Sequence[str]:
    """Return the ids of the Patients who were asked for, those who are there, and of those who stand for them now."""
    if work.people is None:
        reader = work.tools.server.reader
        found = {one["id"]: one for one in await _read(work, "Patient", "_id", work.order.patients)}
        people = dict.fromkeys(found)
        for patient in found.values():
            master = await master_of(patient, lambda patient_id: reader.read("Patient", patient_id))
            people |= {str((master or patient)["id"]): None}
        work.people = tuple(people)
    return work.people


def _pairs(work: Work, resource_type: str) -> list[tuple[str, str]]:
    searches = work.order.searches(resource_type)
    pairs = [pair for pair in to_pairs(searches[0]) if pair[0] not in _CONTROLS] if len(searches) == 1 else []
    since = work.order.since
    if since is not None:
        # With all its digits: a second alone stands for the whole second.
        pairs.append(("_lastUpdated", f"ge{since.astimezone(UTC).isoformat(timespec='microseconds')}"))
    return pairs


async def _total(work: Work, resource_type: str, pairs: Sequence[tuple[str, str]]) -> int:
    """Return how many resources there may be, for the progress; 0 where the server does not tell."""
    try:
        return await work.tools.server.puller.count(resource_type, pairs)
    except PermanentServerError:
        return 0


async def _of_people(work: Work, resource_type: str, people: Sequence[str]) -> list[Resource]:
    name = "_id" if resource_type == "Patient" else "patient"
    found = await _read(work, resource_type, name, people)
    in_time = (one for one in found if position_of(one).updated <= work.moment)
    return sorted((one for one in in_time if work.is_asked_for(one)), key=position_of)


async def _read(work: Work, resource_type: str, name: str, values: Iterable[str]) -> list[Resource]:
    asked = list(values)
    found: list[Resource] = []
    for n in range(0, len(asked), _PEOPLE_TOGETHER):
        chosen = tuple(asked[n : n + _PEOPLE_TOGETHER])
        found += [one async for one in work.tools.server.reader.search(resource_type, {name: chosen})]
    return found
