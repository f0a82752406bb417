"""Compile the fhir.resources R4B models into the JSON Schema and the reference paths that the gateway runs on.

`python -m fhir_gateway.fhir.compile_schema` writes both files anew; a test holds them equal to the models. Nothing else
in the package imports fhir.resources: that takes a third of a second and 60 MiB.
"""

import importlib
import json
import pkgutil
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from fhir_gateway.fhir.primitives import BINDINGS, LANGUAGE, PRIMITIVES, reference_pattern

_FOLDER = Path(__file__).parent
SCHEMA_FILE = _FOLDER / "r4_schema.ndjson"
REFERENCES_FILE = _FOLDER / "r4_references.json"
_PRIMITIVE_EXTENSION = "FHIRPrimitiveExtension"
_LONG_CHOICE = 20  # forms; a pattern is then shorter than their list
_ABSTRACT = {"Resource", "DomainResource", "FHIRResourceModel"}
_PLAIN_EXTENSION = {"required": ["url"], "minProperties": 2, "maxProperties": 2, "not": {"required": ["id"]}}
"""One form beside the url, as nearly all have it, cannot exclude another: no need to look for each of a hundred names."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type: `kind` names a primitive or a model; `targets` are allowed reference targets."""

    name: str
    kind: str
    primitive: bool
    repeats: bool
    required: bool
    choice: str
    choice_required: bool
    codes: tuple[str, ...]
    targets: tuple[str, ...]


@cache
def models() -> dict[str, Any]:
    """Return all R4B models by their names."""
    package = importlib.import_module("fhir.resources.R4B")
    base = importlib.import_module("fhir_core.fhirabstractmodel").FHIRAbstractModel
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        found |= {
            name: model
            for name, model in vars(module).items()
            if isinstance(model, type) and issubclass(model, base) and model.__module__ == module.__name__
        }
    return found


def resource_types() -> tuple[str, ...]:
    """Return the names of all resource types that can be instantiated."""
    return tuple(sorted(n for n, m in models().items() if m.has_resource_base() and n not in _ABSTRACT))


def _kind(annotation: Any) -> tuple[str, bool, bool]:
    """Return an annotation's primitive or model name, whether it is primitive, and whether it repeats."""
    if annotation is bool:
        return "boolean", True, False
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, UnionType):
        return _kind(next(a for a in typing.get_args(annotation) if a is not NoneType))
    if origin is list:
        name, primitive, _ = _kind(typing.get_args(annotation)[0])
        return name, primitive, True
    for metadata in getattr(annotation, "__metadata__", ()):
        if hasattr(metadata, "__visit_name__"):
            return metadata.__visit_name__, True, False
        if type(metadata).__name__ == "UuidVersion":
            return "uuid", True, False
    return annotation.get_model_klass().__name__, False, False


def elements_of(name: str) -> Iterator[Element]:
    """Yield the elements of a type or resource, as `HumanName`, in their order."""
    model = models()[name]
    order = model.elements_sequence()
    for field, info in model.model_fields.items():
        if field.endswith("__ext") or field in ("fhir_comments", "resource_type"):
            continue
        alias = info.alias or field
        extra = info.json_schema_extra or {}
        if alias not in order:
            continue
        kind, primitive, repeats = _kind(info.annotation)
        if alias == "id":
            kind = "id" if model.has_resource_base() else "string"
        yield Element(
            name=alias,
            kind=kind,
            primitive=primitive,
            repeats=repeats,
            required=info.is_required() or bool(extra.get("element_required")),
            choice=extra.get("one_of_many", ""),
            choice_required=bool(extra.get("one_of_many_required")),
            codes=tuple(extra.get("enum_values", ())),
            targets=tuple(extra.get("enum_reference_types", ())) if kind == "Reference" else (),
        )


