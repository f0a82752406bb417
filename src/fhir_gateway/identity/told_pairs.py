"""The comparisons that a decision keeps, so that it can be told whose evidence decided: single rows', or whole persons'."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fhir_gateway.domain.identity import ComparedPair, Node
from fhir_gateway.identity.clustering import Edge, Graph
from fhir_gateway.identity.persons import Members, Persons
from fhir_gateway.identity.told_by_doses import with_doses

_MOST = 8
"""Pairs that a decision keeps."""
_Compared = tuple[Edge, Members, Members]
"""An edge with the comparison of two whole persons, and who these are."""


class ToldPairs:
    """Chooses the comparisons to be kept with the decisions of a component; `parts` are what single records had joined."""

    def __init__(self, graph: Graph, persons: Persons, parts: Sequence[Members]) -> None:
        self._graph = graph
        self._persons = persons
        self._parts = parts

    def joined(self, members: Members) -> list[_Compared]:
        """Return what joined those parts of a person that are not one by their single records: each beside all the others."""
        parts = [part for part in self._parts if part < members]
        found = []
        for part in parts if len(parts) > 2 else parts[:1]:
            rest = members - part
            edges = [edge for node in part for edge in self._graph.edges(node) if edge.other in rest]
            if edges:
                best = min(edges, key=lambda edge: (-edge.comparison.weight, *map(self._graph.rank, edge[:2])))
                found.append((best._replace(comparison=self._persons.compared(part, rest)), part, rest))
        return found

    def pairs(self, members: Members, first: list[_Compared]) -> tuple[ComparedPair, ...]:
        """Return the comparisons that decided, each with the members of the two persons that were compared.

        First those in doubt, or which joined, each followed by that of the two records alone; then the cluster's own, then
        the best outside.
        """
        chosen: dict[tuple[frozenset[Node], bool], ComparedPair] = {}

        def choose(edge: Edge, mine: Members = frozenset(), theirs: Members = frozenset()) -> None:
            alike = [self._others(edge.node, mine), self._others(edge.other, theirs)]
            key = frozenset((edge.node, edge.other)), any(alike)
            if key not in chosen and len(chosen) < _MOST:
                told = with_doses(self._graph, edge.node, edge.other, edge.comparison)
                chosen[key] = ComparedPair(edge.node, edge.other, told, left_with=alike[0], right_with=alike[1])

        for edge, mine, theirs in first:
            choose(edge, mine, theirs)
            choose(edge._replace(comparison=self._graph.between(edge.node, edge.other)))
        for person in people_of(members):
            for edge in sorted(self._graph.edges(person), key=lambda edge: edge.other not in members):
                choose(edge)
        return tuple(chosen.values())

    def _others(self, node: Node, members: Members) -> tuple[Node, ...]:
        return tuple(sorted(members - {node}, key=self._graph.rank))


def pairs_as_asked(
    pairs: Sequence[ComparedPair], asked: Mapping[frozenset[Node], ComparedPair]
) -> tuple[ComparedPair, ...]:
    """Return a decision's pairs with what a question asks as it stands there, so that both sides say the same."""
    whole = {_both(pair) for pair in pairs if pair.of_persons}
    told: list[ComparedPair] = []
    for pair in pairs:
        question = asked.get(_both(pair))
        if question and not question.of_persons and not pair.of_persons:
            told.append(replace(pair, comparison=question.comparison))
            continue
        if question and question.of_persons and _both(pair) not in whole:
            told.append(question if question.left == pair.left else _turned(question))
        told.append(pair)
    return tuple(told[:_MOST])


def people_of(members: Members) -> tuple[int, ...]:
    """Return the spooled people among these, by number."""
    return tuple(sorted(node for node in members if isinstance(node, int)))


def _both(pair: ComparedPair) -> frozenset[Node]:
    return frozenset((pair.left, pair.right))


def _turned(pair: ComparedPair) -> ComparedPair:
    """Return a pair as it is seen from the other one."""
    return ComparedPair(pair.right, pair.left, pair.comparison, pair.right_with, pair.left_with)
