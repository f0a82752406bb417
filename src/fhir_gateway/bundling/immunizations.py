"""What an Immunization becomes: new for a person, corrected by its own source, improved by a better one."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from fhir_gateway.bundling.digests import digest, supplied
from fhir_gateway.domain.records import Resource

_OWN = frozenset({"resourceType", "id", "meta", "patient", "identifier"})

_OF_STATUS = {
    "completed": ("protocolApplied", "lotNumber", "expirationDate", "doseQuantity", "site", "route", "extension"),
    "not-done": ("statusReason", "extension"),
}
"""What is said of a dose with this status only. The extensions of its own source are what cells said literally."""


def for_patient(resource: Resource, patient_id: str) -> Resource:
    """Return the Immunization with its reference to the Patient."""
    return {**resource, "patient": {"reference": f"Patient/{patient_id}"}}


def corrected(current: Resource, before: Mapping[str, Sequence[str]], new: Resource) -> Resource | None:
    """Return the Immunization as its source corrects it, or None where nothing is to be changed.

    A field is changed only where the source changed it and nobody has written over it meanwhile (its content is still
    what the source supplied, or is missing); what the source left blank stays. Where a given dose becomes a refused one,
    or the other way round, what belongs to its old status goes with that.
    """
    result = dict(current)
    now = supplied(new)
    for name, digests in now.items():
        if name in _OWN or digests == tuple(before.get(name, ())):
            continue
        if _is_untouched(current, name, before) and not _is_same_instant(current.get(name), new[name]):
            if name.startswith("occurrence"):  # a choice type: one of its forms at a time
                result.pop("occurrenceString", None)
                result.pop("occurrenceDateTime", None)
            result[name] = new[name]
    if result.get("status") != current.get("status"):
        for name in _OF_STATUS.get(current.get("status", ""), ()):
            if name not in new and _is_untouched(current, name, before):
                result.pop(name, None)
    if result.get("status") == "completed":
        result.pop("statusReason", None)
    return None if result == current else result


def improved(existing: Resource, better: Resource) -> Resource | None:
    """Return the Immunization with what a source says that gave the dose itself, or None where that adds nothing.

    Identifiers of both are kept; what only the transcribed one says stays.
    """
    result = existing | {name: value for name, value in better.items() if name not in _OWN}
    if better.get("primarySource"):
        result.pop("reportOrigin", None)
    present = {(i.get("system"), i.get("value")) for i in existing.get("identifier", [])}
    missing = [i for i in better.get("identifier", []) if (i.get("system"), i.get("value")) not in present]
    if missing:
        result["identifier"] = [*result.get("identifier", []), *missing]
    return None if result == existing else result


def _is_untouched(current: Resource, name: str, before: Mapping[str, Sequence[str]]) -> bool:
    value = current.get(name)
    return value is None or _digests(value) == tuple(before.get(name, ()))


def _is_same_instant(one: object, other: object) -> bool:
    """Tell whether two texts are one instant, as of a server that keeps all times in UTC."""
    if not (isinstance(one, str) and isinstance(other, str) and "T" in one and "T" in other):
        return False
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return False


def _digests(value: object) -> tuple[str, ...]:
    return tuple(digest(element) for element in value) if isinstance(value, list) else (digest(value),)
