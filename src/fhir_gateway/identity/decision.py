"""SKELETON: signatures are final, bodies follow within minutes."""

from collections.abc import Mapping, Sequence

from fhir_gateway.domain.identity import ComparedPair, Node, PersonDecision
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.parameters import MatchingPolicy


def decide(
    people: Mapping[int, PersonEvidence],
    patients: Mapping[str, PersonEvidence],
    pairs: Sequence[ComparedPair],
    *,
    policy: MatchingPolicy | None = None,
    forbidden: frozenset[frozenset[Node]] = frozenset(),
    confirmed: frozenset[frozenset[Node]] = frozenset(),
) -> tuple[PersonDecision, ...]:
    """Decide one connected component; every number of `people` is in exactly one decision. Order does not matter."""
    raise NotImplementedError
