"""What `Patient/$merge` is asked with: a FHIR Parameters resource, read strictly."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_gateway.api.answers import RequestRefusedError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.validation import validate

_REFERENCE = re.compile(r"(?:Patient/)?([A-Za-z0-9\-.]{1,64})", re.ASCII)
_KINDS = {
    "source-patient": "valueReference",
    "target-patient": "valueReference",
    "source-patient-identifier": "valueIdentifier",
    "target-patient-identifier": "valueIdentifier",
    "result-patient": "resource",
    "preview": "valueBoolean",
}
"""The R5 operation's parameters that are taken, and where each one's value stands."""
_REPEATED = frozenset({"source-patient-identifier", "target-patient-identifier"})


@dataclass(frozen=True, slots=True)
class NamedPatient:
    """A Patient as a request names it: by its bare id, by (system, value) identifiers, or by both."""

    id: str = ""
    identifiers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MergeParameters:
    """What `$merge` was asked: the source becomes the target."""

    source: NamedPatient
    target: NamedPatient
    result: Resource | None
    preview: bool
    input: Resource = field(repr=False)


def read_body(body: bytes) -> Any:
    """Return a body's JSON, decimals with their digits; raises 400 where it is none."""
    try:
        return json_text.parse(body)
    except ValueError:
        raise RequestRefusedError(400, "the body is no JSON", code="structure") from None


def read_parameters(body: bytes, kinds: Mapping[str, str], repeated: frozenset[str]) -> dict[str, list[Any]]:
    """Return parameter → its values, in their order; raises 400 for anything else than these parameters."""
    resource = read_body(body)
    if not isinstance(resource, dict) or resource.get("resourceType") != "Parameters":
        raise RequestRefusedError(400, "the body must be a Parameters resource", code="structure")
    given = resource.get("parameter", [])
    found: dict[str, list[Any]] = {}
    if not isinstance(given, list):
        raise RequestRefusedError(400, "Parameters.parameter must be a list", code="structure")
    for number, parameter in enumerate(given):
        name = parameter.get("name") if isinstance(parameter, dict) else None
        where = f"Parameters.parameter[{number}]"
        if not isinstance(name, str) or name not in kinds:
            raise RequestRefusedError(400, f"{where}: known are {', '.join(kinds)}", code="not-supported")
        if set(parameter) - {"name", kinds[name]} or kinds[name] not in parameter:
            raise RequestRefusedError(400, f"{where}: {name} has a {kinds[name]} and nothing else")
        if name in found and name not in repeated:
            raise RequestRefusedError(400, f"{where}: {name} is given more than once")
        found.setdefault(name, []).append(parameter[kinds[name]])
    return found


def read_merge(body: bytes) -> MergeParameters:
    """Read the parameters of `$merge`; raises 400 with what is wrong, 422 for a result-patient that is no Patient."""
    found = read_parameters(body, _KINDS, _REPEATED)
    source, target = _named("source", found), _named("target", found)
    preview = found.get("preview", [False])[0]
    if not isinstance(preview, bool):
        raise RequestRefusedError(400, "preview must be true or false")
    result = found.get("result-patient", [None])[0]
    if result is not None:
        _check_result(result)
    return MergeParameters(source, target, result, preview, json_text.parse(body))


def _named(side: str, found: Mapping[str, Sequence[Any]]) -> NamedPatient:
    references = found.get(f"{side}-patient", [])
    identifiers = tuple(_identifier(each, side) for each in found.get(f"{side}-patient-identifier", []))
    patient_id = _id_of(references[0], side) if references else ""
    if not patient_id and not identifiers:
        words = f"{side}-patient or {side}-patient-identifier is needed"
        raise RequestRefusedError(400, words, code="required")
    return NamedPatient(patient_id, identifiers)


def _id_of(reference: Any, side: str) -> str:
    text = reference.get("reference") if isinstance(reference, dict) else None
    form = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if form is None:
        raise RequestRefusedError(400, f"{side}-patient must refer to a Patient of this server: Patient/ID")
    return form[1]


def _identifier(identifier: Any, side: str) -> tuple[str, str]:
    system = identifier.get("system") if isinstance(identifier, dict) else None
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if not (isinstance(system, str) and isinstance(value, str) and system and value):
        raise RequestRefusedError(400, f"{side}-patient-identifier must have a system and a value")
    return system, value


def _check_result(result: Any) -> None:
    problems = (
        validate(result) if isinstance(result, dict) and result.get("resourceType") == "Patient" else ["no Patient"]
    )
    if problems:
        raise RequestRefusedError(422, "result-patient must be a valid R4 Patient")
