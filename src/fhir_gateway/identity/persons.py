"""Clusters compared as the persons that they are: what single rows leave open, all rows of a person may settle.

After the greedy pass over single records, clusters are compared by what their records tell together, and joined best
first until nothing changes. What forbids two records to be one person still forbids it between all members; only what a
name, or a newborn's row of that day, speaks against may be settled by the person's other records.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from fhir_gateway.domain.identity import Comparison, Grade, Node
from fhir_gateway.identity.clustering import Edge, Graph
from fhir_gateway.identity.combining import combine
from fhir_gateway.identity.comparators import compare_keys_of, compare_own_names, no_number_in_common, numbered_as_twins
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.fitting import (
    fits,
    has_the_very_name,
    joins,
    may_be_one,
    nameless,
    numbers_differ,
    same_name,
    veto_codes,
    without_family,
)
from fhir_gateway.identity.named_rivals import lack_a_word
from fhir_gateway.identity.repeats import doses_part
from fhir_gateway.identity.settling import (
    has_one_birthday,
    has_whole_family,
    known_as,
    known_under_name,
    mistyped,
    moved_with_another_phone,
    name_one_mother,
    name_two_mothers,
    one_word,
    settled_alone,
    shortens,
)
from fhir_gateway.identity.unseen import may_be_unseen_twins
from fhir_gateway.identity.vetoes import SAME_NAME, VetoCode, of_one_birth
from fhir_gateway.identity.weighing import same_place
from fhir_gateway.people.name_agreement import NameLevel

Members = frozenset[Node]
_DOUBTS = frozenset({VetoCode.POSSIBLE_TWINS.value})
"""Vetoes of two records that a person's other records may settle."""
_OF_NAMES = frozenset({VetoCode.POSSIBLE_TWINS.value, VetoCode.TWINS.value, VetoCode.NIK_NAME_DISAGREES.value})
"""Vetoes of two records that hold no longer where the person is known under the other's name as well."""
_OF_MOTHERS = frozenset({VetoCode.PARENT.value})
"""The veto of a newborn's row that has a mother's name or number: nobody is born on her child's day."""
_MANY_DOSES = 4
"""So many of a list's doses tell that names a sound apart are one child's: of a twin it may have a few yet, or none."""
_TWO_FOLDERS = ("record_number", "different")
"""Evidence of two whom one clinic numbered, each with a number of its own."""
_TWINS = frozenset({VetoCode.TWINS.value, VetoCode.POSSIBLE_TWINS.value})


