"""What flows need of the world, as Protocols; adapters fulfil them and `bootstrap` hands them over."""

from fhir_gateway.ports.ledger import Ledger
from fhir_gateway.ports.merges import MergeJournal
from fhir_gateway.ports.world import CandidateFinder, Clock, FhirReader, FhirWriter, Progress, Source

__all__ = ["CandidateFinder", "Clock", "FhirReader", "FhirWriter", "Ledger", "MergeJournal", "Progress", "Source"]
