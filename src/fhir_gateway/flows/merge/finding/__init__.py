"""The finding road: Patients of a server that may be one person."""

from fhir_gateway.flows.merge.finding.road import find
from fhir_gateway.flows.merge.finding.tools import FindRequest, FindTools

__all__ = ["FindRequest", "FindTools", "find"]
