"""Deciding who the people of one connected component are: link, create, or ask an operator.

Records and Patients are clustered (see clustering); a cluster with a Patient is linked, one without is a new person,
and what an operator has to decide goes to review with those whom it may be. The result does not depend on the order in
which people or pairs are given.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from fhir_gateway.domain.identity import ComparedPair, Comparison, Evidence, Grade, Node, PersonAction, PersonDecision
from fhir_gateway.identity.clustering import Edge, Graph, cluster, torn_between
from fhir_gateway.identity.comparators import birth_date_fits_nik
from fhir_gateway.identity.comparison import DEFAULT_POLICY, compare
from fhir_gateway.identity.evidence import UNKNOWN_BIRTH_DATE, PersonEvidence
from fhir_gateway.identity.fitting import joins, veto_codes
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.given import Listed, of_a_small_child
from fhir_gateway.identity.lots import LOT, Received
from fhir_gateway.identity.named_rivals import rivalled_by_name
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.persons import Members, Persons
from fhir_gateway.identity.told_pairs import ToldPairs, pairs_as_asked, people_of
from fhir_gateway.identity.vetoes import VetoCode

_NAME_DISAGREES = VetoCode.NIK_NAME_DISAGREES.value
_GRADES = tuple(Grade)
_BOTH_FIRST = "where these two are asked about themselves, answer that first: as one person they get it, too; else link it to the right one"
_SUGGESTION = "compare the two with `fhir-gateway review show`, then link it to the right Patient or create a new one"
_LINKED = "everything that was compared says that it is this person"
_LINKED_TOGETHER = "all that is known of both together says that it is this person; records of them, compared by themselves, leave it open"
_NEW = "nobody was found who could be this person"
_NEW_TOGETHER = f"{_NEW}; its own records, compared by themselves, leave open whether they are one person's"
_DOSES_OF_TWO = (
    "it fits this person, but the lists tell of doses of both that nobody is given twice: a twin, or lines typed twice"
)
_IMPOSSIBLE = "it fits this person, but who was born on either day cannot have got the doses of both"
_SMALL_CHILD = Evidence(
    "doses",
    "small_child",
    0.0,
    "doses that only small children get, beside a grown-up's birth date, which does not count",
)
_SAME_LOT = (
    "it may be this person: what agrees is hardly enough to ask, but two lists have the same lot, vaccine and day"
)
_SAME_DAYS = (
    "it may be this person: what agrees is hardly enough to ask, but two lists have the same doses on the same days"
)
_ROWS_ALONE = "a row of the one may be the other by itself; all that is known of both falls short of it"
_TWIN_UNSEEN = "it may be the same child, or a twin of whom no file told before: no number of its own tells"
FITS_TWO = "fits-two-people"
"""The reason of a question about somebody who fits two."""
MAYBE_TWO = frozenset({"doses-contradict", "contradicted", VetoCode.POSSIBLE_TWINS.value})
"""The reasons of questions about two who agree but for what their doses or other rows tell: maybe two people all the same."""
_FITS_TWO = "it fits two people about equally well"
_IS_FITTED_BY_TWO = "the Patient whom it fits is fitted about as well by somebody else of this load"
_REASONS: Mapping[str, str] = {
    _NAME_DISAGREES: "the NIK is somebody's whose name is another",
    VetoCode.NIK_DIFFERENT.value: "all agrees but the NIK: two valid NIKs, of which one may be mistyped",
    VetoCode.POSSIBLE_TWINS.value: "it may be the same child or its twin",
    VetoCode.GENERATION.value: "all agrees but the birth dates, which lie a generation apart",
    VetoCode.TIMELINE.value: "all agrees, but the one was born after the other had died",
    VetoCode.PARENT.value: "the NIK may be the parent's",
    VetoCode.TWINS.value: "the NIK is the same, but these are twins by all else",
}


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why a cluster is not decided by itself: the pair, and the reason; `alone` where two records were compared alone."""

    edge: Edge
    reason: str
    text: str
    alone: bool = False


