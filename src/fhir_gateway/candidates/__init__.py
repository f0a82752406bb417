"""Who a person could be on the server: batched, verified, cached searches."""

from fhir_gateway.candidates.server_candidates import ServerCandidates

__all__ = ["ServerCandidates"]
