"""What a broken rule of the schema means, in an operator's words and without any value."""

from collections.abc import Callable
from typing import Any

_EXPECTED = {
    "boolean": "must be true or false, without quotes",
    "string": "must be a text with at least one visible character and no control characters",
    "markdown": "must be a text with at least one visible character and no control characters",
    "xhtml": "must be a <div> of XHTML",
    "code": "must be a code: no blanks around it, no control characters",
    "id": "must be 1 to 64 letters, digits, hyphens or dots",
    "uri": "must be a URI without blanks",
    "canonical": "must be a canonical URL without blanks",
    "url": "must be a URL without blanks",
    "oid": "must be an OID as urn:oid:1.2.3",
    "uuid": "must be a UUID as urn:uuid:… in lower case",
    "base64Binary": "must be base64 text",
    "decimal": "must be a number, without quotes",
    "integer": "must be a whole number of 32 bits, without quotes",
    "unsignedInt": "must be a whole number from 0 on, without quotes",
    "positiveInt": "must be a whole number from 1 on, without quotes",
    "date": "must be an existing date as YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "must be an existing date as YYYY, YYYY-MM or YYYY-MM-DD, or a time with its zone as YYYY-MM-DDThh:mm:ss+07:00",
    "instant": "must be a time with its zone as YYYY-MM-DDThh:mm:ss+07:00",
    "time": "must be a time as hh:mm:ss without a zone",
}
_MOST_CODES = 12
ONE_CHOICE = "only one form of a choice element may stand (as value[x]); an extension has either a value or extensions"


def explain(keyword: str | int, value: Any, kind: str) -> tuple[str, str]:
    """Return a problem's code and words for a schema keyword that failed, its value, and the definition around it."""
    if keyword in ("type", "pattern", "minLength", "maxLength", "minimum", "maximum") and kind in _EXPECTED:
        return f"fhir-{kind.lower()}", _EXPECTED[kind]
    if keyword == "pattern" and kind.startswith("Reference"):
        return "fhir-reference", f"must be {_targets(kind)}, as Type/id, a URL ending in it, a URN or #fragment"
    if keyword == "enum" and len(value) <= _MOST_CODES:
        return "fhir-code", f"must be one of {', '.join(value)}"
    if keyword == "anyOf":
        return _explain_any(value)
    general = _GENERAL.get(str(keyword))
    return general(value) if general else ("fhir-structure", "is not what R4 allows here")


def _targets(kind: str) -> str:
    names = kind.removeprefix("Reference").strip("()").split("_")
    return f"a reference to {' or '.join(names)}" if names != [""] else "a reference to a resource"


def _explain_any(branches: list[Any]) -> tuple[str, str]:
    names = [branch["required"][0] for branch in branches if "required" in branch]
    if len(names) == len(branches):
        shown = [name for name in names if not name.startswith("_")]
        words = ", ".join(shown[:_MOST_CODES]) + (" …" if len(shown) > _MOST_CODES else "")
        return "fhir-missing-element", f"needs {'one of ' if len(shown) > 1 else ''}{words}"
    if names:
        return "fhir-null", f"null is allowed only where {names[0]} says more about it"
    first = branches[0]
    kind = str(first.get("$ref", "")).removeprefix("#/$defs/")
    if kind in _EXPECTED:
        return f"fhir-{kind.lower()}", _EXPECTED[kind]
    if "enum" in first:
        return explain("enum", first["enum"], "")
    return "fhir-structure", "is not what R4 allows here"


_GENERAL: dict[str, Callable[[Any], tuple[str, str]]] = {
    "type": lambda kind: ("fhir-type", f"must be {'an' if kind in ('array', 'object') else 'a'} {kind}"),
    "minItems": lambda _: ("fhir-empty", "an empty list must be left out"),
    "minProperties": lambda _: ("fhir-empty", "an element without content must be left out"),
    "pattern": lambda _: ("fhir-code", "is not written as R4 wants it"),
    "enum": lambda _: ("fhir-code", "is none of the codes that R4 allows"),
    "const": lambda value: ("fhir-resource-type", f"must be {value}"),
}
