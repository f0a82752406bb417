"""What of a resource is written to the search indexes; pure, so that the same rows can be taken out again."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.parameters import has_identifier, number_of
from fhir_gateway.fhir.date_ranges import Range, range_of
from fhir_gateway.fhir.references import FoundReference, iterate_references, parse_literal

_GENDER = "http://hl7.org/fhir/administrative-gender"
_STATUS = "http://hl7.org/fhir/event-status"
_ADDRESS = {
    "city": "address-city",
    "state": "address-state",
    "postalCode": "address-postalcode",
    "country": "address-country",
}


@dataclass(slots=True)
class IndexRows:
    """Rows of the four index tables without the resource's number."""

    columns: ClassVar[dict[str, tuple[str, ...]]] = {
        "token": ("param", "value", "system"),
        "string": ("param", "value", "exact"),
        "date": ("param", "low", "high"),
        "reference": ("target", "param"),
    }
    token: list[tuple[int, str, str]] = field(default_factory=list)
    string: list[tuple[int, str, str]] = field(default_factory=list)
    date: list[tuple[int, int, int]] = field(default_factory=list)
    reference: list[tuple[str, int]] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield each table's name and its rows."""
        yield "token", self.token
        yield "string", self.string
        yield "date", self.date
        yield "reference", self.reference


def fold(text: str) -> str:
    """Return a text as strings are compared: without case, accents and surplus blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())


def index(resource: Resource) -> IndexRows:
    """Return all index rows of a valid resource."""
    rows = IndexRows()
    resource_type = resource["resourceType"]
    if has_identifier(resource_type):
        _index_identifiers(rows, resource_type, resource.get("identifier"))
    if resource_type == "Patient":
        _index_patient(rows, resource)
    elif resource_type == "Immunization":
        _index_immunization(rows, resource)
    for found in iterate_references(resource):
        _index_reference(rows, resource_type, found)
    return rows


def target_of(reference: str) -> str:
    """Return what a reference is indexed under: `Type/id`, or the whole URL where it leads to another server."""
    literal = parse_literal(reference)
    return f"{literal.base}{literal.relative}" if literal else reference


def _index_reference(rows: IndexRows, resource_type: str, found: FoundReference) -> None:
    reference = found.value.get("reference")
    if isinstance(reference, str) and not reference.startswith("#"):
        rows.reference.append((target_of(reference), number_of(resource_type, found.path)))
    identifier = found.value.get("identifier")
    if isinstance(identifier, dict):
        _index_identifiers(rows, resource_type, [identifier], name=f"{found.path}:identifier")


def _index_identifiers(rows: IndexRows, resource_type: str, identifiers: Any, *, name: str = "identifier") -> None:
    number = number_of(resource_type, name)
    for identifier in identifiers if isinstance(identifiers, list) else [identifiers]:
        if isinstance(identifier, dict) and "value" in identifier:
            rows.token.append((number, identifier["value"], identifier.get("system", "")))


def _index_patient(rows: IndexRows, patient: Resource) -> None:
    if "gender" in patient:
        rows.token.append((number_of("Patient", "gender"), patient["gender"], _GENDER))
    if "active" in patient:
        active = "true" if patient["active"] else "false"
        rows.token.append((number_of("Patient", "active"), active, ""))
    if "birthDate" in patient:
        _add_date(rows, number_of("Patient", "birthdate"), range_of(patient["birthDate"]))
    for name in patient.get("name", ()):
        _index_name(rows, name)
    for contact in patient.get("telecom", ()):
        _index_contact(rows, contact)
    for address in patient.get("address", ()):
        _index_address(rows, address)


def _index_name(rows: IndexRows, name: dict[str, Any]) -> None:
    given = [part for part in name.get("given", ()) if part]
    family = [name["family"]] if "family" in name else []
    _add_strings(rows, number_of("Patient", "family"), family)
    _add_strings(rows, number_of("Patient", "given"), given)
    others = [*name.get("prefix", ()), *name.get("suffix", ()), name.get("text")]
    _add_strings(rows, number_of("Patient", "name"), [*family, *given, *(part for part in others if part)])


def _index_contact(rows: IndexRows, contact: dict[str, Any]) -> None:
    if "value" not in contact:
        return
    system = contact.get("system", "")
    rows.token.append((number_of("Patient", "telecom"), contact["value"], system))
    if system in ("phone", "email"):
        rows.token.append((number_of("Patient", system), contact["value"], system))


def _index_address(rows: IndexRows, address: dict[str, Any]) -> None:
    parts = [address.get(name) for name in ("text", "city", "district", "state", "postalCode", "country")]
    _add_strings(rows, number_of("Patient", "address"), [p for p in (*address.get("line", ()), *parts) if p])
    for element, parameter in _ADDRESS.items():
        if element in address:
            _add_strings(rows, number_of("Patient", parameter), [address[element]])


def _index_immunization(rows: IndexRows, immunization: Resource) -> None:
    if "status" in immunization:
        rows.token.append((number_of("Immunization", "status"), immunization["status"], _STATUS))
    for coding in immunization["vaccineCode"].get("coding", ()):
        if "code" in coding:
            rows.token.append((number_of("Immunization", "vaccine-code"), coding["code"], coding.get("system", "")))
    if "occurrenceDateTime" in immunization:
        _add_date(rows, number_of("Immunization", "date"), range_of(immunization["occurrenceDateTime"]))
    if "lotNumber" in immunization:
        _add_strings(rows, number_of("Immunization", "lot-number"), [immunization["lotNumber"]])


def _add_strings(rows: IndexRows, number: int, texts: list[str]) -> None:
    rows.string += [(number, fold(text), text) for text in texts]


def _add_date(rows: IndexRows, number: int, found: Range) -> None:
    rows.date.append((number, found.low, found.high))
