"""Who or what settled the pairs of a decision, with what was answered, taken apart, merged or undone since."""

from collections.abc import Iterable
from functools import cache

from fhir_gateway.domain.history import MergeFilter, MergeRecord
from fhir_gateway.domain.identity import ComparedPair, Node, PersonDecision
from fhir_gateway.domain.merges import MergeState
from fhir_gateway.domain.runs import ReviewItem, ReviewKind, ReviewState, Run
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.settled import SettledBy, settled_by, settled_words
from fhir_gateway.ledger.store import Ledger

_MAY_BE_ASKED = frozenset({SettledBy.ASKED, SettledBy.LEFT, SettledBy.PARTED})
_ANSWERED = frozenset({ReviewState.LINKED, ReviewState.CREATED, ReviewState.REJECTED, ReviewState.UNLINKED})


class PairsSettled:
    """Says of the pairs of a run's decision who or what settled them, by the ledger as it is now."""

    def __init__(self, ledger: Ledger, run: Run, decision: PersonDecision, policy: MatchingPolicy) -> None:
        self._ledger = ledger
        self._run = run
        self._decision = decision
        self._policy = policy
        self._patient_of = cache(self._decided_patient)
        self._digest = cache(self._digest_of)
        self._question = cache(self._asked_question)
        self.became = cache(self._last_said)
        """Who an operator last said that a person is, else whom the decision says; "" while there is none."""

    def __call__(self, pair: ComparedPair) -> str:
        """Return it in words."""
        told = self._judged(pair) or self._asked(pair) or self._became_since(pair) or self._known(pair)
        told = told or settled_words(pair, self._decision, self._policy)
        merged = self._merged(pair)
        return f"{told}; {merged}" if merged else told

    def _judged(self, pair: ComparedPair) -> str:
        """Return what an operator said of one of the two and the other's Patient, before this decision or since."""
        for person, other in ((pair.left, pair.right), (pair.right, pair.left)):
            if not isinstance(person, int):
                continue
            for patient_id in dict.fromkeys((self._patient_of(other), self.became(other))):
                if said := self._ledger.verdicts.judged(self._digest(person), patient_id):
                    same, review = said
                    item = self._ledger.reviews.get(review)
                    if same and isinstance(other, int) and item and item.decided and item.decided < self._run.started:
                        continue  # said of a Patient, before anybody could know a row of this run
                    return (
                        f"{'one person' if same else 'two people'}{_by(item) if item else ', as an operator decided'}"
                    )
        return ""

    def _known(self, pair: ComparedPair) -> str:
        """Return whether this row was loaded for the Patient before, or one of the same words, where that settled it."""
        person, patient_id = pair.left, pair.right
        if settled_by(pair, self._decision) is not SettledBy.KNOWN or not isinstance(person, int):
            return ""
        keys = [
            found[1]
            for file, row in self._ledger.runs.rows_of(self._run, person)
            if (found := self._ledger.spool.record_at(self._run, file=file, row=row))
        ]
        for number, loaded in sorted(self._ledger.keys.loaders(keys).values()):
            run = self._ledger.runs.get(number) if number < self._run.id else None
            stored = self._ledger.spool.decision_of(run, loaded) if run else None
            if stored and self.survivor(stored.decision.patient_id) == self.survivor(str(patient_id)):
                whose = "this row" if len(keys) == 1 else "a row that says this of the person"
                return f"one person, as {whose} was loaded for it before (run {number})"
        return "one person, as another row that says the very same of the person was loaded for it before"

    def survivor(self, patient_id: str) -> str:
        """Return who a Patient is today, after merges."""
        return self._ledger.merges.survivors([patient_id]).get(patient_id, patient_id)

    def _digest_of(self, person: int) -> str:
        return self._ledger.spool.digests_of(self._run, [person]).get(person, "")

    def _asked(self, pair: ComparedPair) -> str:
        """Return the question that is asked about a pair, and its answer where there is one."""
        how = settled_by(pair, self._decision)
        asked: Node = pair.right
        item = self._question(asked) if isinstance(asked, int) and how in _MAY_BE_ASKED else None
        about_both = item is not None and self._names(item, pair.left)
        if how is SettledBy.ASKED and not (about_both and pair.right not in self._decision.candidates):
            asked = pair.left
            item = self._question(asked) if isinstance(asked, int) else None
        if item is None or (how is SettledBy.PARTED and not about_both):
            return ""
        if item.state is ReviewState.OPEN:
            return f"nothing yet: an operator is asked (review {item.id})"
        if item.state is ReviewState.SUPERSEDED:
            return f"by a later load, which left nothing to ask (review {item.id})"
        if item.state is ReviewState.REJECTED:
            return f"the row was rejected{_by(item)}"
        return f"{self._outcome(pair, asked, item)}{_by(item)}" if item.state in _ANSWERED else ""

    def _became_since(self, pair: ComparedPair) -> str:
        """Return who the two are, where nobody is asked about them any more: each was answered in a question of its own."""
        if settled_by(pair, self._decision) is not SettledBy.ASKED:
            return ""
        one, other = self.became(pair.left), self.became(pair.right)
        if not (one and other):
            return ""
        if one == other:
            return f"one person, Patient {one}, as operators decided of each"
        return f"two people, Patients {one} and {other}, as operators decided of each"

    def _outcome(self, pair: ComparedPair, asked: Node, item: ReviewItem) -> str:
        other = self.became(pair.right if asked == pair.left else pair.left)
        return "one person" if item.patient_id and item.patient_id == other else "two people"

    def _names(self, item: ReviewItem, node: Node) -> bool:
        """Say whether a question asks about this person."""
        candidates = item.decision.candidates if item.decision else ()
        return node in candidates or (self._patient_of(node) or node) in candidates

    def _asked_question(self, person: int) -> ReviewItem | None:
        """Return the question that a person's rows hang on."""
        for file, row in self._ledger.runs.rows_of(self._run, person):
            found = self._ledger.spool.record_at(self._run, file=file, row=row)
            if found and found[2] and (number := self._ledger.reviews.of_record(self._run, found[2].number)):
                return self._ledger.reviews.get(number)
        return None

    def _decided_patient(self, node: Node) -> str:
        if isinstance(node, str):
            return node
        stored = self._ledger.spool.decision_of(self._run, node)
        return stored.decision.patient_id if stored else ""

    def _last_said(self, node: Node) -> str:
        if isinstance(node, str):
            return node
        digest, verdicts = self._digest(node), self._ledger.verdicts
        said = [
            (found[1], verdict.patient_id)
            for verdict in verdicts.of([digest])
            if verdict.same and (found := verdicts.judged(digest, verdict.patient_id))
        ]
        return max(said)[1] if said else self._patient_of(node)

    def _merged(self, pair: ComparedPair) -> str:
        """Return which merge has made the Patients of both one since, or did so until it was undone."""
        one, other = self.became(pair.left), self.became(pair.right)
        if one == other or not (one and other):
            return ""
        records = self._merges_around((one, other))
        standing = [record for record in records if record.merge.state is MergeState.APPLIED]
        if found := joining(standing, one, other):
            merge, survivor = found.merge, self.survivor(one)
            when = merge.finished or merge.begun
            return f"since {when:%Y-%m-%d %H:%M} one Patient ({survivor}) by merge {merge.id}, by {merge.user}"
        for record in reversed(records):
            merge = record.merge
            if record.undone and {one, other} <= {merge.survivor, *merge.replaced}:
                undone = f"which {record.undo_user} undid on {record.undone:%Y-%m-%d %H:%M}"
                return f"one Patient for a time by merge {merge.id}, by {merge.user}, {undone}"
        return ""

    def _merges_around(self, patient_ids: Iterable[str]) -> list[MergeRecord]:
        """Return the merges of these Patients and of whom those made one with them, the oldest first."""
        found: dict[int, MergeRecord] = {}
        seen: set[str] = set()
        asked = set(patient_ids)
        while asked:
            new = [r for one in sorted(asked) for r in self._ledger.merges.search.find(MergeFilter(patient=one))]
            found |= {record.merge.id: record for record in new}
            seen |= asked
            asked = {one for record in new for one in (record.merge.survivor, *record.merge.replaced)} - seen
        return [found[number] for number in sorted(found)]


def joining(records: Iterable[MergeRecord], one: str, other: str) -> MergeRecord | None:
    """Return the merge after which two Patients are one, be it by a third."""
    people: dict[str, frozenset[str]] = {}
    for record in records:
        ids = (record.merge.survivor, *record.merge.replaced)
        together = frozenset(ids).union(*(people.get(each, ()) for each in ids))
        people |= dict.fromkeys(together, together)
        if other in people.get(one, ()):
            return record
    return None


def _by(item: ReviewItem) -> str:
    when = f" on {item.decided:%Y-%m-%d %H:%M}" if item.decided else ""
    new = ", a new person" if item.state is ReviewState.CREATED and item.kind is ReviewKind.PERSON else ""
    return f", as {item.user or 'an operator'} decided{when} (review {item.id}{new})"