def decide(  # noqa: PLR0913 - what is known beside the evidence is named
    people: Mapping[int, PersonEvidence],
    patients: Mapping[str, PersonEvidence],
    pairs: Sequence[ComparedPair],
    *,
    policy: MatchingPolicy | None = None,
    frequencies: Frequencies | None = None,
    forbidden: frozenset[frozenset[Node]] = frozenset(),
    confirmed: frozenset[frozenset[Node]] = frozenset(),
    listed: Mapping[Node, Listed] | None = None,
    received: Received | None = None,
    witnesses: frozenset[int] = frozenset(),
) -> tuple[PersonDecision, ...]:
    """Decide one connected component; every number of `people` is a member of exactly one decision.

    `pairs` are the comparisons that blocking brought; what else is needed is compared here. `forbidden` are pairs that
    an operator said are two people, `confirmed` those that are one. `frequencies` are those that the pairs were
    compared with; None stands for the shipped ones. `listed` is what clinics' lists say of them:
    a birth date with which their doses cannot be counts for nothing. `received` tells how many received a lot. Because of
    `witnesses` nobody is asked about: they are decided last.
    """
    if len(people) == 1 and not patients:
        return (_new_person(tuple(people), Grade.CERTAINLY_NOT, _NEW, ()),)
    policy = policy or DEFAULT_POLICY
    nodes: dict[Node, PersonEvidence] = dict(people.items())
    nodes.update(patients.items())
    undated = {
        node
        for node, said in (listed or {}).items()
        if node in nodes and of_a_small_child(said, nodes[node].birth_date.year)
    }
    nodes.update((node, nodes[node]._replace(birth_date=UNKNOWN_BIRTH_DATE)) for node in undated)
    graph = Graph(
        nodes,
        [_without_birth_date(pair, undated, nodes, policy, frequencies) for pair in pairs] if undated else pairs,
        policy=policy,
        frequencies=frequencies,
        forbidden=forbidden,
        confirmed=confirmed,
        listed=listed,
        received=received,
    )
    return _Decisions(graph, witnesses).all()


def _without_birth_date(
    pair: ComparedPair,
    undated: Collection[Node],
    nodes: Mapping[Node, PersonEvidence],
    policy: MatchingPolicy,
    frequencies: Frequencies | None,
) -> ComparedPair:
    """Compare a pair again of whom one has a birth date that the doses show to be another's, such as the mother's."""
    if pair.left not in undated and pair.right not in undated:
        return pair
    comparison = compare(nodes[pair.left], nodes[pair.right], policy=policy, frequencies=frequencies)
    return ComparedPair(pair.left, pair.right, replace(comparison, evidence=(*comparison.evidence, _SMALL_CHILD)))


