"""People of whom nothing is decided, but who tell of others: witnesses, as those whose rows wait for another reason.

A witness may part two, rival, and be somebody's twin, as everybody may; nobody is joined for a witness's sake alone, and
nobody asked about as a witness may be the same person.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from fhir_gateway.domain.identity import PersonAction, PersonDecision
from fhir_gateway.identity.decision import FITS_TWO

_TWO_PATIENTS = "by its own rows it fits one Patient, and with rows that wait another one"
_SUGGESTION = "settle the rows that wait first; then link it to the right one of the two, or create a new one"


def heeding(
    with_them: Sequence[PersonDecision], without: Sequence[PersonDecision], witnesses: Collection[int]
) -> tuple[PersonDecision, ...]:
    """Return the decisions on all but the witnesses, each person in exactly one.

    `with_them` were made on everybody, `without` on everybody but them. What is joined is joined in both; what one of the
    two asks about is asked about.
    """
    return tuple(
        one
        for decision in with_them
        for one in _parts(decision, without, frozenset(decision.members) - frozenset(witnesses))
    )


def _parts(
    decision: PersonDecision, without: Sequence[PersonDecision], own: Collection[int]
) -> Iterator[PersonDecision]:
    """Yield what becomes of a decision's own people."""
    if decision.action is PersonAction.REVIEW:
        if own:
            yield replace(decision, members=tuple(sorted(own)))
        return
    for other in without:
        members = tuple(member for member in other.members if member in own)
        if members:
            yield replace(_of_both(decision, other), members=members)


def _of_both(decision: PersonDecision, without: PersonDecision) -> PersonDecision:
    """Return what holds with the witnesses and without them."""
    if without.action is PersonAction.REVIEW or decision.patient_id == without.patient_id:
        return without
    if not without.patient_id:  # it is the Patient's for the witness's sake alone
        return without
    if not decision.patient_id:  # a witness is the same person, and cannot be the Patient
        return decision
    both = decision.patient_id, without.patient_id
    return replace(without, proposals=()).asked(
        reason=FITS_TWO, text=_TWO_PATIENTS, suggestion=_SUGGESTION, candidates=both
    )
