"""Whom and what exported resources refer to, looked up for whole pages and remembered for the next ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ports.exports import Stock
from fhir_gateway.registry.enriching import Person, organizations_in, patient_in, person_of

_TOGETHER = 200
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Referred:
    """What references of a page lead to, as registry.enriching.enrich takes it."""

    people: dict[str, Person]
    organizations: dict[str, str]


class References:
    """People and organizations of one server, some thousands of them remembered (as JSON, which takes a third of the room)."""

    def __init__(self, tools: RegistryTools, stock: Stock | None) -> None:
        self._tools = tools
        self._stock = stock
        self._people: dict[str, bytes] = {}
        self._organizations: dict[str, bytes] = {}

    async def of(self, resources: Sequence[Resource]) -> Referred:
        """Return what these resources refer to; what is not there is left out."""
        people = await self.people({patient_in(one) for one in resources})
        organizations = {found for one in resources for found in organizations_in(one)}
        await self._learn("Organization", organizations, self._organizations, _name)
        names = {one: orjson.loads(self._organizations[one]) for one in organizations if one in self._organizations}
        return Referred(
            {one: orjson.loads(person) for one, person in people.items()},
            {one: name for one, name in names.items() if name},
        )

    async def people(self, patients: Iterable[str]) -> dict[str, bytes]:
        """Return what references to these Patients say of the person, as JSON; who is not there is left out."""
        wanted = set(patients) - {""}
        await self._learn("Patient", wanted, self._people, person_of)
        return {one: self._people[one] for one in wanted if one in self._people}

    async def _learn(
        self, resource_type: str, ids: set[str], known: dict[str, bytes], told: Callable[[Resource], Any]
    ) -> None:
        missing = sorted(ids - known.keys())
        if len(known) + len(missing) > _REMEMBERED:
            known.clear()
            missing = sorted(ids)
        if self._stock is not None and missing:
            found = await self._stock.some(resource_type, missing)
            known |= {one.id: _packed(told(orjson.loads(one.body))) for one in found}
            return
        for n in range(0, len(missing), _TOGETHER):
            chosen = tuple(missing[n : n + _TOGETHER])
            async for resource in self._tools.reader.search(resource_type, {"_id": chosen}):
                known[str(resource["id"])] = _packed(told(resource))


def _packed(value: Any) -> bytes:
    """Return JSON in no more room than it needs: orjson's own bytes keep kilobytes to spare."""
    return bytes(memoryview(orjson.dumps(value)))


def _name(organization: Resource) -> str:
    name = organization.get("name")
    return name if isinstance(name, str) else ""
