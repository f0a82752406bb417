"""Clusters of records and Patients that are one person: greedy by weight, no veto inside, the torn left out.

A chain that would join two vetoed people is cut at its weakest link, for stronger ones are taken first.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from fhir_gateway.domain.identity import ComparedPair, Comparison, Evidence, Grade, Node
from fhir_gateway.identity.comparators import birth_date_fits_nik, numbered_as_twins
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.fitting import (
    CONFIRMED,
    fits,
    fits_as_well,
    joins,
    nameless,
    names_contradict,
    numbers_differ,
    same_name,
    veto_codes,
    without_family,
)
from fhir_gateway.identity.frequencies import Frequencies, default_frequencies
from fhir_gateway.identity.given import (
    Listed,
    fit_no_birth_date,
    in_different_lists,
    may_fit_no_birth_date,
)
from fhir_gateway.identity.lists import Lists
from fhir_gateway.identity.lots import (
    Received,
    raised_by_lot,
    share_mother_and_birth,
    shared_vials,
    weigh_days,
    weigh_lots,
)
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.repeats import Repeats, doses_part
from fhir_gateway.identity.settling import of_one_child
from fhir_gateway.identity.unseen import may_be_unseen_twins
from fhir_gateway.identity.vetoes import VETOES, VetoCode

_CONFIRMATION = Comparison((), (), CONFIRMED, Grade.CERTAIN)
_REFUSAL = Comparison((), (VETOES[VetoCode.DECIDED],), -CONFIRMED, Grade.CERTAINLY_NOT)


def _ranked(nodes: Mapping[Node, PersonEvidence]) -> dict[Node, int]:
    """Return each node's place: people before Patients, by what is known of them, so that no order of rows decides a tie."""
    if len(nodes) == 1:
        return dict.fromkeys(nodes, 0)
    return {node: place for place, node in enumerate(sorted(nodes, key=lambda node: _content(node, nodes[node])))}


def _content(node: Node, known: PersonEvidence) -> tuple[object, ...]:
    born = known.birth_date
    said = (known.own_keys, known.niks, known.damaged_niks, known.odd_niks, known.parent_niks, known.mother_keys)
    rest = (known.parent_keys, known.phones, known.places, known.records, known.gender, known.birth_order)
    names = tuple(name.original for name in known.names)
    number = (0, node) if isinstance(node, str) else (node, "")
    return (isinstance(node, str), (born.year, born.month, born.day), said, rest, names, number)


class Edge(NamedTuple):
    """A compared pair seen from `node`."""

    node: Node
    other: Node
    comparison: Comparison


