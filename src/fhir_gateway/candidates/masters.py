"""From a replaced Patient to the one that stands for it now."""

from collections.abc import Awaitable, Callable, Iterator

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import replaced_by

Read = Callable[[str], Awaitable[Resource | None]]


async def master_of(patient: Resource, read: Read) -> Resource | None:
    """Return the active Patient that a chain of `replaced-by` links leads to, the Patient itself where there are none.

    None for an inactive Patient without a successor. Where a chain leads in circles or to nobody, the Patient itself,
    replaced as it is: who it was must not silently become a second person, so the decision is left to a person.
    """
    begun = patient
    seen = {patient["id"]}
    while True:
        successor = next(_successors(patient), None)
        if successor is None:
            alive = patient.get("active") is not False
            return patient if alive else (None if patient is begun else begun)
        if successor in seen:
            return begun
        seen.add(successor)
        following = await read(successor)
        if following is None:
            return begun
        patient = following


def _successors(patient: Resource) -> Iterator[str]:
    for reference in replaced_by(patient):
        before, _, patient_id = reference.split("/_history/")[0].rpartition("/")
        if patient_id and (before == "Patient" or before.endswith("/Patient")):
            yield patient_id
