"""From a replaced Patient to the one that stands for it now."""

from collections.abc import Awaitable, Callable

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import replaced_by

_LONGEST_CHAIN = 20
Read = Callable[[str], Awaitable[Resource | None]]


async def master_of(patient: Resource, read: Read) -> Resource | None:
    """Return the active Patient that a chain of `replaced-by` links leads to, the Patient itself where there are none.

    None for an inactive Patient without a successor. Where a chain leads in circles, to nobody or on and on, the Patient itself,
    replaced as it is: who it was must not silently become a second person, so the decision is left to a person.
    """
    begun = patient
    seen = {patient["id"]}
    while True:
        successor = next(replaced_by(patient), None)
        if successor is None:
            alive = patient.get("active") is not False
            return patient if alive else (None if patient is begun else begun)
        if not successor or successor in seen or len(seen) > _LONGEST_CHAIN:
            return begun
        seen.add(successor)
        following = await read(successor)
        if following is None:
            return begun
        patient = following
