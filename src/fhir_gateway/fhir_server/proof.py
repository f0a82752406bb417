"""Whether a search parameter works on this server, so that "not found" may be believed.

Seen: an unknown parameter is ignored and everybody is returned; returns nothing (WSO2, Medplum); is a 400 (HAPI).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.fhir_server.capabilities import Capabilities
from fhir_gateway.fhir_server.matching import carries
from fhir_gateway.fhir_server.pages import Page

_NOBODY = {
    "identifier": "urn:fhir-gateway:probe|nobody",
    "birthdate": "1801-01-01",
    "phone": "+620000000000",
    "telecom": "+620000000000",
    "name": "zzqxnobody",
    "family": "zzqxnobody",
    "given": "zzqxnobody",
    "_id": "zzqx-nobody",
    "patient": "Patient/zzqx-nobody",
}


@dataclass(frozen=True, slots=True)
class SearchProof:
    """Whether a search by `parameter` may be believed, and why in words for an operator.

    `status` is that of a refusal, 0 where there was none. `final` is false where an empty server could not prove
    anything: ask again when there is somebody on it.
    """

    resource_type: str
    parameter: str
    works: bool
    words: str
    status: int = 0
    final: bool = True


class Prober(Protocol):
    """What a proof needs of a reader."""

    async def capabilities(self) -> Capabilities:
        """Return what the server declares."""
        ...

    async def first_page(self, resource_type: str, parameters: Mapping[str, Sequence[str]]) -> Page:
        """Return the first page of a search, unchecked."""
        ...


async def prove(reader: Prober, resource_type: str, parameter: str, *, masked: bool = False) -> SearchProof:
    """Ask for nobody, which must find nobody; and where the parameter is not declared, for somebody who is there.

    `masked`: the server hides identifiers, so nobody can be searched by the one that he shows.
    """
    proof = partial(SearchProof, resource_type, parameter)
    nobody = _NOBODY.get(parameter)
    try:
        declared = (await reader.capabilities()).declares_search(resource_type, parameter)
        if nobody is None:
            return await _prove_by_somebody(reader, proof, declared=declared)
        if (await reader.first_page(resource_type, {parameter: (nobody,)})).matches:
            return proof(works=False, words="ignored: the server finds somebody where nobody is asked for")
        if declared or (masked and parameter == "identifier"):
            how = "declared" if declared else "not declared, but its numbers are masked"
            return proof(works=True, words=f"{how}; a search for nobody finds nobody")
        return await _prove_by_somebody(reader, proof, declared=False)
    except PermanentServerError as error:
        return proof(works=False, words=str(error), status=error.status)


async def _prove_by_somebody(reader: Prober, proof: "partial[SearchProof]", *, declared: bool) -> SearchProof:
    """Search for what a resource that is there carries."""
    resource_type, parameter = proof.args
    sample = (await reader.first_page(resource_type, {})).matches
    value = next(filter(None, (_value_of(resource, parameter) for resource in sample)), "")
    if not value:
        words = "declared" if declared else "not declared, and no resource on the server to prove it with"
        return proof(works=declared or not sample, words=words, final=declared)
    found = (await reader.first_page(resource_type, {parameter: (value,)})).matches
    if found and all(carries(match, {parameter: (value,)}) for match in found):
        return proof(works=True, words="a search for somebody who is there finds them")
    return proof(works=False, words="a search for somebody who is there does not find them")


_LISTED = {"identifier": "Patient", "_id": "Patient", "patient": "Immunization"}
"""Parameters whose lists are proved, each on resources of one type."""


def listed_like(parameter: str) -> str:
    """Return the parameter whose lists a server takes as it takes this one's: of ids, of references to people, of texts."""
    if parameter in {"patient", "subject"} or parameter.endswith((".patient", ".subject")):
        return "patient"
    return "_id" if parameter == "_id" else "identifier"


async def prove_lists(reader: Prober, parameter: str) -> bool | None:
    """Return whether a search for several values finds who has one of them; None where nobody is there to tell.

    `parameter` is one that listed_like() returns. Seen: nobody is found, or who has the first value alone, without a word;
    also by ids alone. What is refused is told by each search.
    """
    resource_type, nobody = _LISTED[parameter], _NOBODY[parameter]
    try:
        sample = (await reader.first_page(resource_type, {})).matches
        value = next(filter(None, (_value_of(resource, parameter) for resource in sample)), "")
        for values in ((nobody, value, f"{nobody}-either"), (value,)) if value else ():
            found = (await reader.first_page(resource_type, {parameter: values})).matches
            if any(carries(match, {parameter: (value,)}) for match in found):
                return len(values) > 1
    except PermanentServerError:
        return True
    return None


def _value_of(resource: Resource, parameter: str) -> str:
    """Return what this resource would be found by, "" where it carries nothing of the kind."""
    identifier, name, telecom = (_first(resource, element) for element in ("identifier", "name", "telecom"))
    patient_id = id_referred_to(resource.get("patient"), "Patient")
    given = name.get("given")
    value = {
        "_id": resource.get("id"),
        "birthdate": resource.get("birthDate"),
        "gender": resource.get("gender"),
        "patient": f"Patient/{patient_id}" if patient_id else None,
        "identifier": f"{identifier.get('system')}|{identifier.get('value')}" if identifier.get("system") else None,
        "phone": telecom.get("value"),
        "telecom": telecom.get("value"),
        "family": name.get("family"),
        "name": given[0] if isinstance(given, list) and given else name.get("family"),
        "given": given[0] if isinstance(given, list) and given else None,
    }.get(parameter)
    return value if isinstance(value, str) else ""


def _first(resource: Resource, element: str) -> dict[str, Any]:
    values = resource.get(element)
    return values[0] if isinstance(values, list) and values and isinstance(values[0], dict) else {}
