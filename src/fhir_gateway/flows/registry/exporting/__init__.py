"""A bulk export from its order to its files: everything up to one moment, in steps that can be gone on from."""

from fhir_gateway.flows.registry.exporting.road import export, give_up
from fhir_gateway.flows.registry.exporting.tools import ExportTools

__all__ = ["ExportTools", "export", "give_up"]