class _Decisions:
    """Decides the clusters of a graph one after another: those with Patients, the others by rank, the torn last."""

    def __init__(self, graph: Graph, witnesses: frozenset[int]) -> None:
        self._graph = graph
        self._witnesses = witnesses
        self._asked: dict[frozenset[Node], ComparedPair] = {}
        self._torn = {node: edges for node in graph.nodes if (edges := torn_between(graph, node))}
        parts = cluster(graph, frozenset(self._torn), rivalled_by_name(graph))
        self._persons = Persons(graph, parts)
        self._told = ToldPairs(graph, self._persons, parts)
        self._persons.join()
        self._clusters = [members for members in self._persons.all() if any(isinstance(node, int) for node in members)]
        self._between = {members: edges for members in self._clusters if (edges := self._fits_two(members))}

    def all(self) -> tuple[PersonDecision, ...]:
        """Return the decisions, by their smallest member."""
        settled: set[Node] = {node for node in self._graph.nodes if isinstance(node, str)}
        decisions = []
        for members in sorted(self._clusters, key=self._rank):
            decisions.append(self._decide(members, settled))
            settled |= members
        return tuple(sorted(map(self._as_asked, decisions), key=lambda decision: decision.members))

    def _as_asked(self, decision: PersonDecision) -> PersonDecision:
        """Return the decision with what is asked about as it stands in the question, so that both sides say the same."""
        if not self._asked:
            return decision
        return replace(decision, pairs=pairs_as_asked(decision.pairs, self._asked))

    def _rank(self, members: frozenset[Node]) -> tuple[object, ...]:
        """Clusters with Patients first, then those of most rows, as the other side of a question waits; content decides ties."""
        people = [node for node in members if isinstance(node, int)]
        known = [self._graph.nodes[node] for node in people]
        return (
            self._witnesses.issuperset(people),
            members in self._between,
            len(people) == len(members),
            -self._graph.rows(people),
            -len(people),
            -sum(birth_date_fits_nik(evidence) for evidence in known),
            -max(_richness(evidence) for evidence in known),
            min(map(self._graph.rank, people)),
        )

    def _decide(self, members: frozenset[Node], settled: set[Node]) -> PersonDecision:
        doubts = self._doubts(members, settled)
        if doubts:
            return self._review(members, doubts)
        patients = [node for node in members if isinstance(node, str)]
        if patients:
            return self._link(members, patients)
        return self._create(members)

    def _doubts(self, members: frozenset[Node], settled: set[Node]) -> list[_Doubt]:
        if members in self._between:
            return [_Doubt(edge, FITS_TWO, _FITS_TWO, alone=len(members) == 1) for edge in self._between[members]]
        if any(pair <= members for pair in self._graph.confirmed):
            return []
        neighbours = self._persons.neighbours(members)
        doubts = [
            doubt
            for other, edge in neighbours.items()
            if not settled.isdisjoint(other) and (doubt := self._doubt(edge, members, other))
        ]
        return sorted(doubts, key=lambda doubt: (-self._weight_to_ask(doubt), self._graph.rank(doubt.edge.other)))

    def _fits_two(self, members: Members) -> tuple[Edge, ...]:
        """Return the comparisons with those whom a person of the load alone fits about equally well; () where one leads."""
        if len(members) == 1:
            (node,) = members
            if node in self._torn:
                return self._torn[node]
        if any(isinstance(node, str) for node in members):
            return ()
        neighbours = self._persons.neighbours(members)
        return tuple(
            neighbours[other]._replace(comparison=self._persons.compared(members, other))
            for other in self._persons.torn_between(members)
        )

    def _weight_to_ask(self, doubt: _Doubt) -> float:
        """Return a doubt's weight with what lot, vaccine and day add: they never join, but whom to look at first they may say."""
        lot = self._graph.lots((doubt.edge.node,), (doubt.edge.other,))
        return doubt.edge.comparison.weight + (lot.weight if lot else 0.0)

    def _doubt(self, edge: Edge, members: Members, other: Members) -> _Doubt | None:
        """Return what stands against deciding a cluster without asking because of another one."""
        comparison = self._persons.compared(members, other)
        edge = Edge(edge.node, edge.other, comparison)
        linked = any(isinstance(node, str) for node in members)
        if comparison.grade not in {Grade.CERTAIN, Grade.PROBABLE}:
            return (
                None
                if linked
                else self._doubt_by_lot(edge, members, other) or self._doubt_of_rows(members, other, comparison)
            )
        if comparison.vetoes:
            return self._veto_doubt(edge, members, linked=linked)
        lead = self._support(members) - comparison.weight
        clear = lead >= self._graph.policy.margin
        if linked:
            rival = any(isinstance(node, str) for node in other) and not clear
            return _Doubt(edge, FITS_TWO, _FITS_TWO) if rival else None
        if not self._persons.forbidden(members, other):
            return self._nearly_one(edge, members, other)
        if clear and not _same_nik(comparison) and self._persons.doses_part(members, other):
            return None
        return self._contradiction(edge, members, other)

    def _nearly_one(self, edge: Edge, members: Members, other: Members) -> _Doubt:
        """Return the doubt about two whom nothing parts."""
        if self._persons.twin_unseen(members, other):
            return _Doubt(edge, VetoCode.POSSIBLE_TWINS.value, _TWIN_UNSEEN)
        if self._persons.named_rival(members, other):
            return _Doubt(edge, "doses-contradict", _DOSES_OF_TWO)
        if any(isinstance(node, str) and node in self._torn for node in other):
            return _Doubt(edge, FITS_TWO, _IS_FITTED_BY_TWO)
        return _Doubt(edge, "probably-same", "it is probably this person, but what agrees is not enough to be certain")

    def _doubt_by_lot(self, edge: Edge, members: Members, other: Members) -> _Doubt | None:
        """Return the doubt about two who come near one person, and with what doses they have in common near enough to ask."""
        asked = self._graph.raised(edge.comparison, members, other)
        if asked is None:
            return None
        raised = Edge(edge.node, edge.other, asked)
        if asked.vetoes:
            parted = self._persons.doses_part(members, other)
            return None if parted else self._veto_doubt(raised, members, linked=False)
        if self._persons.forbidden(members, other):
            return None
        by_days = any((one.field, one.agreement) == (LOT, "days") for one in asked.evidence)
        return _Doubt(raised, "same-days", _SAME_DAYS) if by_days else _Doubt(raised, "same-lot", _SAME_LOT)

    def _doubt_of_rows(self, members: Members, other: Members, together: Comparison) -> _Doubt | None:
        """Return the doubt about two of whom a row of each may be one person by itself, and all rows together fall short of it."""
        if together.vetoes or self._persons.forbidden(members, other):
            return None
        best = self._persons.best_asked(members, other)
        return _Doubt(best, "probably-same", _ROWS_ALONE) if best else None

    def _contradiction(self, edge: Edge, members: Members, other: Members) -> _Doubt:
        found = self._graph.repeats(members, other)
        if self._graph.timeline_is_impossible(edge.node, edge.other):
            return _Doubt(edge, "doses-contradict", _IMPOSSIBLE)
        if found.repeated or found.contradicted or self._persons.doses_part(members, other):
            return _Doubt(edge, "doses-contradict", _DOSES_OF_TWO)
        return _Doubt(edge, "contradicted", "it fits this person, but a record of the same person contradicts")

    def _veto_doubt(self, edge: Edge, members: Members, *, linked: bool) -> _Doubt | None:
        if edge.comparison.grade is not Grade.PROBABLE:
            return None
        codes = veto_codes(edge.comparison)
        if linked and (_NAME_DISAGREES not in codes or self._linked_by_nik(edge.node, members)):
            return None
        reason = next((code for code in _REASONS if code in codes), "vetoed")
        return _Doubt(edge, reason, _REASONS.get(reason, "something forbids to link it without asking"))

    def _support(self, members: Members) -> float:
        """Return the weight with which a cluster's members belong together: the weakest member's best."""
        weights = [
            max(self._graph.between(person, node).weight for node in members if node != person)
            for person in members
            if len(members) > 1
        ]
        return min(weights, default=self._graph.policy.prior)

    def _linked_by_nik(self, person: Node, members: frozenset[Node]) -> bool:
        """Whether the cluster's Patient carries the person's NIK as well, under an agreeing name."""
        return any(
            one.field == "nik" and one.agreement == "agree"
            for node in members
            if isinstance(node, str) and node != person
            for one in self._graph.between(person, node).evidence
        )

    def _review(self, members: frozenset[Node], doubts: list[_Doubt]) -> PersonDecision:
        first = doubts[0]
        own = sorted((node for node in members if isinstance(node, str)), key=self._graph.rank)
        candidates = [self._named(doubt.edge.other) for doubt in doubts]
        best = max((doubt.edge.comparison.grade for doubt in doubts), key=lambda grade: -_GRADES.index(grade))
        nobody: Members = frozenset()
        persons = [(nobody, nobody) if one.alone else (members, self._persons.of(one.edge.other)) for one in doubts]
        pairs = self._told.pairs(members, [(one.edge, *both) for one, both in zip(doubts, persons, strict=True)])
        doubtful = {frozenset((doubt.edge.node, doubt.edge.other)) for doubt in doubts}
        told = {frozenset((pair.left, pair.right)): pair for pair in reversed(pairs)}
        self._asked = {key: told[key] for key in doubtful & told.keys()} | self._asked
        torn = members in self._between and not self._vetoed_by_others(members)
        return PersonDecision(
            people_of(members),
            PersonAction.REVIEW,
            Grade.PROBABLE if own or best is Grade.CERTAIN else best,
            first.reason,
            first.text,
            _BOTH_FIRST if torn else _SUGGESTION,
            candidates=tuple(dict.fromkeys((*own, *candidates))),
            pairs=pairs,
            torn=torn,
        )

    def _vetoed_by_others(self, members: Members) -> bool:
        """Say whether a rule has an operator asked about somebody else than those whom a person fits equally well."""
        fitting = {self._persons.of(edge.other) for edge in self._between[members]}
        others = self._persons.neighbours(members).keys() - fitting
        compared = (self._persons.compared(members, other) for other in others)
        return any(each.vetoes and each.grade is Grade.PROBABLE for each in compared)

    def _named(self, node: Node) -> Node:
        """Return whom an operator can look at: the Patient of the node's cluster where it has one."""
        patients = [other for other in self._persons.of(node) if isinstance(other, str)]
        return min(patients) if patients and not isinstance(node, str) else node

    def _link(self, members: frozenset[Node], patients: list[str]) -> PersonDecision:
        people = people_of(members)
        weights = {
            patient: max(self._graph.between(person, patient).weight for person in people) for patient in patients
        }
        best = min(patients, key=lambda patient: (-weights[patient], patient))
        others = sorted(patient for patient in patients if patient != best)
        return PersonDecision(
            people,
            PersonAction.LINK,
            Grade.CERTAIN,
            "linked",
            _LINKED_TOGETHER if self._left_open(members) else _LINKED,
            patient_id=best,
            pairs=self._told.pairs(members, self._told.joined(members)),
            proposals=tuple((best, other) for other in others),
        )

    def _create(self, members: frozenset[Node]) -> PersonDecision:
        outside = [
            edge
            for person in people_of(members)
            for edge in self._graph.edges(person)
            if edge.other not in members and not edge.comparison.vetoes
        ]
        grades = [edge.comparison.grade for edge in outside if edge.comparison.grade is Grade.POSSIBLE]
        grade = grades[0] if grades else Grade.CERTAINLY_NOT
        text = _NEW_TOGETHER if self._left_open(members) else _NEW
        return _new_person(people_of(members), grade, text, self._told.pairs(members, self._told.joined(members)))

    def _left_open(self, members: frozenset[Node]) -> bool:
        """Say whether two of these would not be taken for one person if nothing else were known of them."""
        return any(not joins(self._graph.between(one, other)) for one, other in combinations(members, 2))


def _new_person(members: tuple[int, ...], grade: Grade, text: str, pairs: tuple[ComparedPair, ...]) -> PersonDecision:
    return PersonDecision(members, PersonAction.CREATE, grade, "new-person", text, pairs=pairs)


def _same_nik(comparison: Comparison) -> bool:
    return any(one.field == "nik" and one.agreement == "agree" for one in comparison.evidence)


def _richness(evidence: PersonEvidence) -> int:
    """Return how much is known of a person."""
    known = (evidence.niks, evidence.own_keys, evidence.birth_date.whole, evidence.gender, evidence.phones)
    return sum(map(bool, (*known, evidence.mother_keys, evidence.places, evidence.records)))
