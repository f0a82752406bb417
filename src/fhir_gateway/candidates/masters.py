"""From a replaced Patient to the one that stands for it now."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fhir_gateway.domain.records import Resource

Read = Callable[[str], Awaitable[Resource | None]]


async def master_of(patient: Resource, read: Read) -> Resource | None:
    """Return the active Patient that a chain of `replaced-by` links leads to, the Patient itself where there are none.

    None where the chain ends in a Patient that is deleted or inactive, or leads in circles.
    """
    seen = {patient["id"]}
    while True:
        successor = next(_successors(patient), None)
        if successor is None:
            return patient if patient.get("active") is not False else None
        if successor in seen:
            return None
        seen.add(successor)
        following = await read(successor)
        if following is None:
            return None
        patient = following


def _successors(patient: Resource) -> Iterator[str]:
    links = patient.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("type") == "replaced-by":
            other: Any = link.get("other")
            reference = other.get("reference") if isinstance(other, dict) else None
            if isinstance(reference, str):
                before, _, patient_id = reference.split("/_history/")[0].rpartition("/")
                if patient_id and (before == "Patient" or before.endswith("/Patient")):
                    yield patient_id
