"""What stands on the server now: a merge may have replaced a Patient since it was looked up, a dose may have gone."""

import asyncio
from collections.abc import Iterable

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.masters import master_of
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.flows.load.tools import LoadTools


async def patients_now(ids: Iterable[str], tools: LoadTools, *, alone: bool = False) -> dict[str, Resource]:
    """Return id → the Patient that stands for it now: itself, or who replaced it; deleted ones are left out.

    A Patient that is out of use stands for itself where it leads to nobody in use. `alone` as in doses_now(). Raises
    ServerError.
    """
    found = await _standing("Patient", ids, tools, alone=alone)

    async def read(patient_id: str) -> Resource | None:
        return found.get(patient_id) or await tools.reader.read("Patient", patient_id)

    return {patient_id: await master_of(patient, read) or patient for patient_id, patient in found.items()}


async def doses_now(ids: Iterable[str], tools: LoadTools, *, alone: bool = False) -> dict[str, Resource]:
    """Return id → Immunization of what is on the server.

    `alone`: each is read by itself, since a search may still show what stood there before it was written. Raises
    ServerError.
    """
    return await _standing("Immunization", ids, tools, alone=alone)


def is_out_of_use(patient: Resource) -> bool:
    """Return whether nothing may be linked to a Patient: it is inactive, or says that another replaced it."""
    return patient.get("active") is False or any(True for _ in replaced_by(patient))


async def _standing(resource_type: str, ids: Iterable[str], tools: LoadTools, *, alone: bool) -> dict[str, Resource]:
    """Return id → resource; what a search does not find is read by itself before it counts as gone.

    An index may lag, a search may leave somebody out, and not every server searches by `_id`.
    """
    wanted = sorted(set(ids))
    found: dict[str, Resource] = {}
    if wanted and not alone:
        try:
            found = {str(one["id"]): one async for one in tools.reader.search(resource_type, {"_id": wanted})}
        except AccessRefusedError:
            raise
        except PermanentServerError:
            pass  # it does not really search so
    missed = [one for one in wanted if one not in found]
    read = await asyncio.gather(*(tools.reader.read(resource_type, one) for one in missed))
    return found | {one: resource for one, resource in zip(missed, read, strict=True) if resource is not None}
