"""A small, strict FHIR R4 server on SQLite, for the default environment, demos and tests."""
