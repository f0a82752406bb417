"""What an Immunization becomes: new for a person, corrected by its own source, improved by a better one."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from fhir_gateway.bundling.absences import without_absences
from fhir_gateway.bundling.digests import digest, supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource

_OWN = frozenset({"resourceType", "id", "meta", "patient", "identifier"})

_DAY = len("2024-03-01")
_GAPS = (
    "statusReason",
    "lotNumber",
    "expirationDate",
    "manufacturer",
    "site",
    "route",
    "doseQuantity",
    "performer",
    "location",
    "protocolApplied",
)
"""What a second record of a dose may add to it: what a recall or a next dose depends on, the lot before what belongs to it."""
_OF_A_LOT = frozenset({"expirationDate", "manufacturer"})
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
        if _is_untouched(current, name, before) and not _says_no_more(new[name], current.get(name)):
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
    return None if result == current else without_absences(result)


def lacking(standing: Resource, other: Resource) -> Resource:
    """Return the elements that a dose lacks of another record of it; of a lot's own ones only those of its own lot."""
    missing: Resource = {}
    for name in _GAPS:
        if name not in other or name in standing or f"_{name}" in standing:
            continue
        lot = standing.get("lotNumber", missing.get("lotNumber"))
        if name not in _OF_A_LOT or lot == other.get("lotNumber"):
            missing[name] = other[name]
    return missing


def completed(standing: Resource, other: Resource) -> Resource | None:
    """Return the Immunization with what it lacks of another record of the same dose, or None where it lacks nothing.

    A day becomes a time of that day. Only a dose that the gateway made is completed: there it can be taken back.
    """
    if is_of_another_system(standing):
        return None
    missing = lacking(standing, other)
    if _is_day_of(standing.get("occurrenceDateTime"), other.get("occurrenceDateTime")):
        missing["occurrenceDateTime"] = other["occurrenceDateTime"]
    return {**standing, **missing} if missing else None


def is_of_another_system(dose: Resource) -> bool:
    """Tell whether an Immunization carries no identifier of the gateway's: it neither made nor improved it."""
    return not any(identifier.get("system") == systems.DOSE for identifier in dose.get("identifier", ()))


def without_completion(
    dose: Resource, gone: Mapping[str, Sequence[str]], others: Sequence[Mapping[str, Sequence[str]]]
) -> Resource:
    """Return a shared dose without what only the record `gone` completed; `gone` and `others` are what each supplied."""
    result = dict(dose)
    for name in _GAPS:
        own = name in dose and _digests(dose[name]) == tuple(gone.get(name, ()))
        if own and not any(name in other for other in others):
            del result[name]
    time = dose.get("occurrenceDateTime")
    told = [tuple(other.get("occurrenceDateTime", ())) for other in others]
    if isinstance(time, str) and told and _digests(time) not in told and _digests(time[:_DAY]) in told:
        result["occurrenceDateTime"] = time[:_DAY]
    return dose if result == dose else result


def improved(existing: Resource, better: Resource) -> Resource | None:
    """Return the Immunization with what a source says that gave the dose itself, or None where that adds nothing.

    Identifiers of both are kept; what only the transcribed one says stays.
    """
    result = existing | {name: value for name, value in better.items() if name not in _OWN}
    if _is_day_of(better.get("occurrenceDateTime"), existing.get("occurrenceDateTime")):
        result["occurrenceDateTime"] = existing["occurrenceDateTime"]
    if better.get("primarySource"):
        result.pop("reportOrigin", None)
    present = {(i.get("system"), i.get("value")) for i in existing.get("identifier", [])}
    missing = [i for i in better.get("identifier", []) if (i.get("system"), i.get("value")) not in present]
    if missing:
        result["identifier"] = [*result.get("identifier", []), *missing]
    return None if result == existing else without_absences(result)


def _is_untouched(current: Resource, name: str, before: Mapping[str, Sequence[str]]) -> bool:
    value = current.get(name)
    said = tuple(before.get(name, ()))
    completed_by_another = name == "occurrenceDateTime" and isinstance(value, str) and _digests(value[:_DAY]) == said
    return value is None or _digests(value) == said or completed_by_another


def _says_no_more(new: object, current: object) -> bool:
    """Tell whether a date is the day of a time, or the same instant, as of a server that keeps all times in UTC."""
    if _is_day_of(new, current):
        return True
    if not (isinstance(new, str) and isinstance(current, str) and "T" in new and "T" in current):
        return False
    try:
        return datetime.fromisoformat(new) == datetime.fromisoformat(current)
    except ValueError:
        return False


def _is_day_of(day: object, time: object) -> bool:
    return isinstance(day, str) and isinstance(time, str) and len(day) == _DAY and time.startswith(f"{day}T")


def _digests(value: object) -> tuple[str, ...]:
    return tuple(digest(element) for element in value) if isinstance(value, list) else (digest(value),)
