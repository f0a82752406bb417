"""What a CapabilityStatement says that the gateway needs; the rest (1.5 MB on HAPI) is let go."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_gateway.domain.errors import PermanentServerError

_R4 = re.compile(r"4\.0(\.\d+)?(-[A-Za-z0-9.]+)?")


@dataclass(frozen=True, slots=True)
class TypeCapabilities:
    """What the server declares for one resource type."""

    search_parameters: frozenset[str] = frozenset()
    interactions: frozenset[str] = frozenset()
    conditional_create: bool = False
    operations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server declares; `declared` is false where it has no CapabilityStatement to read.

    `software` is its name and version for messages. `system_interactions` may lack `batch` although it works (HAPI).
    """

    declared: bool = False
    fhir_version: str = ""
    software: str = ""
    system_interactions: frozenset[str] = frozenset()
    types: Mapping[str, TypeCapabilities] = field(default_factory=dict)

    def declares_search(self, resource_type: str, parameter: str) -> bool:
        """Return whether the server says that it can search this type by this parameter."""
        found = self.types.get(resource_type)
        return found is not None and parameter in found.search_parameters

    def declares_merging(self) -> bool:
        """Return whether the server says that it has the operation Patient/$merge."""
        found = self.types.get("Patient")
        return found is not None and "merge" in found.operations

    def creates_conditionally(self, resource_type: str) -> bool:
        """Return whether the server says that it heeds If-None-Exist for this type."""
        found = self.types.get(resource_type)
        return found is not None and found.conditional_create


def parse_capabilities(statement: Any) -> Capabilities:
    """Return what a CapabilityStatement says; raises PermanentServerError for anything else and for other versions."""
    kind = statement.get("resourceType") if isinstance(statement, dict) else None
    if kind == "Conformance":
        raise PermanentServerError("The server speaks FHIR DSTU2 (1.0); the gateway needs FHIR R4 (4.0.1)")
    if kind != "CapabilityStatement":
        raise PermanentServerError("No FHIR server at base_url: its /metadata is no CapabilityStatement")
    version = statement.get("fhirVersion")
    if not isinstance(version, str) or not _R4.fullmatch(version):
        named = f"FHIR {version[:20]}" if isinstance(version, str) and version.isascii() else "no FHIR version"
        raise PermanentServerError(f"The server declares {named}; the gateway needs FHIR R4 (4.0.1)")
    rest = next((one for one in _dicts(statement.get("rest")) if one.get("mode", "server") == "server"), {})
    everywhere = _names(rest.get("searchParam"), "name")
    return Capabilities(
        declared=True,
        fhir_version=version,
        software=_software(statement),
        system_interactions=_names(rest.get("interaction"), "code"),
        types={
            one["type"]: TypeCapabilities(
                search_parameters=_names(one.get("searchParam"), "name") | everywhere,
                interactions=_names(one.get("interaction"), "code"),
                conditional_create=one.get("conditionalCreate") is True,
                operations=_names(one.get("operation"), "name"),
            )
            for one in _dicts(rest.get("resource"))
            if isinstance(one.get("type"), str)
        },
    )


def _software(statement: dict[str, Any]) -> str:
    software = statement.get("software")
    if not isinstance(software, dict):
        return ""
    words = " ".join(str(software[key]) for key in ("name", "version") if isinstance(software.get(key), str))
    return "".join(letter for letter in words if letter.isprintable())[:100]


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _names(values: Any, key: str) -> frozenset[str]:
    return frozenset(one[key] for one in _dicts(values) if isinstance(one.get(key), str))
