"""The report: the input's own rows, in its order, each once, with what became of it."""

from fhir_gateway.reports.targets import check_target
from fhir_gateway.reports.writing import write_report

__all__ = ["check_target", "write_report"]
