"""Runs and reviews: what was loaded, what operators were asked, and what either wrote on the FHIR server."""