class Graph:
    """The people and Patients of a component, and their comparisons; missing ones are made when they are needed."""

    def __init__(  # noqa: PLR0913 - what is known beside the evidence is named
        self,
        nodes: Mapping[Node, PersonEvidence],
        pairs: Sequence[ComparedPair],
        *,
        policy: MatchingPolicy,
        frequencies: Frequencies | None = None,
        forbidden: Iterable[frozenset[Node]] = (),
        confirmed: Iterable[frozenset[Node]] = (),
        listed: Mapping[Node, Listed] | None = None,
        received: Received | None = None,
    ) -> None:
        self.nodes = nodes
        self._rank = _ranked(nodes)
        self._lists = Lists(listed or {})
        self._received = received
        self.policy = policy
        self.frequencies = frequencies or default_frequencies()
        self._comparisons: dict[frozenset[Node], Comparison] = {}
        self._listed_twice: dict[frozenset[Node], bool] = {}
        self._rows_of_nik: Counter[str] | None = None
        for pair in pairs:
            self._add(frozenset((pair.left, pair.right)), pair.comparison)
        self.forbidden = frozenset(pair for pair in forbidden if pair <= nodes.keys())
        self.confirmed = (
            frozenset(pair for pair in confirmed if pair <= nodes.keys() and len(pair) == 2) - self.forbidden
        )
        self._comparisons.update(dict.fromkeys(self.confirmed, _CONFIRMATION))
        self._comparisons.update(dict.fromkeys(self.forbidden, _REFUSAL))
        self._edges: dict[Node, list[Edge]] = defaultdict(list)
        for key, comparison in self._comparisons.items():
            if len(key) == 2:
                left, right = sorted(key, key=self.rank)
                self._edges[left].append(Edge(left, right, comparison))
                self._edges[right].append(Edge(right, left, comparison))
        for own in self._edges.values():
            own.sort(key=lambda edge: (-edge.comparison.weight, self._rank[edge.other]))

    def _add(self, key: frozenset[Node], comparison: Comparison) -> None:
        """Keep the comparison of a pair; of two for the same pair the one that says more against it."""
        before = self._comparisons.get(key)
        if before is None or (comparison.weight, comparison.grade.value) < (before.weight, before.grade.value):
            self._comparisons[key] = comparison

    def rank(self, node: Node) -> int:
        """Return a node's place among all, which depends on what is known of them and not on their numbers."""
        return self._rank[node]

    def edges(self, node: Node) -> list[Edge]:
        """Return the given comparisons of a node, best first."""
        return self._edges[node]

    def between(self, one: Node, other: Node) -> Comparison:
        """Return two nodes' comparison, made now where blocking did not bring it."""
        key = frozenset((one, other))
        known = self._comparisons.get(key)
        if known is None:
            left, right = sorted(key, key=self.rank)
            known = self.compare(self.nodes[left], self.nodes[right])
            self._comparisons[key] = known
        return known

    def compare(self, left: PersonEvidence, right: PersonEvidence) -> Comparison:
        """Return the comparison of two people's evidence under the graph's policy and frequencies."""
        return compare(left, right, policy=self.policy, frequencies=self.frequencies)

    def conflict(self, one: Node, other: Node) -> bool:
        """Say whether two nodes cannot stand in one cluster; of two Patients, that no merge of them is proposed."""
        comparison = self.between(one, other)
        if comparison.vetoes and not self._numbers_of_one(one, other, comparison):
            return True
        if self.listed_twice(one, other):
            return True
        return comparison.grade is Grade.CERTAINLY_NOT and names_contradict(comparison)

    def _numbers_of_one(self, one: Node, other: Node, comparison: Comparison) -> bool:
        """Say whether two NIKs that differ are known to be one person's: some Patient carries both."""
        if veto_codes(comparison) != {VetoCode.NIK_DIFFERENT.value}:
            return False
        numbers = [self.nodes[node].niks + self.nodes[node].old_niks for node in (one, other)]
        carried = ({*known.niks, *known.old_niks} for node, known in self.nodes.items() if isinstance(node, str))
        return all(numbers) and any(all(not both.isdisjoint(number) for number in numbers) for both in carried)

    def hardly_another(self, one: Node, other: Node) -> bool:
        """Say whether a node is hardly anybody but the other, though their NIKs differ, see makes_nobody()."""
        return self.makes_nobody(self.nodes[one], self.nodes[other], self.between(one, other))

    def makes_nobody(self, one: PersonEvidence, other: PersonEvidence, comparison: Comparison) -> bool:
        """Say whether two agree in all but the NIK, and the one's makes nobody whom a third record could fit as well as the other.

        It is of another birthday or sex than its own records tell, and the other's is not. Or fewer rows tell it, and the two lie one
        typing error apart, as twins' do not, or they are of one name to the letter, one birthday and one family: no two children are.
        """
        if veto_codes(comparison) != {VetoCode.NIK_DIFFERENT.value} or comparison.grade is not Grade.PROBABLE:
            return False
        said = {piece.field: piece.agreement for piece in comparison.evidence}
        if "caution" in said or not same_name(comparison):
            return False
        fewer = self._told(one) < self._told(other)
        if fewer and of_one_child(comparison, self.policy.parameters.household):
            return True
        if not (one.niks and other.niks):  # of what a spreadsheet cut off nobody knows whose it was
            return False
        fits = birth_date_fits_nik(one)
        if fits != birth_date_fits_nik(other):
            return not fits
        return fewer and said.get("nik") == "typo"

    def _told(self, known: PersonEvidence) -> int:
        """Return how many rows tell the best known of a person's NIKs, or of what a spreadsheet left of them."""
        if self._rows_of_nik is None:
            self._rows_of_nik = Counter()
            for node, each in self.nodes.items():
                numbers = each.niks + each.damaged_niks
                self._rows_of_nik.update(dict.fromkeys(numbers, max(1, self.rows((node,)))))
        return max((self._rows_of_nik[nik] for nik in known.niks + known.damaged_niks), default=0)

    def listed_twice(self, one: Node, other: Node) -> bool:
        """Say whether doses part two: a clinic's list has the same of both, twins most likely, or their timeline is impossible."""
        if one not in self._lists or other not in self._lists:
            return False
        key = frozenset((one, other))
        if key not in self._listed_twice:
            repeats = self.repeats((one,), (other,))
            left, right = self.nodes[one], self.nodes[other]
            self._listed_twice[key] = doses_part(left, right, repeats) or self.timeline_is_impossible(one, other)
        return self._listed_twice[key]

    def timeline_is_impossible(self, one: Node, other: Node) -> bool:
        """Say whether the doses of both can be no one person's, on whichever of the two days that was born."""
        left, right = self.nodes[one], self.nodes[other]
        return may_fit_no_birth_date(left, right) and fit_no_birth_date(left, right, self._lists.of((one, other)))

    def doses_contradict(self, edge: Edge, one: Iterable[Node], other: Iterable[Node]) -> bool:
        """Say whether doses part those whom an edge would join."""
        return doses_part(self.nodes[edge.node], self.nodes[edge.other], self.repeats(one, other))

    def twin_unseen(self, edge: Edge) -> bool:
        """Say whether the two of an edge may be twins of whom one is in no file yet."""
        if edge.comparison.weight >= CONFIRMED:
            return False
        left, right = self.nodes[edge.node], self.nodes[edge.other]
        on_server = isinstance(edge.node, str) or isinstance(edge.other, str)
        return may_be_unseen_twins(left, right, edge.comparison, met_on_server=on_server)

    def repeats(self, some: Iterable[Node], others: Iterable[Node]) -> Repeats:
        """Return how many doses the same lists have of both groups; of a Patient only those that stand in them are known."""
        return self._lists.repeats(some, others)

    def rows(self, some: Iterable[Node]) -> int:
        """Return how many rows tell of a group, as far as lists are known."""
        return self._lists.of(some).rows

    def in_different_lists(self, some: Iterable[Node], others: Iterable[Node]) -> bool:
        """Say whether a list that has one line for each child has one for the one group, and for the other, whom other lists have, none."""
        return in_different_lists(self._lists.of(some), self._lists.of(others))

    def lots(self, some: Collection[Node], others: Collection[Node]) -> Evidence | None:
        """Return what lot, vaccine and day tell of both groups, see weigh_lots()."""
        shared = shared_vials(self._lists.of(some), self._lists.of(others))
        if not shared:
            return None
        twins = self._of_one_birth(some, others)
        return weigh_lots(shared, of_one_birth=twins, received=self._received, weights=self.policy.parameters.lots)

    def days(self, some: Collection[Node], others: Collection[Node]) -> Evidence | None:
        """Return what doses of the same days tell of both groups, see weigh_days(); None where others contradict."""
        if self._received is None or self._of_one_birth(some, others) or self.repeats(some, others).contradicted:
            return None
        weights = self.policy.parameters.lots
        return weigh_days(self._lists.of(some), self._lists.of(others), received=self._received, weights=weights)

    def _of_one_birth(self, some: Collection[Node], others: Collection[Node]) -> bool:
        return any(share_mother_and_birth(self.nodes[one], self.nodes[other]) for one in some for other in others)

    def raised(self, comparison: Comparison, some: Collection[Node], others: Collection[Node]) -> Comparison | None:
        """Return the comparison of both groups as one to ask about, where what doses they have in common makes it that."""
        for by_doses in (self.lots, self.days):
            lot = by_doses(some, others)
            if lot and (asked := raised_by_lot(comparison, lot, self.policy)):
                return asked
        return None

    def certain_edges(self) -> list[Edge]:
        """Return every edge that may join two, best first, each once."""
        edges = [
            edge
            for node in self.nodes
            for edge in self._edges[node]
            if joins(edge.comparison) and self.rank(edge.node) < self.rank(edge.other)
        ]
        return sorted(edges, key=lambda edge: (-edge.comparison.weight, self.rank(edge.node), self.rank(edge.other)))


