"""The load road: read, compare, look up, decide, post, settle."""

from fhir_gateway.flows.load.restoring import niks_restored
from fhir_gateway.flows.load.road import load, retry
from fhir_gateway.flows.load.tools import LoadInput, LoadRequest, LoadTools

__all__ = ["LoadInput", "LoadRequest", "LoadTools", "load", "niks_restored", "retry"]
