"""Reading a Patient of whatever quality: a foreign server's resource may hold anything anywhere."""

from collections.abc import Mapping
from typing import Any

from fhir_gateway.domain import systems


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; none where it is no list."""
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a text, "" for anything else."""
    return value if isinstance(value, str) else ""


def replaced_by_tag(patient: Mapping[str, Any]) -> str:
    """Return the id in a Patient's golden-record tag, "" where it has none; its own id says that it is golden."""
    meta = patient.get("meta")
    for tag in objects(meta.get("tag") if isinstance(meta, dict) else None):
        if tag.get("system") == systems.REPLACED_BY_TAG:
            return text(tag.get("code"))
    return ""


def own_niks(patient: Mapping[str, Any], *, old: bool = False) -> list[str]:
    """Return the values written under the NIK's system; those with `use=old` only when asked for."""
    return [
        text(identifier.get("value")).strip()
        for identifier in objects(patient.get("identifier"))
        if identifier.get("system") == systems.NIK and (old or identifier.get("use") != "old")
    ]
