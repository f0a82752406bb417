"""The review road: an operator's answer posts at once, as a run of its own, and is remembered."""

from fhir_gateway.flows.review.answering import create, link, reject
from fhir_gateway.flows.review.sheets import (
    AppliedLine,
    Choice,
    LineResult,
    SheetDecision,
    SheetLine,
    apply_sheet,
    check_sheet,
    version_of,
)

__all__ = [
    "AppliedLine",
    "Choice",
    "LineResult",
    "SheetDecision",
    "SheetLine",
    "apply_sheet",
    "check_sheet",
    "create",
    "link",
    "reject",
    "version_of",
]