def torn_between(graph: Graph, person: Node) -> tuple[Edge, ...]:
    """Return the edges to the people whom a person fits about equally well, () where one leads clearly.

    Of two who may be one whose NIK was mistyped, the first is no better than the second: an operator is asked about them.
    """
    fitting = [edge for edge in graph.edges(person) if fits(edge.comparison)]
    if len(fitting) < 2 or not joins(fitting[0].comparison) or fitting[0].comparison.weight >= CONFIRMED:
        return ()
    best, margin = fitting[0], graph.policy.margin
    near = [
        edge
        for edge in fitting
        if edge.comparison.weight > best.comparison.weight - margin
        or (
            without_family(edge.comparison) > without_family(best.comparison) - margin
            and numbered_as_twins(graph.nodes[best.other], graph.nodes[edge.other])
        )
    ]
    if same_name(near[0].comparison):  # then the name tells between it and who is called otherwise
        near = [edge for edge in near if same_name(edge.comparison)]
    near = [
        edge
        for edge in near
        if not any(graph.hardly_another(edge.other, rival.other) for rival in near if rival != edge)
    ]
    return tuple(
        edge for edge in near if any(graph.conflict(edge.other, rival.other) for rival in near if rival != edge)
    )


def cluster(graph: Graph, torn: frozenset[Node], rivalled: Collection[frozenset[Node]]) -> list[frozenset[Node]]:
    """Return clusters of nodes; the torn stand alone, and no rivalled pair joins two. Confirmed pairs are joined whatever the evidence says."""
    clusters: dict[Node, set[Node]] = {node: {node} for node in graph.nodes}
    for edge in graph.certain_edges():
        one, other = clusters[edge.node], clusters[edge.other]
        if one is other or edge.node in torn or edge.other in torn or nameless(edge.comparison):
            continue
        pair = frozenset((edge.node, edge.other))
        if graph.twin_unseen(edge) or pair in rivalled:
            continue
        decided = pair in graph.confirmed
        parted = graph.doses_contradict(edge, one, other) or _conflicting(graph, one, other)
        if decided or not (parted or _fits_rival(graph, edge, one, other) or _fits_rival(graph, edge, other, one)):
            one |= other
            clusters.update(dict.fromkeys(other, one))
    distinct = {id(members): frozenset(members) for members in clusters.values()}
    return sorted(distinct.values(), key=lambda members: min(map(graph.rank, members)))


def _fits_rival(graph: Graph, edge: Edge, own: Collection[Node], others: Collection[Node]) -> bool:
    """Say whether one of `own` fits somebody with another NIK than the `others`, about as well as an edge joins the two, or by name.

    Then what all rows of each tell together decides, see Persons: by a single row the first would be as good as the second.
    """
    for one in own:
        for third in takewhile(lambda each: each.comparison.weight >= graph.policy.possible, graph.edges(one)):
            if third.other in own or third.other in others:
                continue
            if not fits_as_well(third.comparison, edge.comparison, graph.policy.margin):
                continue
            if any(
                numbers_differ(graph.between(third.other, node)) and not graph.hardly_another(third.other, node)
                for node in others
            ):
                return True
    return False


def _conflicting(graph: Graph, one: Iterable[Node], other: Iterable[Node]) -> bool:
    others = tuple(other)
    return any(graph.conflict(left, right) for left in one for right in others)
