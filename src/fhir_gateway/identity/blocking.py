"""SKELETON: signatures are final, bodies follow within minutes."""

from fhir_gateway.domain.identity import Probe
from fhir_gateway.identity.evidence import PersonEvidence


def blocking_keys(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the keys under which a person is compared: two people who share one may be the same."""
    raise NotImplementedError


def probe_of(number: int, evidence: PersonEvidence) -> Probe:
    """Return where a spooled person's candidates may be found on a server."""
    raise NotImplementedError
