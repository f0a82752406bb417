"""The JSON Schema of a mapping file, for completion and checks in an editor."""

from collections.abc import Mapping
from typing import Any

from fhir_gateway.mapping.compiler import FUNCTIONS, IMMUNIZATION_KEYS, SOURCE_KEYS, TOP_KEYS
from fhir_gateway.mapping.functions import MappingFunction, Option
from fhir_gateway.people.dates import FORMATS

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}


def editor_schema(functions: Mapping[str, MappingFunction] = FUNCTIONS) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of mapping.yaml with all known functions and their options."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fhir-gateway mapping",
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in TOP_KEYS if key in {"mapping", "source", "key", "patient", "immunization"}],
        "properties": _properties(),
        "$defs": {
            "column": {"type": ["string", "integer"], "description": "a column's name as the header spells it"},
            "through": _through(functions),
            "value": _value(),
            "node": _node(),
            "element": {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}},
        },
    }


def _properties() -> dict[str, Any]:
    formats = {"description": "formats of dates, in the order in which they are tried", "examples": [list(FORMATS)]}
    source = {key: _TEXT for key in SOURCE_KEYS if key != "required"}
    immunization: dict[str, Any] = dict.fromkeys(IMMUNIZATION_KEYS)
    immunization["for_each"] = {"type": "array", "items": {"type": ["string", "object"]}, "minItems": 1}
    immunization["when"] = {"$ref": "#/$defs/column"}
    immunization["resource"] = {"$ref": "#/$defs/element"}
    return {
        "mapping": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"},
        "title": _TEXT,
        "source": _closed({"required": _TEXTS, **source}, required=["required"]),
        "aliases": {"type": "object", "additionalProperties": _TEXTS},
        "dates": {**_TEXTS, **formats},
        "key": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"$ref": "#/$defs/column"}, {"$ref": "#/$defs/value"}]},
        },
        "clinic": {"$ref": "#/$defs/column"},
        "patient": {"$ref": "#/$defs/element"},
        "immunization": _closed(immunization, required=["resource"]),
    }


def _value() -> dict[str, Any]:
    properties = {
        "column": {"$ref": "#/$defs/column"},
        "columns": {"type": "array", "items": {"$ref": "#/$defs/column"}, "minItems": 1},
        "constant": {"type": ["string", "boolean", "integer"]},
        "through": {"$ref": "#/$defs/through"},
        "required": {"type": "boolean"},
    }
    alternatives = [{"required": [key]} for key in ("column", "columns", "constant", "through")]
    return {**_closed(properties), "anyOf": alternatives}


def _node() -> dict[str, Any]:
    plain = {"type": ["string", "boolean", "integer"]}
    items = {"type": "array", "items": {"$ref": "#/$defs/node"}, "minItems": 1}
    return {"anyOf": [{"$ref": "#/$defs/value"}, items, {"$ref": "#/$defs/element"}, plain]}


def _through(functions: Mapping[str, MappingFunction]) -> dict[str, Any]:
    with_options = [
        _closed({function.name: _options(function)}, required=[function.name]) | {"description": function.summary}
        for function in functions.values()
    ]
    one = {"anyOf": [{"enum": sorted(functions)}, *with_options]}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _options(function: MappingFunction) -> dict[str, Any]:
    if function.free_options:
        return {"type": "object"}
    required = [name for name, option in function.options.items() if option.required]
    return _closed({name: _option(option) for name, option in function.options.items()}, required=required)


def _option(option: Option) -> dict[str, Any]:
    if option.kind == "flag":
        return {"type": "boolean"}
    # Formats of dates may be spelled with any separator: they are examples, not the only words.
    choices = {"examples": list(option.choices)} if option.choices == FORMATS else {"enum": list(option.choices)}
    word = {"type": "string", **(choices if option.choices else {})}
    return {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}]} if option.kind == "list" else word


def _closed(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": required} if required else schema
