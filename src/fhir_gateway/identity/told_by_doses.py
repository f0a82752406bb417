"""What doses tell of two who were compared, shown beside their comparison; its weight and grade are without it."""

from dataclasses import replace

from fhir_gateway.domain.identity import Comparison, Evidence, Node
from fhir_gateway.identity.clustering import Graph
from fhir_gateway.identity.fitting import CONFIRMED
from fhir_gateway.identity.lots import LOT
from fhir_gateway.identity.repeats import Repeats

DOSES = "doses"
"""The field of evidence from doses that forbids rather than weighs."""


_IMPOSSIBLE = "one was given before the later birth date, and only small children get another one that was given long after the earlier"
_LATER = "two files of one source have several doses of both, under names a sound apart"


def with_doses(graph: Graph, one: Node, other: Node, comparison: Comparison) -> Comparison:
    """Return the comparison of two nodes with what the lists say of their doses as further lines, in words."""
    if abs(comparison.weight) >= CONFIRMED:
        return comparison
    lot = None if any(told.field == LOT for told in comparison.evidence) else graph.lots((one,), (other,))
    told = (lot, _two_people(graph, one, other))
    added = tuple(evidence for evidence in told if evidence)
    return replace(comparison, evidence=comparison.evidence + added) if added else comparison


def _two_people(graph: Graph, one: Node, other: Node) -> Evidence | None:
    if graph.timeline_is_impossible(one, other):
        return Evidence(DOSES, "two_people", 0.0, f"the doses speak for two people: {_IMPOSSIBLE}")
    found = graph.repeats((one,), (other,))
    words = _words(found)
    if graph.listed_twice(one, other):
        return Evidence(DOSES, "two_people", 0.0, f"the doses speak for two people: {words or _LATER}")
    return Evidence(DOSES, "in_doubt", 0.0, f"{words}, but that alone does not make them two") if words else None


def _words(found: Repeats) -> str:
    if found.again:
        return "one list has the same dose of both on days a week or more apart, and nobody is given it twice"
    if found.repeated > 1:
        return "one list has several doses of both that nobody is given twice"
    if found.repeated:
        return "one list has a dose of both that nobody is given twice"
    if found.contradicted > found.agreed:
        return "two lists tell of a dose of both on days far apart"
    if found.lines:
        return "one list, with a line for each child, has one for either"
    return ""