class Persons:
    """The clusters of a graph and their comparisons."""

    def __init__(self, graph: Graph, clusters: Iterable[Members]) -> None:
        self._graph = graph
        self._cluster_of: dict[Node, Members] = {node: members for members in clusters for node in members}
        self._combined: dict[Members, PersonEvidence] = {}
        self._compared: dict[frozenset[Members], Comparison] = {}
        self._forbidden: dict[frozenset[Members], bool] = {}

    def of(self, node: Node) -> Members:
        """Return a node's cluster."""
        return self._cluster_of[node]

    def all(self) -> list[Members]:
        """Return all clusters, by their first node."""
        return sorted(set(self._cluster_of.values()), key=self._first)

    def _first(self, members: Members) -> int:
        return min(map(self._graph.rank, members))

    def compared(self, one: Members, other: Members) -> Comparison:
        """Return the comparison of what two clusters' records tell together."""
        key = frozenset((one, other))
        known = self._compared.get(key)
        if known is None:
            left, right = sorted(key, key=self._first)
            known = self._compared[key] = self._compare(left, right)
        return known

    def _compare(self, left: Members, right: Members) -> Comparison:
        if len(left) == len(right) == 1:
            return self._graph.between(next(iter(left)), next(iter(right)))
        return self._graph.compare(self._evidence(left), self._evidence(right))

    def _evidence(self, members: Members) -> PersonEvidence:
        known = self._combined.get(members)
        if known is None:
            known = self._combined[members] = combine([self._graph.nodes[node] for node in members])
        return known

    def forbidden(self, one: Members, other: Members) -> bool:
        """Say whether a member of the one and one of the other cannot be one person."""
        key = frozenset((one, other))
        known = self._forbidden.get(key)
        if known is None:
            known = self._forbidden[key] = self.doses_part(one, other) or any(
                self._forbids(left, right, self._evidence(one), self._evidence(other))
                for left in one
                for right in other
            )
        return known

    def doses_part(self, one: Members, other: Members) -> bool:
        """Say whether the doses that lists have of two clusters make two people of them."""
        left, right = self._evidence(one), self._evidence(other)
        found = self._graph.repeats(one, other)
        if left.newborn or right.newborn:
            named = compare_own_names(left, right).level is not NameLevel.UNKNOWN  # as "By. Rafa" and Rafa are
            return found.lines or (named and doses_part(left, right, found))
        return doses_part(left, right, found)

    def _forbids(self, left: Node, right: Node, one: PersonEvidence, other: PersonEvidence) -> bool:
        """Say whether two records cannot be one person, whatever the other records of `one` and `other` tell."""
        if not self._graph.conflict(left, right):
            return False
        if isinstance(left, str) and isinstance(right, str):
            return True
        codes = veto_codes(self._graph.between(left, right))
        mine, theirs = self._graph.nodes[left], self._graph.nodes[right]
        if one.newborn != other.newborn and mine.newborn and theirs.newborn and codes <= _DOUBTS:
            # Of a child that has got its name all these may be (see _only_named), but for what a list has twice.
            return self._are_two_newborns(left, right)
        if self._graph.timeline_is_impossible(left, right):
            return True
        if self._graph.listed_twice(left, right):  # a line written twice, where the persons as wholes are not parted
            several = self._graph.repeats((left,), (right,)).of_two
            two_mothers = name_two_mothers(mine, theirs, self._graph.frequencies)
            return several or two_mothers or bool(codes) or not known_as(mine, theirs, one, other)
        return not self._settled(left, right, one, other)

    def _are_two_newborns(self, left: Node, right: Node) -> bool:
        """Say whether two rows without a name are two children's: registered twice, or with doses that a list has twice."""
        found = self._graph.repeats((left,), (right,))
        said = self._graph.between(left, right).evidence
        return found.of_two or any((piece.field, piece.agreement) == _TWO_FOLDERS for piece in said)

    def _settled(self, left: Node, right: Node, one: PersonEvidence, other: PersonEvidence) -> bool:
        """Say whether what stands between two records is settled by all that is known of `one` and `other`."""
        codes = veto_codes(self._graph.between(left, right))
        mine, theirs = self._graph.nodes[left], self._graph.nodes[right]
        if codes == _DOUBTS and mistyped(mine, theirs, self._graph.frequencies):
            return True
        if codes == _DOUBTS and self._parts_of_one(self._cluster_of[left], self._cluster_of[right]):
            return True
        if codes == _OF_MOTHERS and of_one_birth(mine, theirs):
            return known_as(mine, theirs, one, other) or name_one_mother(one, other)
        if codes <= _OF_NAMES and known_under_name(mine, theirs, one, other):
            return True
        return codes <= _OF_NAMES and (self._only_shortened(left, right) or self._only_shortened(right, left))

    def _only_shortened(self, node: Node, short: Node) -> bool:
        """Say whether one record only shortens the name of another one of its person, with which `node` agrees."""
        return any(
            shortens(self._graph.nodes[short], self._graph.nodes[full], self._graph.nodes[node])
            and not self._graph.conflict(node, full)
            for full in self._cluster_of[short]
        )

    def neighbours(self, members: Members) -> dict[Members, Edge]:
        """Return the clusters that share a comparison worth looking at with this one, each with the best such edge."""
        found: dict[Members, Edge] = {}
        for node in sorted(members, key=self._graph.rank):
            for edge in self._graph.edges(node):
                cluster = self._cluster_of[edge.other]
                if cluster == members or edge.comparison.grade is Grade.CERTAINLY_NOT:
                    continue
                known = found.get(cluster)
                if known is None or edge.comparison.weight > known.comparison.weight:
                    found[cluster] = edge
        return found

    def best_asked(self, one: Members, other: Members) -> Edge | None:
        """Return the surest comparison of a row of each by which an operator would be asked, None where there is none."""
        edges = (edge for node in one for edge in self._graph.edges(node) if edge.other in other)
        asked = [edge for edge in edges if edge.comparison.grade in {Grade.CERTAIN, Grade.PROBABLE}]
        return max(asked, key=lambda edge: (edge.comparison.weight, -self._graph.rank(edge.node)), default=None)

    def join(self) -> None:
        """Join clusters that are one person for certain, best first, until nothing changes."""
        waiting = self.all() if len(set(self._cluster_of.values())) > 1 else []
        joinable: dict[frozenset[Members], float] = {}
        self._consider(waiting, joinable)
        while joinable:
            best = min(joinable, key=lambda pair: (-joinable[pair], sorted(map(self._first, pair))))
            one, other = sorted(best, key=self._first)
            del joinable[best]
            if not self._only_child(one, other) and (self._torn(one, other) or self._torn(other, one)):
                continue
            joined = one | other
            self._cluster_of.update(dict.fromkeys(joined, joined))
            for pair in [pair for pair in joinable if one in pair or other in pair]:
                del joinable[pair]
            self._consider([joined, *self.neighbours(joined)], joinable)

    def _consider(self, clusters: Sequence[Members], joinable: dict[frozenset[Members], float]) -> None:
        for one in clusters:
            for other in self.neighbours(one):
                comparison = self.compared(one, other)
                if self._certain(one, other, comparison) and not self.forbidden(one, other):
                    joinable[frozenset((one, other))] = comparison.weight

    def _certain(self, one: Members, other: Members, comparison: Comparison) -> bool:
        if self.twin_unseen(one, other) or self.named_rival(one, other):
            return False
        policy, certain = self._graph.policy, joins(comparison)
        if certain and not nameless(comparison):
            return True
        if self._only_child(one, other):
            born_that_day = has_one_birthday(comparison) and veto_codes(comparison) <= _DOUBTS
            return born_that_day and self._of_one_mother(one, other, comparison)
        if veto_codes(comparison) == _DOUBTS and self._parts_of_one(one, other):
            return comparison.weight >= policy.certain - policy.parameters.rivals.nobody
        settled = certain or settled_alone(
            self._evidence(one),
            self._evidence(other),
            comparison,
            policy=policy,
            frequencies=self._graph.frequencies,
            in_different_lists=self._graph.in_different_lists(one, other),
        )
        return settled and not self._rivalled(one, other) and not self._rivalled(other, one)

    def twin_unseen(self, one: Members, other: Members) -> bool:
        """Say whether two may be twins of whom one is in no file yet."""
        left, right, on_server = self._evidence(one), self._evidence(other), _on_server(one) or _on_server(other)
        return may_be_unseen_twins(left, right, self.compared(one, other), met_on_server=on_server)

    def named_rival(self, one: Members, other: Members) -> bool:
        """Say whether a list has a dose of one of two that it has of somebody of the other's very name, see rivalled_by_name()."""
        doubtful = lack_a_word(self.compared(one, other))
        return doubtful and (self._has_named_rival(one, other) or self._has_named_rival(other, one))

    def _has_named_rival(self, one: Members, other: Members) -> bool:
        return any(
            same_name(comparison := self.compared(other, third)) and fits(comparison) and self.doses_part(one, third)
            for third in self.neighbours(other)
            if third != one
        )

    def _of_one_mother(self, one: Members, other: Members, comparison: Comparison) -> bool:
        """Say whether a newborn's and a child's mother are one, and not two women of one name."""
        left, right = self._evidence(one), self._evidence(other)
        policy, rivals = self._graph.policy, self._graph.policy.parameters.rivals
        bar = policy.probable + rivals.newborn
        if _on_server(one) or _on_server(other):
            bar += rivals.unseen_twin
        if no_number_in_common(left, right):
            mothers = compare_keys_of(left.mother_keys + left.parent_keys, right.mother_keys + right.parent_keys)
            if not all(one_word(mine, theirs, self._graph.frequencies) for mine, theirs in mothers.near):
                return False
            if mothers.level not in SAME_NAME or same_place(left.places, right.places) is not True:
                bar = max(bar, policy.certain - rivals.nobody)
        return comparison.weight >= bar and not moved_with_another_phone(left, right)

    def _only_child(self, one: Members, other: Members) -> bool:
        return self._only_named(one, other) or self._only_named(other, one)

    def _only_named(self, newborn: Members, named: Members) -> bool:
        """Say whether of all whom a newborn without a name may be one alone has a name, and nothing tells of a twin.

        Its other records without a name do not rival: of one child's first days several people tell.
        """
        if not self._evidence(newborn).newborn or self._evidence(named).newborn:
            return False
        around = [newborn, *(other for other in self.neighbours(newborn) if self._may_be(newborn, other))]
        if named not in around or any(self._evidence(each).birth_order > 0 for each in around):
            return False
        others = (each for each in around if each != named and not self._evidence(each).newborn)
        if not all(self._makes_nobody(each, named) for each in others) or self._twins_of(named):
            return False
        if self._has_second_newborn(newborn, {*around, *self.neighbours(named)}):
            return False
        found = self._graph.repeats(newborn, [node for node in named if not self._graph.nodes[node].newborn])
        return not found.repeated and found.contradicted <= found.agreed

    def _has_second_newborn(self, newborn: Members, around: Iterable[Members]) -> bool:
        """Say whether this and others around are two newborns of that mother and day, so that nothing tells whose a name is."""
        newborns = {node for each in (newborn, *around) for node in each if self._graph.nodes[node].newborn}
        return any(self._are_two_newborns(one, other) for one, other in combinations(newborns, 2))

    def _parts_of_one(self, one: Members, other: Members) -> bool:
        """Say whether two that may be twins are parts of one child: what a list has of the one it lacks of the other.

        Twins are given the same, and each has it in a line of its own. Nobody else may be a twin of either, but for
        further parts; they are of one sex, for a boy and a girl are two. A slip in a name is no twin's; names a sound
        apart are often twins', of whom one has hardly a line yet: then the list must tell of several doses, and the
        family agree beyond doubt, or the one have a dose that stands between those of the other. Of 1 January, which stands for an unknown day, a whole school may be.
        """
        left, right = self._evidence(one), self._evidence(other)
        if any((each.birth_date.month, each.birth_date.day) == (1, 1) for each in (left, right)):
            return False
        if left.newborn or right.newborn or max(left.birth_order, right.birth_order) > 0:
            return False
        if left.gender and right.gender and left.gender != right.gender:
            return False
        said = self.compared(one, other).evidence
        if any((piece.field, piece.agreement) == _TWO_FOLDERS for piece in said):
            return False
        twins = (self._twins_of(one) | self._twins_of(other)) - {one, other}
        found = self._graph.repeats(one, other)
        slip = mistyped(left, right, self._graph.frequencies)
        household = self._graph.policy.parameters.household
        several = found.compared >= _MANY_DOSES and has_whole_family(self.compared(one, other), household)
        told = found.complement and (slip or found.between > 0 or several)
        return told and all(self._part_of_both(third, one, other) for third in twins)

    def _part_of_both(self, third: Members, one: Members, other: Members) -> bool:
        """Say whether a possible twin's doses complement those of both, so that it is a further part of the one child."""
        return all(
            veto_codes(self.compared(third, each)) <= _DOUBTS and self._graph.repeats(third, each).complement
            for each in (one, other)
        )

    def _twins_of(self, members: Members) -> set[Members]:
        """Return those with a name who are or may be twins of these."""
        return {
            third
            for third in self.neighbours(members)
            if not self._evidence(third).newborn and veto_codes(self.compared(members, third)) & _TWINS
        }

    def _may_be(self, one: Members, other: Members) -> bool:
        comparison = self.compared(one, other)
        return may_be_one(comparison) and veto_codes(comparison) <= _DOUBTS

    def _rivalled(self, one: Members, other: Members) -> bool:
        """Say whether a third cluster, which cannot be the same person as `other`, may be `one` or its twin."""
        for third in self.neighbours(one):
            if third == other or not self._may_be(one, third) or self._makes_nobody(third, other):
                continue
            if self.forbidden(other, third) or veto_codes(self.compared(other, third)) & _TWINS:
                return True
        return False

    def torn_between(self, one: Members) -> tuple[Members, ...]:
        """Return whom `one` would be joined with and those whom it fits about as well, where two of them have two NIKs; else ()."""
        certain = [
            other
            for other in self.neighbours(one)
            if self._certain(one, other, self.compared(one, other)) and not self.forbidden(one, other)
        ]
        for other in sorted(certain, key=lambda other: (-self.compared(one, other).weight, self._first(other))):
            near = self._near(one, other)
            if any(numbers_differ(self.compared(*two)) for two in combinations(near, 2)):
                return tuple(near)
        return ()

    def _torn(self, one: Members, other: Members) -> bool:
        """Say whether `one` fits two clusters about as well as `other` that cannot both be its person."""
        return any(self.forbidden(left, right) for left, right in combinations(self._near(one, other), 2))

    def _near(self, one: Members, other: Members) -> list[Members]:
        """Return `other`, and whom else `one` fits about as well."""
        return [
            third
            for third in self.neighbours(one)
            if third == other or (self._fits_as_well(one, third, other) and not self._told(one, other, third))
        ]

    def _told(self, one: Members, other: Members, third: Members) -> bool:
        """Say whether something tells that `one` is `other` and not `third`: the name, or `third` is nobody else."""
        return self._named(one, other, third) or self._makes_nobody(third, other)

    def _makes_nobody(self, third: Members, other: Members) -> bool:
        """Say whether `third` is hardly anybody but `other`, though their NIKs differ."""
        return self._graph.makes_nobody(self._evidence(third), self._evidence(other), self.compared(third, other))

    def _named(self, one: Members, other: Members, third: Members) -> bool:
        """Say whether the name tells whose `one` is: it is that of `other`, who fits no worse, and not that of `third`."""
        if self.compared(one, third).weight > self.compared(one, other).weight:
            return False
        mine = self._evidence(one)
        same = [compare_own_names(mine, self._evidence(each)).level in SAME_NAME for each in (other, third)]
        return same == [True, False]

    def _fits_as_well(self, one: Members, third: Members, other: Members) -> bool:
        """Say whether `one` fits `third` about as well as `other`, or by its very name; between twins their family tells nothing."""
        comparison, best, margin = self.compared(one, third), self.compared(one, other), self._graph.policy.margin
        if not fits(comparison):
            return False
        if comparison.weight > best.weight - margin or has_the_very_name(comparison, best):
            return True
        twins = numbered_as_twins(self._evidence(other), self._evidence(third))
        return twins and without_family(comparison) > without_family(best) - margin


def _on_server(members: Members) -> bool:
    return any(isinstance(node, str) for node in members)
