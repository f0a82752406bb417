"""A gateway that makes clinics' legacy records FHIR R4 Patients and Immunizations."""

from importlib.metadata import version

__version__ = version("fhir-gateway")
