"""Taking two people apart that were linked wrongly: what of a Patient and of a shared dose is whose.

What a record supplied is known by digests only (see digests.supplied); an element that a match has aged since
(`use=old`, `secondary`) is recognised under every use that it may have had.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_gateway.bundling.digests import digest
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource

Supplied = Mapping[str, Sequence[str]]
"""Field → digests of what one record supplied of it."""

_LISTS = ("identifier", "name", "telecom", "address", "contact", "extension")
_USES = ("official", "usual", "temp", "secondary", "home", "mobile", "work")
_SINGLES = (
    "gender",
    "birthDate",
    "multipleBirthInteger",
    "multipleBirthBoolean",
    "deceasedDateTime",
    "deceasedBoolean",
)
_ALWAYS = frozenset({"resourceType", "status", "vaccineCode", "occurrenceDateTime", "occurrenceString"})
"""What a copy of a dose always says, whoever said it: without these it is none."""
_NOT_COPIED = frozenset({"id", "meta", "patient", "identifier", "text"})


@dataclass(frozen=True, slots=True)
class SaidBy:
    """What of a Patient some records said; `complete` tells whether everything that they supplied was found."""

    patient: Resource
    complete: bool


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A Patient without what only wrong records said; `left` are fields where that cannot be told safely."""

    patient: Resource
    left: tuple[str, ...]


def said_by(patient: Resource, supplied: Supplied) -> SaidBy:
    """Return what a record said of a Patient, in its own form where others' words have aged it since.

    A name that differs from the Patient's in capitals only was never added: the Patient's first stands for it.
    """
    found: Resource = {"resourceType": "Patient"}
    complete = True
    for name in _SINGLES:
        if name in patient and digest(patient[name]) in supplied.get(name, ()):
            found[name] = patient[name]
        complete = complete and (name in found or not supplied.get(name))
    for name in _LISTS:
        wanted = set(supplied.get(name, ()))
        elements = [own for element in patient.get(name, []) if (own := _original(element, wanted)) is not None]
        complete = complete and len(elements) == len(wanted)
        if name == "name" and wanted and not elements:
            elements = patient.get("name", [])[:1]
        if elements:
            found[name] = elements
    return SaidBy(found, complete)


def without(patient: Resource, wrong: Iterable[Supplied], others: Sequence[Supplied]) -> Cleaned:
    """Return a Patient without what only the wrong records said.

    Safe only for a Patient that the gateway created, and only in fields where everything that the other records said
    is accounted for by what stays; the rest is named in `left`.
    """
    ours = any(identifier.get("system") == systems.PERSON for identifier in patient.get("identifier", []))
    result = dict(patient)
    left: list[str] = []
    wrong = list(wrong)
    for name in (*_SINGLES, *_LISTS):
        wrongly = {d for said in wrong for d in said.get(name, ())}
        rightly = {d for said in others for d in said.get(name, ())}
        kept, dropped = _divided(patient, name, wrongly, rightly)
        if not dropped:
            continue
        accounted = all(any(_original(e, {d}) is not None for e in kept) for d in rightly)
        if not ours or not accounted or (name == "name" and not kept):
            left.append(name)
        elif kept:
            result[name] = kept
        else:
            result.pop(name)
    return Cleaned(result, tuple(left))


def dose_of_its_own(shared: Resource, supplied: Supplied, *, identifier: str, source: str) -> Resource:
    """Return a copy of a dose that two records shared, for one of them: what that one said of it, and no more."""
    copy = {
        name: value
        for name, value in shared.items()
        if name in _ALWAYS or (name not in _NOT_COPIED and _digests(value) == tuple(supplied.get(name, ())))
    }
    copy["meta"] = {"source": source}
    copy["identifier"] = [{"system": systems.DOSE, "value": identifier}]
    return copy


def without_dose_identifiers(dose: Resource, gone: Iterable[str], own: str) -> Resource:
    """Return a dose without the gateway's identifiers `gone`; `own`, if any, takes their place where none is left."""
    gone = set(gone)
    kept = [i for i in dose.get("identifier", []) if i.get("system") != systems.DOSE or i.get("value") not in gone]
    if own and not any(i.get("system") == systems.DOSE for i in kept):
        kept = [{"system": systems.DOSE, "value": own}, *kept]
    return dose if kept == dose.get("identifier", []) else {**dose, "identifier": kept}


def _divided(patient: Resource, name: str, wrongly: set[str], rightly: set[str]) -> tuple[list[Any], list[Any]]:
    """Return (what stays, what only wrong records said) of a field's elements."""
    value = patient.get(name)
    elements = value if isinstance(value, list) else [] if value is None else [value]
    kept: list[Any] = []
    dropped: list[Any] = []
    for element in elements:
        own = isinstance(element, dict) and element.get("system") == systems.PERSON
        only = not own and _original(element, wrongly) is not None and _original(element, rightly) is None
        (dropped if only else kept).append(element)
    return kept, dropped


def _original(element: Any, digests: set[str]) -> Any | None:
    """Return the element in the form that one of the digests is of, None where none is."""
    if digest(element) in digests:
        return element
    if not isinstance(element, dict) or "use" not in element:
        return None
    bare = {name: value for name, value in element.items() if name != "use"}
    forms = (bare, *({**bare, "use": use} for use in _USES))
    return next((form for form in forms if digest(form) in digests), None)


def _digests(value: Any) -> tuple[str, ...]:
    return tuple(digest(element) for element in value) if isinstance(value, list) else (digest(value),)
