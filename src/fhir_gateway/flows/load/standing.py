"""Who stands for a Patient now: a merge may have replaced it since it was looked up."""

from collections.abc import Iterable

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.masters import master_of
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.flows.load.tools import LoadTools


async def patients_now(ids: Iterable[str], tools: LoadTools) -> dict[str, Resource]:
    """Return id → the Patient that stands for it now: itself, or who replaced it; deleted ones are left out.

    A Patient that is out of use stands for itself where it leads to nobody in use. Raises ServerError.
    """
    found = await _read_all(sorted(set(ids)), tools)

    async def read(patient_id: str) -> Resource | None:
        return found.get(patient_id) or await tools.reader.read("Patient", patient_id)

    return {patient_id: await master_of(patient, read) or patient for patient_id, patient in found.items()}


def is_out_of_use(patient: Resource) -> bool:
    """Return whether nothing may be linked to a Patient: it is inactive, or says that another replaced it."""
    return patient.get("active") is False or any(True for _ in replaced_by(patient))


async def _read_all(ids: list[str], tools: LoadTools) -> dict[str, Resource]:
    try:
        return {str(one["id"]): one async for one in tools.reader.search("Patient", {"_id": ids})} if ids else {}
    except AccessRefusedError:
        raise
    except PermanentServerError:  # it does not really search Patients by _id
        read = {patient_id: await tools.reader.read("Patient", patient_id) for patient_id in ids}
        return {patient_id: patient for patient_id, patient in read.items() if patient is not None}
