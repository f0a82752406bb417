"""Who waits in the questions of earlier loads: a row that fits one of them is not decided by itself.

It is not linked to a Patient whom it fits as well, nor made a new person: that would be a second one once the other's
question is answered. Files one after another ask so what they ask together.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

from fhir_gateway.bundling.digests import digest
from fhir_gateway.domain.identity import Comparison, Grade, PersonAction, PersonDecision
from fhir_gateway.domain.runs import ReviewKind, Run
from fhir_gateway.flows.load.blocks import LARGEST_BLOCK
from fhir_gateway.flows.load.shared_niks import NIK_OF_MANY
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import FITS_TWO, MAYBE_TWO
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.fitting import fits, fits_as_well, joins, nameless, veto_codes
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.shared_niks import MANY, are_many
from fhir_gateway.identity.unseen import may_be_unseen_twins
from fhir_gateway.identity.vetoes import VetoCode

FITS_WAITING = "fits-waiting"
"""The reason of a question about somebody who fits a person who waits in another one, and nobody else."""
_OF_MANY = "the NIK is that of many people of different names by now, so that it tells of nobody who he is"
_OF_MANY_SUGGESTION = "correct the number and load that; or link it to the right Patient, or create a new one"
_weight = attrgetter("weight")
_MAYBE_TWINS = frozenset({VetoCode.POSSIBLE_TWINS.value})
_TWINS = _MAYBE_TWINS | {VetoCode.TWINS.value}
_ASKED = frozenset({Grade.CERTAIN, Grade.PROBABLE})


class _Waiting(NamedTuple):
    """A person in an open question: the digest of what her rows say, the key of one of them, and what they say."""

    question: int
    digest: str
    key: str
    evidence: PersonEvidence


class RivalsWaiting:
    """The people of open questions, found by the Patients whom the questions name and by blocking keys; read when they are first asked for."""

    def __init__(self, run: Run, tools: LoadTools, frequencies: Frequencies | None) -> None:
        self._run = run
        self._tools = tools
        self._frequencies = frequencies
        self._naming: Mapping[str, Sequence[int]] | None = None
        self._meeting: dict[ReviewKind, Mapping[int, set[int]]] = {}
        self._maybe_two: dict[int, bool] = {}

    def held(
        self, decision: PersonDecision, people: Mapping[int, PersonEvidence], patients: Mapping[str, PersonEvidence]
    ) -> PersonDecision:
        """Return the decision, or a review where somebody waits who may be this person, or whom it fits about as well."""
        members = [people[member] for member in decision.members]
        patient = patients.get(decision.patient_id)
        if decision.torn:
            return decision
        shared = self._is_by_a_shared_number(decision, members, patients)
        if decision.action is PersonAction.REVIEW:
            return self._asked_once(decision, members, shared=shared)
        if shared:
            return _held_link(decision, NIK_OF_MANY, _OF_MANY, _OF_MANY_SUGGESTION)
        if decision.action is PersonAction.CREATE:
            return self._held_new(decision, self._who_may_be(decision, members))
        return self._held_between(decision, members, patient) if patient else decision

    def _asked_once(
        self, decision: PersonDecision, members: Sequence[PersonEvidence], *, shared: bool
    ) -> PersonDecision:
        """Return the question; where it is about somebody asked about already, one that waits for that answer."""
        found = self._who_may_be(decision, members)
        if not shared and self._asked_already(decision, found):
            return self._held_new(replace(decision, candidates=()), found)
        return _naming(decision, (waiting for waiting, _ in found))

    def _held_between(
        self, decision: PersonDecision, members: Sequence[PersonEvidence], patient: PersonEvidence
    ) -> PersonDecision:
        """Return the link, or a review where somebody waits whom the row fits about as well as the Patient."""
        best = max((self._compared(member, patient) for member in members), key=_weight)
        rivals: list[_Waiting] = []
        for waiting in self._people(self._questions_about(decision)):
            maybe_two = self._is_maybe_two(waiting.question, decision.patient_id)
            apart = self._compared(waiting.evidence, patient)
            if waiting.evidence in members or not (maybe_two or apart.vetoes):
                continue
            fitting = [self._compared(member, waiting.evidence) for member in members]
            twins = waiting.evidence.newborn or bool(veto_codes(apart) & _TWINS)
            if self._fits_as_well(fitting, best) or (twins and self._may_be_either(fitting, best, waiting)):
                rivals.append(waiting)
        if not rivals:
            return self._held_claimed(decision, members, patient, best)
        question = min(one.question for one in rivals)
        held = _held_link(
            _naming(decision, rivals),
            FITS_TWO,
            f"it fits two people about equally well: this Patient, and who waits in review {question}",
            f"answer review {question} first: if the two are one person, this row goes along"
            if self._is_about_persons(question)
            else f"settle review {question} first; then link this row to the right one of the two, or create a new one",
        )
        return replace(held, torn=True)

    def _fits_as_well(self, fitting: Sequence[Comparison], best: Comparison) -> bool:
        vetoed = any(each.vetoes for each in fitting)
        return not vetoed and fits_as_well(max(fitting, key=_weight), best, self._tools.matching.margin)

    def _may_be_either(self, fitting: Sequence[Comparison], best: Comparison, waiting: _Waiting) -> bool:
        """Say whether newborns without a name may be the Patient's twin who waits, whose family is the same.

        Where that one has no name either, a number in the label of one of them tells of a second.
        """
        if not nameless(best):
            return False
        if not waiting.evidence.newborn:
            return all(map(fits, fitting))
        only_labels = all(veto_codes(each) == _MAYBE_TWINS for each in fitting)
        return only_labels and max(each.weight for each in fitting) > best.weight - self._tools.matching.margin

    def _held_claimed(
        self,
        decision: PersonDecision,
        members: Sequence[PersonEvidence],
        patient: PersonEvidence,
        best: Comparison,
    ) -> PersonDecision:
        """Return the decision, or a review where the Patient is fitted about as well by somebody else who waits for that."""
        others = [
            waiting
            for waiting in self._people({*self._named_by(decision.patient_id)})
            if any(self._compared(member, waiting.evidence).vetoes for member in members)
            and not (claim := self._compared(waiting.evidence, patient)).vetoes
            and fits_as_well(claim, best, self._tools.matching.margin)
        ]
        if not others:
            return decision
        question = min(one.question for one in others)
        return _held_link(
            _naming(decision, others),
            FITS_TWO,
            f"the Patient whom it fits is fitted about as well by somebody else, who waits in review {question}",
            "find out whose the Patient is, and link it to that, or create a new person",
        )

    def _is_by_a_shared_number(
        self, decision: PersonDecision, members: Sequence[PersonEvidence], patients: Mapping[str, PersonEvidence]
    ) -> bool:
        """Say whether a number that many people had by and by is all that tells who this is: a few of them came with each load."""
        niks = {nik for member in members for nik in member.niks}
        if not niks:
            return False
        others = [one for one in patients.values() if not niks.isdisjoint(one.niks)]
        waiting = [] if len(others) >= MANY else self._people(self._questions_met(decision))
        others += [one.evidence for one in waiting if not niks.isdisjoint(one.evidence.niks)]
        if not are_many([*members, *others]):
            return False
        patient = patients.get(decision.patient_id)
        unnumbered = [member._replace(niks=()) for member in members]
        return patient is None or not any(joins(self._compared(one, patient)) for one in unnumbered)

    def _asked_already(self, decision: PersonDecision, found: Sequence[tuple[_Waiting, bool]]) -> bool:
        """Say whether the persons who wait and are certainly this one are asked about with everybody whom this one may be.

        Those who only wait for an answer about such a person name nobody.
        """
        sure = {waiting.question for waiting, certain in found if certain}
        items = [item for item in map(self._tools.ledger.reviews.get, sure) if item and item.code != FITS_WAITING]
        named = [{*item.decision.candidates} if item.decision else set() for item in items]
        mine = {*decision.candidates}
        return bool(named) and all(isinstance(one, str) for one in mine) and all(mine <= theirs for theirs in named)

    def _held_new(self, decision: PersonDecision, fitting: Sequence[tuple[_Waiting, bool]]) -> PersonDecision:
        """Return the decision, or a review where the person who would be created may be one of those who wait."""
        if not fitting:
            return decision
        sure = [waiting for waiting, certain in fitting if certain]
        whom = sure or [waiting for waiting, _ in fitting]
        reviews = " and ".join(map(str, sorted({one.question for one in whom})))
        then = "this row goes along" if sure else "then link it to that person, or create a new one"
        return replace(_naming(decision, whom), torn=bool(sure)).asked(
            reason=FITS_WAITING,
            text=f"it {'is certainly' if sure else 'may be'} somebody who waits in review {reviews}",
            suggestion=f"answer review {reviews} first: {then}",
            candidates=decision.candidates,
            grade=Grade.CERTAIN if sure else Grade.PROBABLE,
        )

    def _who_may_be(self, decision: PersonDecision, members: Sequence[PersonEvidence]) -> list[tuple[_Waiting, bool]]:
        """Return who waits and may be this person, each with whether that is certain."""
        found: list[tuple[_Waiting, bool]] = []
        for waiting in self._people(self._questions_met(decision)):
            compared = [self._compared(member, waiting.evidence) for member in members]
            if waiting.evidence not in members and any(each.grade in _ASKED for each in compared):
                certain = not any(each.vetoes for each in compared) and any(
                    self._is(member, waiting.evidence, each) for member, each in zip(members, compared, strict=True)
                )
                found.append((waiting, certain))
        return found

    def _is(self, member: PersonEvidence, waiting: PersonEvidence, compared: Comparison) -> bool:
        """Whether two rows would be one person's without asking, if both were of this load."""
        unseen = may_be_unseen_twins(member, waiting, compared, met_on_server=True)
        return joins(compared) and not nameless(compared) and not unseen

    def _compared(self, one: PersonEvidence, other: PersonEvidence) -> Comparison:
        return compare(one, other, policy=self._tools.matching, frequencies=self._frequencies)

    def _is_about_persons(self, question: int) -> bool:
        item = self._tools.ledger.reviews.get(question)
        return item is not None and item.kind is ReviewKind.PERSON

    def _is_maybe_two(self, question: int, patient_id: str) -> bool:
        """Say whether it asks about two, this Patient one, whom doses or other rows part: their own comparison does not show that."""
        if question not in self._maybe_two:
            item = self._tools.ledger.reviews.get(question)
            self._maybe_two[question] = item is not None and item.code in MAYBE_TWO
        return self._maybe_two[question] and question in self._named_by(patient_id)

    def _named_by(self, patient_id: str) -> Sequence[int]:
        if self._naming is None:
            self._naming = self._tools.ledger.reviews.naming_patients()
        return self._naming.get(patient_id, ())

    def _questions_about(self, decision: PersonDecision) -> set[int]:
        """Return the questions about people who may be the Patient or these.

        So may those whose rows contradict each other: who they are nobody asks, but whom else these rows fit they tell.
        """
        met = (self._questions_met(decision, kind) for kind in (ReviewKind.PERSON, ReviewKind.KEY))
        return set(self._named_by(decision.patient_id)).union(*met)

    def _questions_met(self, decision: PersonDecision, kind: ReviewKind = ReviewKind.PERSON) -> set[int]:
        """Return the questions of a kind about people who share a blocking key with one of these."""
        if kind not in self._meeting:
            self._meeting[kind] = self._tools.ledger.reviews.meeting(self._run, kind, largest_block=LARGEST_BLOCK)
        return set().union(*(self._meeting[kind].get(member, ()) for member in decision.members))

    def _people(self, questions: set[int]) -> list[_Waiting]:
        """Return who waits in questions: each wording once, but for rows that are read again in this load.

        Nor does anybody count who waits for nothing but such rows, or for others who do: else a question that comes again
        would hang on those that hang on it, and none would name the Patient any more.
        """
        ledger, found, read = self._tools.ledger, [], set[str]()
        for question in sorted(questions):
            records = ledger.spool.parked_numbers(ledger.reviews.records(question))
            again = {record.key for record in ledger.spool.records_with(self._run, [record.key for record in records])}
            for record in {record.person: record for record in reversed(records)}.values():
                name = digest(record.patient)
                if record.key in again:
                    read.add(name)
                else:
                    found.append(_Waiting(question, name, record.key, evidence_of(record.patient)))
        while read:
            behind = {waiting.question for waiting in found if self._awaits_only(waiting.question, read)}
            if not behind:
                break
            read.update(waiting.digest for waiting in found if waiting.question in behind)
            found = [waiting for waiting in found if waiting.question not in behind]
        return found

    def _awaits_only(self, question: int, read: AbstractSet[str]) -> bool:
        item = self._tools.ledger.reviews.get(question)
        awaited = item.decision.waiting if item and item.decision else ()
        return bool(awaited) and set(awaited) <= read


def _held_link(decision: PersonDecision, reason: str, text: str, suggestion: str) -> PersonDecision:
    """Return a review in the place of a decision, with the Patient whom it would have linked as first candidate."""
    candidates = *filter(None, [decision.patient_id]), *decision.candidates
    return decision.asked(reason=reason, text=text, suggestion=suggestion, candidates=candidates)


def _naming(decision: PersonDecision, people: Iterable[_Waiting]) -> PersonDecision:
    """Return the decision with people who wait as further candidates."""
    named = {one.digest: one.key for one in people}
    return replace(decision, waiting=tuple(named), waiting_keys=tuple(named.values())) if named else decision
