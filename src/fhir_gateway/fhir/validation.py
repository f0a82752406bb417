"""Is this JSON a valid R4 resource? Structure, codes, dates, references' targets; in plain words and without values.

The schema is compiled from the fhir.resources models (see compile_schema) and run by jsonschema-rs. A type's validator
is compiled when it is first asked for: Patient and Immunization take some milliseconds and 8 MiB, which forget_all()
gives back, all types together seconds.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import repeat
from operator import is_
from typing import Any

import jsonschema_rs
import orjson

from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import Problem, Resource
from fhir_gateway.fhir.problem_words import ONE_CHOICE, explain

MOST_PROBLEMS = 20
UNKNOWN_ELEMENT = "fhir-unknown-element"
_HOLDS_RESOURCES = frozenset({"Bundle", "Parameters"})
_ABOUT_NAMES = frozenset({"type", "required", "additionalProperties", "allOf", "anyOf", "not", "dependentSchemas"})
"""What a schema may say so that names alone, and no values, decide whether an object fits."""

_NOTHING: Mapping[str, Any] = {}
_DEFINITION = re.compile(r'"#/\$defs/([^"]+)"')
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")


def _lines() -> Mapping[str, bytes]:
    """Return the generated file's lines by name: all of it as objects takes 23 MiB, a type needs a hundredth of them."""
    text = resources.files(__package__).joinpath("r4_schema.ndjson").read_bytes()
    return {line[2 : line.index(b'"', 2)].decode(): line for line in text.splitlines()}


def _value(lines: Mapping[str, bytes], name: str) -> Any:
    return orjson.loads(lines[name])[name]


@cache
def resource_types() -> frozenset[str]:
    """Return the names of all known resource types."""
    return frozenset(_value(_lines(), "resourceTypes"))


@remembered(None)
def _schema(resource_type: str) -> dict[str, Any]:
    """Return a resource type's schema with just the definitions that it reaches."""
    lines = _lines()
    reached: dict[str, Any] = {}
    waiting = [resource_type]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = _value(lines, name)
            waiting += _DEFINITION.findall(lines[name].decode())
    return {"$ref": f"#/$defs/{resource_type}", "$defs": reached}


@remembered(None)
def _validator(resource_type: str) -> jsonschema_rs.Draft202012Validator:
    return _compiled(_schema(resource_type))


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=False
    )


@remembered(512)
def _check(resource_type: str) -> Callable[[Resource], bool] | None:
    """Return what tells whether a resource of this type fits the schema, None for a type that R4 lacks."""
    return _validator(resource_type).is_valid if resource_type in resource_types() else None


def is_valid(resource: Resource) -> bool:
    """Tell whether this is a valid R4 resource; several times faster than asking validate() for reasons."""
    resource_type = resource.get("resourceType")
    if not isinstance(resource_type, str):
        return False
    check = _check(resource_type)
    try:
        if check is None or not check(resource):
            return False
    except (ValueError, RecursionError):
        return False
    if "contained" not in resource and resource_type not in _HOLDS_RESOURCES:
        return True
    return all(not _misplaced(path, held) and is_valid(held) for path, held in _held_resources(resource, ""))


def are_valid(resource_type: str, resources: Iterable[Resource], *, beside: Mapping[str, Any] = _NOTHING) -> bool:
    """Tell whether all these resources of a type are valid R4 resources, each with the elements `beside`, as is_valid() would say.

    What stands under an element's name is judged by that name's schema alone, and all else in a type's schema is about
    which names there are. So all resources are judged a name at a time, and a value that they share once.
    """
    by_names: dict[tuple[str, ...], list[Resource]] = {}
    for resource in resources:
        by_names.setdefault(tuple(resource), []).append(resource)
    try:
        if not all(_may_have(resource_type, tuple(dict.fromkeys((*names, *beside)))) for names in by_names):
            return False
        elements = _elements(by_names) | {name: [value] for name, value in beside.items()}
        return _elements_validator(resource_type).is_valid(elements)
    except (ValueError, RecursionError):
        return False


def _elements(by_names: Mapping[tuple[str, ...], Sequence[Resource]]) -> dict[str, list[Any]]:
    """Return what stands under each name in resources, which are told apart by their names."""
    elements: dict[str, list[Any]] = {}
    for names, several in by_names.items():
        for name, column in zip(names, zip(*map(dict.values, several), strict=True), strict=True):
            elements.setdefault(name, []).extend(column)
    return {name: _each_once(values) for name, values in elements.items()}


def _each_once(values: list[Any]) -> list[Any]:
    """Return values, objects that many share once; to tell texts and numbers apart takes as long as to judge them."""
    first = values[0]
    if not isinstance(first, dict | list):
        return values
    if all(map(is_, values, repeat(first))):
        return [first]
    return list(dict(zip(map(id, values), values, strict=True)).values())


@remembered(512)
def _may_have(resource_type: str, names: tuple[str, ...]) -> bool:
    """Tell whether a resource may have elements of just these names; False where their values count for that."""
    if "contained" in names or resource_type in _HOLDS_RESOURCES:
        return False
    names_validator = _names_validator(resource_type)
    return names_validator is not None and names_validator.is_valid(dict.fromkeys(names))


