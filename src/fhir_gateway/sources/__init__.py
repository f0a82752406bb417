"""Input files (CSV, XLSX, NDJSON), streamed row by row; a broken row is a value and never shifts its neighbours."""

from fhir_gateway.sources.opening import open_source

__all__ = ["open_source"]
