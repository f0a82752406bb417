"""Whose a dose is that one list has twice: of two rows that fit a person, hers that has the person's very name.

The other row, whose name lacks words of it or has more ("Yosua", "Daniel Josua"), is a twin's then, or a line that was
written twice: an operator is asked. By itself it would be joined with rows of the person in other lists, or her Patient.
"""

from fhir_gateway.domain.identity import Comparison, Node
from fhir_gateway.identity.clustering import Edge, Graph
from fhir_gateway.identity.fitting import OWN_NUMBERS, fits, joins, same_name

_LACKING = frozenset({("name", "subset"), ("name", "initials"), ("name", "weak")})


def lack_a_word(comparison: Comparison) -> bool:
    """Say whether of two who agree by no number of their own the name of the one lacks words of the other's."""
    said = {(one.field, one.agreement) for one in comparison.evidence}
    return OWN_NUMBERS.isdisjoint(said) and not _LACKING.isdisjoint(said)


def rivalled_by_name(graph: Graph) -> frozenset[frozenset[Node]]:
    """Return the pairs that would be joined though a list has a dose of the one that it has of somebody of the other's very name."""
    return frozenset(
        frozenset((node, edge.other))
        for node in graph.nodes
        for edge in graph.edges(node)
        if joins(edge.comparison) and lack_a_word(edge.comparison) and _has_named_rival(graph, edge)
    )


def _has_named_rival(graph: Graph, edge: Edge) -> bool:
    return any(
        third.other != edge.node
        and same_name(third.comparison)
        and fits(third.comparison)
        and graph.listed_twice(third.other, edge.node)
        for third in graph.edges(edge.other)
    )
