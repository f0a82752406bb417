"""Whom a question is about: Patients on the server, people of the same load, and those who wait in earlier questions."""

from dataclasses import dataclass

from fhir_gateway.domain.identity import Node
from fhir_gateway.domain.runs import ReviewItem, Run
from fhir_gateway.ports import Ledger


@dataclass(frozen=True, slots=True)
class WhomItMayBe:
    """Whom a question's person may be: `patients` on the server, best first; `waiting` are digests of people not loaded yet."""

    patients: tuple[str, ...] = ()
    waiting: frozenset[str] = frozenset()


def whom_it_may_be(item: ReviewItem, ledger: Ledger) -> WhomItMayBe:
    """Return whom a question's person may be; people by what they became, be it by an answer, in another load or by a merge."""
    run, decision = ledger.runs.get(item.run), item.decision
    if run is None or decision is None:
        return WhomItMayBe()
    people = [one for one in decision.candidates if isinstance(one, int)]
    digests = ledger.spool.digests_of(run, people) if people else {}
    loaded = ledger.keys.recognise({*digests.values(), *decision.waiting})
    found: list[str] = []
    waiting: list[str] = []
    for candidate in decision.candidates:
        patient_id = _became(run, candidate, ledger)
        ids = (patient_id,) if patient_id else loaded.get(digests.get(int(candidate), ""), ())
        found += ids
        waiting += () if ids else (digests.get(int(candidate), ""),)
    keys = dict(zip(decision.waiting, decision.waiting_keys, strict=False))
    known = ledger.keys.known(keys.values())
    for digest in decision.waiting:
        corrected = known.get(keys.get(digest, ""))
        ids = loaded.get(digest, ()) or ((corrected.patient_id,) if corrected and corrected.patient_id else ())
        found += ids
        waiting += () if ids else (digest,)
    into = ledger.keys.survivors(found)
    return WhomItMayBe(tuple(dict.fromkeys(into.get(one, one) for one in found)), frozenset(waiting) - {""})


def candidate_ids(item: ReviewItem, ledger: Ledger) -> list[str]:
    """Return the Patients whom a question's person may be, best first."""
    return list(whom_it_may_be(item, ledger).patients)


def asked_about(item: ReviewItem, ledger: Ledger) -> list[str]:
    """Return the Patients that a question is about: its candidates, or whose dose is in doubt, after merges."""
    if found := candidate_ids(item, ledger):
        return found
    into = ledger.keys.survivors([item.patient_id]) if item.patient_id else {}
    return [into.get(item.patient_id, item.patient_id)] if item.patient_id else []


def waiting_candidates(item: ReviewItem, ledger: Ledger) -> list[int]:
    """Return the people of the same load whom a question's person may be, and who wait for an answer themselves."""
    run = ledger.runs.get(item.run)
    if run is None or item.decision is None:
        return []
    people = [candidate for candidate in dict.fromkeys(item.decision.candidates) if isinstance(candidate, int)]
    return [person for person in people if not _became(run, person, ledger)]


def _became(run: Run, candidate: Node, ledger: Ledger) -> str:
    """Return the Patient that a candidate is, or became in its run; "" where it waits."""
    if isinstance(candidate, str):
        return candidate
    stored = ledger.spool.decision_of(run, candidate)
    return stored.decision.patient_id if stored else ""
