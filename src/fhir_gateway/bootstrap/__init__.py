"""One environment opened: its real adapters are built here and handed to the flows."""

from fhir_gateway.bootstrap.conversion import Conversion
from fhir_gateway.bootstrap.gateway import Gateway, ledger_of, opened
from fhir_gateway.bootstrap.told_since import told_since
from fhir_gateway.bootstrap.views import (
    NOTHING,
    PatientWithDoses,
    PersonView,
    ReviewRow,
    ReviewView,
    Summary,
    explained,
    summary_of,
)

__all__ = [
    "NOTHING",
    "Conversion",
    "Gateway",
    "PatientWithDoses",
    "PersonView",
    "ReviewRow",
    "ReviewView",
    "Summary",
    "explained",
    "ledger_of",
    "opened",
    "summary_of",
    "told_since",
]
