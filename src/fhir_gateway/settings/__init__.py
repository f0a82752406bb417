"""Environments: one TOML file per region, read into the frozen policies that the packages below own."""

from fhir_gateway.settings.audit import AuditPolicy
from fhir_gateway.settings.environments import (
    DEMO,
    EMBEDDED,
    Environment,
    environment_names,
    home,
    load_environment,
    without_credentials,
)
from fhir_gateway.settings.serving import ServingPolicy

__all__ = [
    "DEMO",
    "EMBEDDED",
    "AuditPolicy",
    "Environment",
    "ServingPolicy",
    "environment_names",
    "home",
    "load_environment",
    "without_credentials",
]
