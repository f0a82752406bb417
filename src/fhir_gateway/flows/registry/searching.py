"""A registry's search: who is meant, what fits, in a stable order, and what references lead to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.masters import master_of
from fhir_gateway.flows.registry.ordered import Order, Stretch, moments, stretch
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.registry.cursors import Cursor, Position, position_of
from fhir_gateway.registry.enriching import enrich, organizations_in, patient_in, person_of, subset
from fhir_gateway.registry.matching import fits
from fhir_gateway.registry.parameters import LARGEST_COUNT, Filter, RegistrySearch, is_personal, to_pairs

_READ_TOGETHER = 200
_OF_PEOPLE = ("patient", "patient.identifier")
_CONTROLS = ("_count", "_sort", "_summary", "_total", "_include", "_elements")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page: matches with what references lead to, the Patients that were included, and how it goes on.

    `originals` are the matches as the server has them (id and version tell what was given away). `following` is None
    at the end. `replaced` maps each replaced Patient that was asked for to its survivor.
    """

    matches: tuple[Resource, ...]
    included: tuple[Resource, ...]
    originals: tuple[Resource, ...]
    following: Cursor | None
    total: int | None
    replaced: tuple[tuple[str, str], ...]


async def search(asked: RegistrySearch, tools: RegistryTools, *, after: Position | None = None) -> SearchResult:
    """Return a page of a search, behind `after` where that is given."""
    people = await _people(asked, tools)
    replaced = people.replaced if people else ()
    few = await _few(asked, tools, people)
    total = None
    if asked.count_only or asked.with_total:
        total = await _counted(asked, tools) if few is None else len(few)
    if asked.count_only:
        return SearchResult((), (), (), None, total, replaced)
    found = (
        _cut(few, asked, after)
        if few is not None
        else await stretch(tools.puller, _order(asked, tools), after=after, count=asked.count)
    )
    told, patients = await tell(found.resources, tools, known=people.patients if people else ())
    return SearchResult(
        matches=tuple(subset(one, asked.elements) for one in told),
        included=tuple(patients) if asked.with_patients else (),
        originals=found.resources,
        following=Cursor(asked, position_of(found.resources[-1])) if found.more else None,
        total=total,
        replaced=replaced,
    )


async def tell(
    resources: Sequence[Resource], tools: RegistryTools, *, known: Sequence[Resource] = ()
) -> tuple[list[Resource], list[Resource]]:
    """Return resources whose references say who and what they lead to, and the Patients that doses are of.

    `known` are Patients that were read for this search already.
    """
    ids = {patient_in(one) for one in resources} - {""}
    patients = [one for one in known if one["id"] in ids]
    patients += await by_id("Patient", sorted(ids - {one["id"] for one in patients}), tools)
    organizations = await by_id("Organization", sorted({i for one in resources for i in organizations_in(one)}), tools)
    people = {one["id"]: person_of(one) for one in patients}
    names = {one["id"]: one["name"] for one in organizations if isinstance(one.get("name"), str)}
    return [enrich(one, people=people, organizations=names) for one in resources], patients


async def _counted(asked: RegistrySearch, tools: RegistryTools) -> int:
    """Return how many resources a search finds; where the server does not tell, they are read to the end."""
    try:
        return await tools.puller.count(asked.resource_type, _pairs(asked))
    except UntrustedAnswerError:
        order = replace(_order(asked, tools), newest_first=False)
        found = moments(tools.puller, order, start=None, size=LARGEST_COUNT)
        return sum([sum(order.wanted(resource) for _, resource in placed) async for placed in found])


@dataclass(frozen=True, slots=True)
class _People:
    ids: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...]
    patients: tuple[Resource, ...]


async def _people(asked: RegistrySearch, tools: RegistryTools) -> _People | None:
    """Return the Patients whose doses are asked for, survivors in place of replaced ones; None where nobody is named."""
    named = [one for one in asked.filters if one.name in _OF_PEOPLE]
    if asked.resource_type != "Immunization" or not named:
        return None
    allowed: set[str] | None = None
    replaced: dict[str, str] = {}
    known: dict[str, Resource] = {}
    for one in named:
        if one.name == "patient":
            patients = await by_id("Patient", one.values, tools)
            missing = set(one.values) - {patient["id"] for patient in patients}
        else:
            patients = [found async for found in tools.reader.search("Patient", {"identifier": one.values})]
            missing = set()
        masters = {patient["id"]: await _master(patient, tools) for patient in patients}
        survivors = {patient_id: str(master["id"]) for patient_id, master in masters.items()}
        known |= {master["id"]: master for master in masters.values()}
        replaced |= {before: now for before, now in survivors.items() if before != now}
        ids = {*survivors.values(), *missing}
        allowed = ids if allowed is None else allowed & ids
    patients_of = [known[patient_id] for patient_id in sorted(known)]
    return _People(tuple(sorted(allowed or ())), tuple(sorted(replaced.items())), tuple(patients_of))


async def _master(patient: Resource, tools: RegistryTools) -> Resource:
    """Return the Patient that stands for one now; the Patient itself where nobody does."""
    return await master_of(patient, lambda patient_id: tools.reader.read("Patient", patient_id)) or patient


async def _few(asked: RegistrySearch, tools: RegistryTools, people: _People | None) -> list[Resource] | None:
    """Return, in order, what belongs to some people or has some ids: few enough to be put in order here; else None."""
    key = next((one for one in asked.filters if one.name == "_id" or is_personal(asked.resource_type, one.name)), None)
    if people is not None:
        key = Filter("patient", people.ids)
        others = tuple(one for one in asked.filters if one.name not in _OF_PEOPLE)
        asked = replace(asked, filters=(*others, key))
    if key is None:
        return None
    if not key.values:
        return []
    found = tools.reader.search(asked.resource_type, {key.name: key.values})
    return sorted([one async for one in found if fits(one, asked)], key=position_of, reverse=asked.newest_first)


def _cut(few: Sequence[Resource], asked: RegistrySearch, after: Position | None) -> Stretch:
    """Return the part of a few resources that lies behind a position."""
    if after is not None:
        few = [one for one in few if (place := position_of(one)) != after and (place < after) == asked.newest_first]
    return Stretch(tuple(few[: asked.count]), more=len(few) > asked.count)


def _order(asked: RegistrySearch, tools: RegistryTools) -> Order:
    return Order(
        asked.resource_type,
        _pairs(asked),
        lambda one: fits(one, asked),
        newest_first=asked.newest_first,
        until=None if asked.newest_first else tools.settled_until(),
    )


async def by_id(resource_type: str, ids: Sequence[str], tools: RegistryTools) -> list[Resource]:
    """Return the resources of these ids that there are."""
    found: list[Resource] = []
    for n in range(0, len(ids), _READ_TOGETHER):
        chosen = tuple(ids[n : n + _READ_TOGETHER])
        found += [one async for one in tools.reader.search(resource_type, {"_id": chosen})]
    return found


def _pairs(asked: RegistrySearch) -> list[tuple[str, str]]:
    return [(name, value) for name, value in to_pairs(asked) if name not in _CONTROLS]
