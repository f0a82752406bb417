"""The only place where real adapters are built and handed to the flows."""

from fhir_gateway.bootstrap.conversion import Conversion
from fhir_gateway.bootstrap.gateway import Gateway, ledger_of, opened
from fhir_gateway.bootstrap.views import (
    NOTHING,
    PersonView,
    ReviewRow,
    ReviewView,
    Summary,
    candidate_ids,
    explained,
    summary_of,
)

__all__ = [
    "NOTHING",
    "Conversion",
    "Gateway",
    "PersonView",
    "ReviewRow",
    "ReviewView",
    "Summary",
    "candidate_ids",
    "explained",
    "ledger_of",
    "opened",
    "summary_of",
]
