"""A resource as the bytes that a server keeps, its references telling whom they lead to, without being written anew.

`"reference":` cannot occur inside of a text, where quotes are escaped: so references can be counted and found by their
bytes, and what enriching.enrich would add is put before the only one.
"""

from collections.abc import Mapping

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.registry.enriching import Person, enrich

_REFERENCE = b'"reference":'


def told_line(
    body: bytes, resource: Resource, *, people: Mapping[str, Person], organizations: Mapping[str, str]
) -> bytes:
    """Return a resource as enrich() tells it, on one line.

    `body` is compact JSON, `resource` the same read (its numbers may have lost digits: they are taken from `body`).
    """
    references = body.count(_REFERENCE)
    if not references:
        return body
    patient = resource.get("patient")
    if references == 1 and isinstance(patient, dict) and len(patient) == 1:
        person = people.get(str(patient.get("reference", "")).removeprefix("Patient/"))
        if person:
            return body.replace(_REFERENCE, json_text.dump(person)[1:-1] + b"," + _REFERENCE)
    return json_text.dump(enrich(json_text.parse(body), people=people, organizations=organizations))