def _value(owner: str, element: Element, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one value of an element."""
    path = f"{owner}.{element.name}"
    if path in BINDINGS or (element.kind == "code" and element.name == "language"):
        return BINDINGS.get(path, LANGUAGE)
    if element.kind == "code" and element.codes:
        return {"type": "string", "enum": list(element.codes)}
    if element.kind == "Resource":
        return {"type": "object", "required": ["resourceType"]}
    if element.kind == "Reference" and "Resource" not in element.targets and element.targets:
        return {"$ref": f"#/$defs/{_typed_reference(element.targets, definitions)}"}
    return {"$ref": f"#/$defs/{element.kind}"}


def _typed_reference(targets: tuple[str, ...], definitions: dict[str, Any]) -> str:
    """Return the name of the definition of a Reference that may point to these types only."""
    ordered = tuple(sorted(targets))
    name = f"Reference({'_'.join(ordered)})"
    definitions[name] = {
        "$ref": "#/$defs/Reference",
        "properties": {
            "reference": {"pattern": reference_pattern(ordered)},
            "type": {"enum": [*ordered, *(f"http://hl7.org/fhir/StructureDefinition/{target}" for target in ordered)]},
        },
    }
    return name


def _choices(elements: list[Element]) -> Iterator[tuple[str, list[str]]]:
    groups: dict[str, list[Element]] = {}
    for element in elements:
        if element.choice:
            groups.setdefault(element.choice, []).append(element)
    for choice, group in groups.items():
        yield choice, [element.name for element in group]


def _spellings(name: str, elements: list[Element]) -> list[str]:
    primitive = next(element.primitive for element in elements if element.name == name)
    return [name, f"_{name}"] if primitive else [name]


def _any_of(names: list[str]) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


def _object(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a model: no unknown elements, no empty ones, every rule that the metadata know."""
    elements = list(elements_of(name))
    properties: dict[str, Any] = {}
    rules: list[dict[str, Any]] = []
    for element in elements:
        properties |= _properties(name, element, definitions)
        if element.repeats and element.primitive:
            texts = {"properties": {element.name: {"items": {"not": {"type": "null"}}}}}
            rules.append({"anyOf": [{"required": [f"_{element.name}"]}, texts]})
        if element.required and element.primitive:
            rules.append(_any_of([element.name, f"_{element.name}"]))
    excluding = _exclusions(name, elements)
    for choice, names in _choices(elements):
        if any(element.choice == choice and element.choice_required for element in elements):
            rules.append(_any_of([spelling for choice in names for spelling in _spellings(choice, elements)]))
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    required_names = [element.name for element in elements if element.required and not element.primitive]
    if models()[name].has_resource_base():
        properties["resourceType"] = {"const": name}
        required_names.append("resourceType")
    else:
        schema["minProperties"] = 1
        excluding["id"] = {"minProperties": 2}  # an id alone says nothing
    if name == "Extension":
        rules.append(_any_of(["extension", *sorted(excluding.keys() - {"id"})]))
        return schema | {"if": _PLAIN_EXTENSION, "else": {"allOf": rules, "dependentSchemas": excluding}}
    return schema | _given(required=sorted(required_names), allOf=rules, dependentSchemas=excluding)


def _given(**keywords: Any) -> dict[str, Any]:
    return {keyword: value for keyword, value in keywords.items() if value}


def _properties(owner: str, element: Element, definitions: dict[str, Any]) -> dict[str, Any]:
    value = _value(owner, element, definitions)
    extension: dict[str, Any] = {"$ref": f"#/$defs/{_PRIMITIVE_EXTENSION}"}
    if element.repeats and element.primitive:
        value = {"anyOf": [value, {"type": "null"}]}
        extension = {"anyOf": [extension, {"type": "null"}]}
    if element.repeats:
        value = {"type": "array", "minItems": 1, "items": value}
        extension = {"type": "array", "minItems": 1, "items": extension}
    if element.primitive and element.name != "id" and not (owner == "Extension" and element.name == "url"):
        return {element.name: value, f"_{element.name}": extension}
    return {element.name: value}


def _exclusions(name: str, elements: list[Element]) -> dict[str, Any]:
    """Return for each form of a choice element what must not stand beside it; it is checked only where it occurs."""
    excluded: dict[str, Any] = {}
    for choice, names in _choices(elements):
        rivals = [s for other in names for s in _spellings(other, elements)] + (["extension"] * (name == "Extension"))
        for chosen in names:
            own = _spellings(chosen, elements)
            others = [rival for rival in rivals if rival not in own]
            # Looking for a few names is quicker than judging all that stand there; of many, a pattern is shorter.
            rule = (
                _beside_no_other(name, choice, own, rivals, elements)
                if len(rivals) > _LONG_CHOICE
                else {"not": _any_of(others)}
            )
            excluded |= dict.fromkeys(own if others else (), rule)
    return excluded


def _beside_no_other(
    name: str, choice: str, own: list[str], rivals: list[str], elements: list[Element]
) -> dict[str, Any]:
    pattern = f"^(?:_?{choice}[A-Z].*|extension)$" if "extension" in rivals else f"^_?{choice}[A-Z]"
    outside = {element.name for element in elements} - set(rivals)
    if any(re.match(pattern, other) for other in outside):
        raise ValueError(f"{name}.{choice}[x]: another element is named like its choices")
    return {"propertyNames": {"anyOf": [{"enum": own}, {"not": {"pattern": pattern}}]}}


def compile_schema() -> dict[str, Any]:
    """Return one JSON Schema (2020-12) definition for each primitive, datatype and resource type."""
    definitions: dict[str, Any] = dict(PRIMITIVES)
    for name in models():
        if name not in _ABSTRACT:
            definitions[name] = _object(name, definitions)
    extension = definitions[_PRIMITIVE_EXTENSION]
    definitions[_PRIMITIVE_EXTENSION] = extension | _any_of(["extension", "id"])
    extension.pop("dependentSchemas", None)
    definitions["Reference"]["properties"]["reference"] = {
        "type": "string",
        "pattern": reference_pattern(resource_types()),
    }
    return {"resourceTypes": list(resource_types()), "$defs": definitions}


def compile_references() -> dict[str, Any]:
    """Return for each type its elements that are references or lead to some.

    `{type: {element: [child type, targets…]}}`; a Reference's child type is `Reference` and its targets are resource
    types, `Resource` for any. Element names are those of JSON, choice types spelled out.
    """
    graph = {
        name: {e.name: [e.kind, *sorted(e.targets)] for e in elements_of(name) if not e.primitive}
        for name in models()
        if name not in _ABSTRACT
    }
    leading = {"Reference", "Resource"}
    while True:
        more = {name for name, elements in graph.items() if any(kind[0] in leading for kind in elements.values())}
        if more <= leading:
            break
        leading |= more
    return {
        name: {element: kind for element, kind in elements.items() if kind[0] in leading}
        for name, elements in graph.items()
        if name in leading
    }


def dump(data: Any) -> bytes:
    """Return generated data as it stands in its file: one line a type, sorted, so that differences can be read."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.replace('},"', '},\n"').encode() + b"\n"


def dump_schema(schema: dict[str, Any]) -> bytes:
    """Return the schema as it stands in its file: a line for each definition, so that a few can be read without the rest."""
    lines = [{"resourceTypes": schema["resourceTypes"]}]
    lines += ({name: definition} for name, definition in sorted(schema["$defs"].items()))
    texts = (json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True) for line in lines)
    return "".join(f"{text}\n" for text in texts).encode()


def main() -> None:
    """Write the generated files."""
    SCHEMA_FILE.write_bytes(dump_schema(compile_schema()))
    REFERENCES_FILE.write_bytes(dump(compile_references()))


if __name__ == "__main__":
    main()
