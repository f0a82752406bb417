"""After a run: other writers may have created the same people meanwhile; such pairs become merge proposals."""

from itertools import islice

from fhir_gateway.domain import systems
from fhir_gateway.domain.runs import Run
from fhir_gateway.flows.load.tools import LoadTools

_WINDOW = 200


async def sweep_races(run: Run, tools: LoadTools) -> None:
    """Search the NIKs of everybody whom this run created; a second Patient with one is proposed for merging."""
    tools.progress.phase("looking for duplicates")
    created = tools.ledger.spool.created(run)
    done = 0
    while window := list(islice(created, _WINDOW)):
        niks = {
            (identifier["system"], identifier["value"])
            for _, patient in window
            for identifier in patient.get("identifier", [])
            if identifier.get("system") == systems.NIK
        }
        done += len(window)
        tools.progress.advance(done)
        if not niks:
            continue
        holders: dict[str, set[str]] = {}
        values = [f"{system}|{value}" for system, value in sorted(niks)]
        async for patient in tools.reader.search("Patient", {"identifier": values}):
            if patient.get("active") is False:
                continue
            for identifier in patient.get("identifier", []):
                if (identifier.get("system"), identifier.get("value")) in niks:
                    holders.setdefault(identifier["value"], set()).add(str(patient["id"]))
        mine = {patient_id for patient_id, _ in window}
        pairs = [
            (own, other) for ids in holders.values() for own in sorted(ids & mine) for other in sorted(ids - {own})
        ]
        with tools.ledger.transaction():
            tools.ledger.keys.propose(run, pairs, reason="two Patients carry the NIK of a person created by this run")
