"""What a puller gets beyond the server's own content: who a dose's patient is, and what organizations are called.

A registry knows people by their NIK, not by a server's ids. Nothing that the resource says itself is changed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.human_names import name_text
from fhir_gateway.fhir.references import id_referred_to

_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})
_REQUIRED: Mapping[str, frozenset[str]] = {
    "Immunization": frozenset({"status", "vaccineCode", "patient", "occurrenceDateTime", "occurrenceString"}),
    "Group": frozenset({"type", "actual"}),
}
"""Elements without which a resource of the type would not be valid: `_elements` never drops them."""

Person = Mapping[str, Any]


def person_of(patient: Resource) -> dict[str, Any]:
    """Return what references to this Patient say of the person: NIK identifier and display, as far as known."""
    known: dict[str, Any] = {}
    identifiers = patient.get("identifier")
    nik = next(
        (one for one in _dicts(identifiers) if one.get("system") == systems.NIK and one.get("use") != "old"), None
    )
    if nik is not None and isinstance(nik.get("value"), str):
        known["identifier"] = {"system": systems.NIK, "value": nik["value"]}
    names = [one for one in _dicts(patient.get("name")) if one.get("use") != "old"]
    if names:
        first = next((one for one in names if one.get("use") == "official"), names[0])
        if text := name_text(first).strip():
            known["display"] = text
    return known


def enrich(resource: Resource, *, people: Mapping[str, Person], organizations: Mapping[str, str]) -> Resource:
    """Return a resource whose references tell who and what they lead to.

    `people` are Patient id → person_of(…), `organizations` Organization id → name. The resource itself stays as it is.
    """
    added: dict[str, Any] = {}
    for name, element in resource.items():
        if name in ("patient", "location", "manufacturer", "managingOrganization"):
            added[name] = _told(element, people, organizations)
        elif name in ("generalPractitioner", "contact", "performer"):
            added[name] = (
                [_inside(one, people, organizations) for one in element] if isinstance(element, list) else element
            )
    return resource | added


def organizations_in(resource: Resource) -> Iterator[str]:
    """Yield the ids of the Organizations that a resource refers to without saying their names."""
    for name in ("location", "manufacturer", "managingOrganization", "generalPractitioner", "contact", "performer"):
        element = resource.get(name)
        for one in element if isinstance(element, list) else (element,):
            for reference in _references(one):
                organization_id = id_referred_to(reference, "Organization")
                if organization_id and "display" not in reference:
                    yield organization_id


def patient_in(immunization: Resource) -> str:
    """Return the id of the Patient that an Immunization is of, "" where it does not say."""
    return id_referred_to(immunization.get("patient"), "Patient")


def subset(resource: Resource, elements: frozenset[str]) -> Resource:
    """Return a resource with these elements, and those that it needs, marked as SUBSETTED; all where none are named."""
    if not elements:
        return resource
    wanted = elements | _ALWAYS | _REQUIRED.get(resource["resourceType"], frozenset())
    kept = {name: value for name, value in resource.items() if name.lstrip("_") in wanted}
    written = kept.get("meta")
    meta: dict[str, Any] = written if isinstance(written, dict) else {}
    return kept | {"meta": meta | {"tag": [*_dicts(meta.get("tag")), _SUBSETTED]}}


def _inside(item: Any, people: Mapping[str, Person], organizations: Mapping[str, str]) -> Any:
    if not isinstance(item, dict):
        return item
    told = {key: _told(item[key], people, organizations) for key in ("actor", "organization") if key in item}
    return _told(item, people, organizations) if "reference" in item else item | told


def _told(reference: Any, people: Mapping[str, Person], organizations: Mapping[str, str]) -> Any:
    if not isinstance(reference, dict):
        return reference
    person = people.get(id_referred_to(reference, "Patient"), {})
    organization = organizations.get(id_referred_to(reference, "Organization"))
    return {**person, **({"display": organization} if organization is not None else {}), **reference}


def _references(item: Any) -> Iterator[dict[str, Any]]:
    if isinstance(item, dict):
        for candidate in (item, item.get("actor"), item.get("organization")):
            if isinstance(candidate, dict) and "reference" in candidate:
                yield candidate


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []
