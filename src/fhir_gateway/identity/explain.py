"""SKELETON: signatures are final, bodies follow within minutes."""

from fhir_gateway.domain.identity import Comparison, PersonDecision
from fhir_gateway.identity.parameters import MatchingPolicy


def explain_comparison(comparison: Comparison, *, policy: MatchingPolicy | None = None) -> tuple[str, ...]:
    """Return a comparison as a waterfall in plain English, line by line, without values."""
    raise NotImplementedError


def explain_decision(decision: PersonDecision, *, policy: MatchingPolicy | None = None) -> tuple[str, ...]:
    """Return a decision and the comparisons behind it in plain English, line by line, without values."""
    raise NotImplementedError
