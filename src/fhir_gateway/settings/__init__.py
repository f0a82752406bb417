"""Environments: one TOML file per region, read into the frozen policies that the packages below own."""

from fhir_gateway.settings.environments import (
    DEMO,
    EMBEDDED,
    Environment,
    environment_names,
    home,
    load_environment,
    without_credentials,
)

__all__ = [
    "DEMO",
    "EMBEDDED",
    "Environment",
    "environment_names",
    "home",
    "load_environment",
    "without_credentials",
]
