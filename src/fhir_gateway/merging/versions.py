"""A resource's own name and version, and its content without what the server writes itself."""

from collections.abc import Mapping
from typing import Any

from fhir_gateway.domain.records import Resource

_OF_THE_SERVER = frozenset({"versionId", "lastUpdated"})


def name_of(resource: Mapping[str, Any]) -> str:
    """Return `Type/id`; with "" for what is missing."""
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"


def version_of(resource: Mapping[str, Any]) -> str:
    """Return the bare version id, "" where the server names none."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""


def without_version(resource: Resource) -> Resource:
    """Return the resource without `meta.versionId` and `meta.lastUpdated`; the same object where it has neither."""
    meta = resource.get("meta")
    if not isinstance(meta, dict) or not _OF_THE_SERVER & meta.keys():
        return resource
    rest = {name: value for name, value in meta.items() if name not in _OF_THE_SERVER}
    if rest:
        return resource | {"meta": rest}
    return {name: value for name, value in resource.items() if name != "meta"}
