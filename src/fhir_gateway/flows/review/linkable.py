"""To whom rows may be linked: Patients in use on the server."""

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import ReviewItem
from fhir_gateway.flows.load.standing import is_out_of_use, patients_now
from fhir_gateway.flows.load.tools import LoadTools


async def patient_in_use(patient_id: str, tools: LoadTools) -> Resource:
    """Return a Patient; raises UsageError, naming who replaced it, where it is not there or out of use."""
    now = (await patients_now([patient_id], tools, alone=True)).get(patient_id)
    if now is None:
        raise UsageError(f"there is no active Patient {patient_id} on the server")
    if now["id"] != patient_id:
        raise UsageError(f"Patient {patient_id} is out of use, Patient {now['id']} replaced it: name that one")
    if is_out_of_use(now):
        raise UsageError(
            f"Patient {patient_id} is out of use on the server and leads to nobody in use: name another one"
        )
    return now


async def whose_dose(item: ReviewItem, patient_id: str, tools: LoadTools) -> str:
    """Return whose dose a question is about by now; raises UsageError where an operator named somebody else."""
    now = (await patients_now([item.patient_id], tools, alone=True)).get(item.patient_id)
    whose = str(now["id"]) if now else item.patient_id
    if patient_id not in {item.patient_id, whose}:
        raise UsageError(f"review {item.id} asks about a dose of Patient {whose}: link it there")
    return whose
