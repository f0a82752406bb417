"""Who or what settled the pairs of a decision, with what was answered, taken apart or merged since."""

from fhir_gateway.domain.identity import ComparedPair, Node, PersonDecision
from fhir_gateway.domain.merges import MergeState
from fhir_gateway.domain.runs import ReviewItem, ReviewState, Run
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

    def __call__(self, pair: ComparedPair) -> str:
        """Return it in words."""
        told = self._judged(pair) or self._asked(pair) or settled_words(pair, self._decision, self._policy)
        merged = self._merged(pair)
        return f"{told}; {merged}" if merged else told

    def _judged(self, pair: ComparedPair) -> str:
        """Return what an operator said of one of the two and the other's Patient, before this decision or since."""
        for person, other in ((pair.left, pair.right), (pair.right, pair.left)):
            patient_id = self._patient_of(other)
            if not (isinstance(person, int) and patient_id):
                continue
            digest = self._ledger.spool.digests_of(self._run, [person]).get(person, "")
            if said := self._ledger.reviews.judged(digest, patient_id):
                same, review = said
                item = self._ledger.reviews.get(review)
                return f"{'one person' if same else 'two people'}{_by(item) if item else ', as an operator decided'}"
        return ""

    def _asked(self, pair: ComparedPair) -> str:
        """Return the question that is asked about a pair, and its answer where there is one."""
        how = settled_by(pair, self._decision)
        asked: Node = pair.left if how is SettledBy.ASKED else pair.right
        item = self._question(asked) if isinstance(asked, int) and how in _MAY_BE_ASKED else None
        if item is None or (how is SettledBy.PARTED and not self._names(item, pair.left)):
            return ""
        if item.state is ReviewState.OPEN:
            return f"nothing yet: an operator is asked (review {item.id})"
        if item.state is ReviewState.SUPERSEDED:
            return f"by a later load, which left nothing to ask (review {item.id})"
        if item.state is ReviewState.REJECTED:
            return f"the row was rejected{_by(item)}"
        return f"{self._outcome(pair, asked, item)}{_by(item)}" if item.state in _ANSWERED else ""

    def _outcome(self, pair: ComparedPair, asked: Node, item: ReviewItem) -> str:
        other = self._patient_of(pair.right if asked == pair.left else pair.left)
        return "one person" if item.patient_id and item.patient_id == other else "two people"

    def _names(self, item: ReviewItem, node: Node) -> bool:
        """Say whether a question asks about this person."""
        candidates = item.decision.candidates if item.decision else ()
        return node in candidates or (self._patient_of(node) or node) in candidates

    def _question(self, person: int) -> ReviewItem | None:
        """Return the question that a person's rows hang on."""
        for file, row in self._ledger.runs.rows_of(self._run, person):
            found = self._ledger.spool.record_at(self._run, file=file, row=row)
            if found and found[2] and (number := self._ledger.reviews.of_record(self._run, found[2].number)):
                return self._ledger.reviews.get(number)
        return None

    def _patient_of(self, node: Node) -> str:
        if isinstance(node, str):
            return node
        stored = self._ledger.spool.decision_of(self._run, node)
        return stored.decision.patient_id if stored else ""

    def _merged(self, pair: ComparedPair) -> str:
        """Return the merge that has made the Patients of both one since."""
        both = {self._patient_of(pair.left), self._patient_of(pair.right)}
        if len(both) < 2 or "" in both:
            return ""
        for merge in reversed(self._ledger.merges.by_patient(sorted(both))):
            if merge.state is MergeState.APPLIED and both <= {merge.survivor, *merge.replaced}:
                when = merge.finished or merge.begun
                return f"since {when:%Y-%m-%d %H:%M} one Patient by merge {merge.id}, by {merge.user}"
        return ""


def _by(item: ReviewItem) -> str:
    when = f" on {item.decided:%Y-%m-%d %H:%M}" if item.decided else ""
    return f", as {item.user or 'an operator'} decided{when} (review {item.id})"
