"""SKELETON: signatures are final, bodies follow within minutes."""

from fhir_gateway.domain.identity import Comparison
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingParameters, MatchingPolicy


def compare(
    left: PersonEvidence,
    right: PersonEvidence,
    *,
    policy: MatchingPolicy | None = None,
    parameters: MatchingParameters | None = None,
    frequencies: Frequencies | None = None,
) -> Comparison:
    """Weigh two people's evidence; symmetric, pure. None stands for the shipped values."""
    raise NotImplementedError
