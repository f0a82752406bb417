"""Headers of requests to a FHIR server."""

FRESH = {"Cache-Control": "no-cache"}
"""HAPI as shipped answers a repeated search from a cache for 60 s."""

STRICT = {**FRESH, "Prefer": "handling=strict"}
"""Of a search: what the server would ignore is to be refused."""
