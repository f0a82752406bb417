"""Whom a question is about: Patients on the server, and people of the same load."""

from fhir_gateway.domain.runs import ReviewItem
from fhir_gateway.ports import Ledger


def candidate_ids(item: ReviewItem, ledger: Ledger) -> list[str]:
    """Return the Patients whom a question's person may be, best first; people of the same load by what they became."""
    run = ledger.runs.get(item.run)
    found = []
    for candidate in item.decision.candidates if item.decision else ():
        if isinstance(candidate, str):
            found.append(candidate)
        elif run and (stored := ledger.spool.decision_of(run, candidate)):
            found.append(stored.decision.patient_id)
    return [patient_id for patient_id in dict.fromkeys(found) if patient_id]


def waiting_candidates(item: ReviewItem, ledger: Ledger) -> list[int]:
    """Return the people of the same load whom a question's person may be, and who wait for an answer themselves."""
    run = ledger.runs.get(item.run)
    if run is None or item.decision is None:
        return []
    people = [candidate for candidate in dict.fromkeys(item.decision.candidates) if isinstance(candidate, int)]
    stored = {person: ledger.spool.decision_of(run, person) for person in people}
    return [person for person, decision in stored.items() if decision is None or not decision.decision.patient_id]
