"""Doses that somebody took back on the FHIR server itself: whoever pulled them as given has to be known, too."""

from collections.abc import Sequence

from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Correction
from fhir_gateway.flows.registry.grouping import batches
from fhir_gateway.flows.registry.ordered import Order
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ports.exports import FhirHistory
from fhir_gateway.ports.registry import Withdrawals
from fhir_gateway.registry.cursors import Position

_TYPE = "Immunization"
_NOT_GIVEN = ("entered-in-error", "not-done")
"""https://hl7.org/fhir/R4/valueset-immunization-status.html"""


async def note_withdrawn(tools: RegistryTools, history: FhirHistory, noted: Withdrawals) -> int:
    """Note who has a dose as given that was taken back since the last look; return how many copies that are.

    What the gateway took back itself is noted already, with its reason. Raises ServerError.
    """
    before = noted.position()
    order = Order(
        _TYPE,
        [("status", ",".join(_NOT_GIVEN))],
        lambda _: True,
        until=tools.settled_until(),
    )
    found = 0
    async for batch in batches(tools, order, after=Position(*before) if before else None):
        taken_back = {f"{_TYPE}/{one['id']}": one for _, one in batch if one.get("status") in _NOT_GIVEN}
        held = noted.held(sorted(taken_back))
        last = batch[-1][0]
        corrections = [
            Correction(name, _version(one), wrong)
            for name, one in taken_back.items()
            if (wrong := await _wrong(one, held.get(name, ()), history))
        ]
        found += noted.note(corrections, last=(last.updated, last.id), at=tools.clock.now())
    return found


async def _wrong(dose: Resource, held: Sequence[str], history: FhirHistory) -> frozenset[str]:
    """Return which of the versions that clients have say that the dose was given; without a history all others may."""
    others = frozenset(held) - {_version(dose)}
    if not others or not await history.is_kept(_TYPE):
        return others
    past = {_version(one.resource): one.resource for one in await history.of(_TYPE, dose["id"]) if one.resource}
    return frozenset(one for one in others if past.get(one, {}).get("status") not in _NOT_GIVEN)


def _version(resource: Resource) -> str:
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""
