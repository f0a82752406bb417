"""Whom and what exported resources refer to, looked up for whole pages and remembered for the next ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
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
    """People and organizations of one server, some thousands of them remembered."""

    def __init__(self, tools: RegistryTools, stock: Stock | None) -> None:
        self._tools = tools
        self._stock = stock
        self._people: dict[str, Person] = {}
        self._organizations: dict[str, str] = {}

    async def of(self, resources: Sequence[Resource]) -> Referred:
        """Return what these resources refer to; what is not there is left out."""
        patients = {patient_in(one) for one in resources}
        organizations = {found for one in resources for found in organizations_in(one)}
        return await self.named(patients, organizations)

    async def named(self, patients: Iterable[str], organizations: Iterable[str] = ()) -> Referred:
        """Return these people and organizations (ids); who is not there is left out."""
        patients = set(patients) - {""}
        await self._learn("Patient", patients, self._people, person_of)
        await self._learn("Organization", organizations, self._organizations, _name)
        return Referred(
            {one: self._people[one] for one in patients if one in self._people},
            {one: self._organizations[one] for one in organizations if self._organizations.get(one)},
        )

    async def _learn(
        self, resource_type: str, ids: Iterable[str], known: dict[str, Any], told: Callable[[Resource], Any]
    ) -> None:
        missing = sorted(one for one in ids if one not in known)
        if len(known) + len(missing) > _REMEMBERED:
            known.clear()
            missing = sorted(ids)
        if self._stock is not None and missing:
            known |= {one.id: told(json_text.parse(one.body)) for one in await self._stock.some(resource_type, missing)}
            return
        for n in range(0, len(missing), _TOGETHER):
            chosen = tuple(missing[n : n + _TOGETHER])
            async for resource in self._tools.reader.search(resource_type, {"_id": chosen}):
                known[str(resource["id"])] = told(resource)


def _name(organization: Resource) -> str:
    name = organization.get("name")
    return name if isinstance(name, str) else ""
