"""The report: the input's own rows, in its order, each once, with what became of it."""

from fhir_gateway.reports.tables import write_table
from fhir_gateway.reports.targets import EXTENSIONS, check_target, check_writable, is_same_file, unwritten, whole_file
from fhir_gateway.reports.writing import write_report

__all__ = [
    "EXTENSIONS",
    "check_target",
    "check_writable",
    "is_same_file",
    "unwritten",
    "whole_file",
    "write_report",
    "write_table",
]
