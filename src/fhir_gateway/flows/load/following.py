"""The look behind: doses that were posted while a merge replaced their Patient go on to who replaced it.

A merge marks a Patient replaced first and then searches for what refers to it. So a dose that was there before the mark
is moved by the merge, and for one that came after it the Patient, read once more after posting, says that it was
replaced: no dose is left behind, whichever of the two is later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.posting import BundleEntry, EntryKind
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.load.failing import Failure
from fhir_gateway.flows.load.sent import PersonPost, Refusal
from fhir_gateway.flows.load.standing import doses_now, patients_now
from fhir_gateway.flows.load.tools import LoadTools

_TRIES = 5
_STUCK = "another merged this Patient meanwhile, and not every dose could be moved to the Patient who replaced it"


@dataclass(slots=True)
class Written:
    """The ids of one person's doses that were sent just now; `found` are those that the server had already."""

    sent: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)


async def follow_replaced(
    people: Sequence[PersonPost], written: Mapping[int, Written], tools: LoadTools
) -> dict[str, str]:
    """Let people whose Patients were replaced while their doses were posted go on to who replaced them, doses included.

    A dose that the server had already may stand with a replaced Patient as well: an earlier run ended too early. Returns
    Immunization id → version for the doses that were moved; people whose doses could not be are refused. Raises
    ServerError.
    """
    moved: dict[str, str] = {}
    asked = [person for person in people if written[person.number].sent]
    doses = {dose: person for person in people for dose in written[person.number].found}
    for _ in range(_TRIES):
        asked = await _replaced(asked, tools)
        doses |= {dose: person for person in asked for dose in written[person.number].sent}
        entries = await _moves(doses, tools)
        if not entries:
            return moved
        for outcome in await tools.writer.send(entries):
            if outcome.kind is EntryKind.UPDATED:
                moved[outcome.key] = outcome.version_id
    for entry in await _moves(doses, tools):
        doses[entry.key].refusal = Refusal(Failure.CHANGED_MEANWHILE, _STUCK)
    return moved


async def _replaced(people: Sequence[PersonPost], tools: LoadTools) -> list[PersonPost]:
    """Return those of the people whose Patients were replaced; they are who replaced them from now on."""
    now = await patients_now((person.patient_id for person in people), tools)
    replaced = [
        person for person in people if now.get(person.patient_id, {}).get("id", person.patient_id) != person.patient_id
    ]
    for person in replaced:
        person.patient = now[person.patient_id]
        person.patient_id = str(person.patient["id"])
    return replaced


async def _moves(doses: Mapping[str, PersonPost], tools: LoadTools) -> list[BundleEntry]:
    """Return what moves the doses that stand with a Patient whom another one replaced."""
    found = await doses_now(doses, tools)
    owners = {dose: id_referred_to(resource.get("patient"), "Patient") for dose, resource in found.items()}
    astray = {dose for dose, owner in owners.items() if owner and owner != doses[dose].patient_id}
    now = await patients_now((owners[dose] for dose in astray), tools)
    return [
        BundleEntry(
            dose,
            "PUT",
            f"Immunization/{dose}",
            for_patient(found[dose], doses[dose].patient_id),
            if_match=str(found[dose].get("meta", {}).get("versionId", "")),
        )
        for dose in sorted(astray)
        if now.get(owners[dose], {}).get("id") == doses[dose].patient_id
    ]
