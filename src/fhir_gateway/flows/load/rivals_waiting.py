"""Who waits in the questions of earlier loads: a row that fits one of them as well as a Patient is not linked unasked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from fhir_gateway.bundling.digests import digest
from fhir_gateway.domain.identity import Comparison, Grade, PersonAction, PersonDecision
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.clustering import fits_as_well
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import FITS_TWO, MAYBE_TWO
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import Frequencies

_weight = attrgetter("weight")


class RivalsWaiting:
    """The people of open questions, by the Patients whom the questions name; read when they are first asked for."""

    def __init__(self, tools: LoadTools) -> None:
        self._tools = tools
        self._questions: Mapping[str, Sequence[int]] | None = None
        self._maybe_two: dict[int, bool] = {}

    def held(
        self,
        decision: PersonDecision,
        people: Mapping[int, PersonEvidence],
        patients: Mapping[str, PersonEvidence],
        frequencies: Frequencies | None,
    ) -> PersonDecision:
        """Return the decision, or a review where somebody waits who cannot be the Patient or may be its twin, and fits about as well."""
        patient = patients.get(decision.patient_id)
        if decision.action is not PersonAction.LINK or patient is None:
            return decision

        def compared(one: PersonEvidence, other: PersonEvidence) -> Comparison:
            return compare(one, other, policy=self._tools.matching, frequencies=frequencies)

        members = [people[member] for member in decision.members]
        rivals: dict[str, int] = {}
        for question, resource in self._people_about(decision.patient_id):
            waiting = evidence_of(resource)
            if waiting in members or not (self._is_maybe_two(question) or compared(waiting, patient).vetoes):
                continue
            fitting = [compared(member, waiting) for member in members]
            best = max((compared(member, patient) for member in members), key=_weight)
            vetoed = any(each.vetoes for each in fitting)
            if not vetoed and fits_as_well(max(fitting, key=_weight), best, self._tools.matching.margin):
                rivals.setdefault(digest(resource), question)
        if not rivals:
            return decision
        question = min(rivals.values())
        return replace(
            decision,
            action=PersonAction.REVIEW,
            grade=Grade.PROBABLE,
            reason=FITS_TWO,
            text=f"it fits two people about equally well: this Patient, and who waits in review {question}",
            suggestion=f"answer review {question} first: if the two are one person, this row goes along",
            patient_id="",
            candidates=tuple(dict.fromkeys((decision.patient_id, *decision.candidates))),
            waiting=tuple(rivals),
            torn=True,
        )

    def _is_maybe_two(self, question: int) -> bool:
        """Say whether it asks about two whom their doses or other rows part: their own comparison does not show that."""
        if question not in self._maybe_two:
            item = self._tools.ledger.reviews.get(question)
            self._maybe_two[question] = item is not None and item.code in MAYBE_TWO
        return self._maybe_two[question]

    def _people_about(self, patient_id: str) -> Iterator[tuple[int, Resource]]:
        reviews = self._tools.ledger.reviews
        if self._questions is None:
            self._questions = reviews.naming_patients()
        for question in self._questions.get(patient_id, ()):
            records = self._tools.ledger.spool.parked_numbers(reviews.records(question))
            people = {record.person: record.patient for record in records}
            yield from ((question, patient) for patient in people.values())