@remembered(None)
def _names_validator(resource_type: str) -> jsonschema_rs.Draft202012Validator | None:
    """Return what judges an object by its names; None where values count for that."""
    rules = dict(_schema(resource_type)["$defs"][resource_type])
    known = dict.fromkeys(rules.pop("properties"), True)
    return _compiled({**rules, "properties": known}) if _is_about_names(rules) else None


def _is_about_names(rules: dict[str, Any]) -> bool:
    below = [*rules.get("allOf", ()), *rules.get("anyOf", ()), *rules.get("dependentSchemas", {}).values()]
    if "not" in rules:
        below.append(rules["not"])
    return rules.keys() <= _ABOUT_NAMES and all(map(_is_about_names, below))


@remembered(None)
def _elements_validator(resource_type: str) -> jsonschema_rs.Draft202012Validator:
    """Return what judges lists of elements by their names."""
    definitions = _schema(resource_type)["$defs"]
    elements = definitions[resource_type]["properties"]
    return _compiled({"$defs": definitions, "properties": {name: {"items": one} for name, one in elements.items()}})


def validate(resource: Resource) -> tuple[Problem, ...]:
    """Return what is wrong with a resource, at most MOST_PROBLEMS, none where it is valid.

    A problem's code begins with `fhir-`; its text names the element by its path and says what is expected there, never
    what stands there.
    """
    if isinstance(resource, dict) and is_valid(resource):
        return ()
    problems: dict[tuple[str, str], Problem] = {}
    for problem in _problems(resource, ""):
        # The narrower rule comes last: what may be referred to here says more than what a reference is.
        problems[problem.code, problem.text.partition(":")[0]] = problem
    return tuple(problems.values())[:MOST_PROBLEMS]


def _problems(resource: Any, path: str) -> Iterator[Problem]:
    resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(resource_type, str) or resource_type not in resource_types():
        yield Problem("fhir-resource-type", f"{path or 'the resource'}: resourceType is missing or no R4 resource type")
        return
    try:
        for error in _validator(resource_type).iter_errors(resource):
            yield _problem(resource_type, path or resource_type, error)
    except (ValueError, RecursionError):
        yield Problem(
            "fhir-not-json", f"{path or resource_type}: holds what JSON cannot (half a character, endless nesting)"
        )
        return
    for below, held in _held_resources(resource, path or resource_type):
        misplaced = _misplaced(below, held)
        if misplaced:
            yield misplaced
        else:
            yield from _problems(held, below)


def _misplaced(path: str, held: Resource) -> Problem | None:
    """Return what is wrong with where a resource stands: contained ones need an id and contain none themselves."""
    if ".contained[" not in path:
        return None
    if "contained" in held:
        return Problem("fhir-contained", f"{path}: a contained resource must not contain others")
    if "id" not in held:
        return Problem("fhir-contained", f"{path}: a contained resource needs an id")
    return None


def _held_resources(element: Any, path: str) -> Iterator[tuple[str, Resource]]:
    """Yield the resources inside a resource with their paths, not those inside these."""
    if isinstance(element, dict):
        for name, value in element.items():
            yield from _held(value, f"{path}.{name}")
    elif isinstance(element, list):
        for number, value in enumerate(element):
            yield from _held(value, f"{path}[{number}]")


def _held(value: Any, path: str) -> Iterator[tuple[str, Resource]]:
    if isinstance(value, dict) and "resourceType" in value:
        yield path, value
    elif isinstance(value, dict | list):
        yield from _held_resources(value, path)


def _problem(resource_type: str, root: str, error: jsonschema_rs.ValidationError) -> Problem:
    path = root + "".join(_step(step) for step in error.instance_path)
    unknown = getattr(error.kind, "unexpected", None)
    if unknown is not None:
        return _unknown_elements(resource_type, path, list(unknown), error.schema_path)
    if "propertyNames" in error.schema_path or error.schema_path[-1] == "not":
        return Problem("fhir-choice", f"{path}: {ONE_CHOICE}")
    missing = getattr(error.kind, "property", None)
    if missing is not None:
        return Problem("fhir-missing-element", f"{path}: needs {missing}")
    subschema, kind = _follow(resource_type, error.schema_path)
    code, words = explain(error.schema_path[-1], subschema, kind)
    return Problem(code, f"{path}: {words}")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else ".…"


def _unknown_elements(resource_type: str, path: str, unknown: list[str], schema_path: list[str | int]) -> Problem:
    subschema, _ = _follow(resource_type, schema_path[:-1])
    known = list(subschema.get("properties", ()))
    named = [name for name in unknown if _NAME.fullmatch(name)][:5]
    near = {name: difflib.get_close_matches(name, known, n=1) for name in named}
    hints = "; ".join(f"did you mean {found[0]}?" for found in near.values() if found)
    words = f"unknown element {', '.join(named)}" if named else "an unknown element"
    return Problem(UNKNOWN_ELEMENT, f"{path}: {words}", hints)


def _follow(resource_type: str, schema_path: list[str | int]) -> tuple[Any, str]:
    """Return the subschema at a path and the name of the definition that it stands in."""
    schema: Any = _schema(resource_type)
    definitions = schema["$defs"]
    kind = resource_type
    for number, step in enumerate(schema_path):
        if step == "$defs":
            schema = definitions
        elif step == "$ref" or (number and schema_path[number - 1] == "$defs"):
            kind = schema["$ref"].removeprefix("#/$defs/") if step == "$ref" else str(step)
            schema = definitions[kind]
        else:
            schema = schema[step]
    return schema, kind
