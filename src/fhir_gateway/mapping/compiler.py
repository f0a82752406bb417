"""Compile a mapping's YAML; all its faults at once, each with file, line, column and what would be right."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fhir_gateway.domain.errors import ConfigurationProblem
from fhir_gateway.domain.records import Layout
from fhir_gateway.mapping.clinics import DoseGroup, KeyReader
from fhir_gateway.mapping.concept_maps import ConceptMap
from fhir_gateway.mapping.conversion import CompiledMapping
from fhir_gateway.mapping.document import Faults, Node, Place, parse_yaml
from fhir_gateway.mapping.dose_functions import DOSE_FUNCTIONS
from fhir_gateway.mapping.elements import Element
from fhir_gateway.mapping.functions import Facts, MappingFunction, Steadiness, steadiness_of
from fhir_gateway.mapping.general_functions import GENERAL_FUNCTIONS
from fhir_gateway.mapping.person_functions import PERSON_FUNCTIONS
from fhir_gateway.mapping.values import (
    Cells,
    Compiled,
    Compiling,
    Evaluate,
    always,
    as_list,
    column_name,
    compile_value,
    is_value,
)
from fhir_gateway.people.dates import FORMATS, format_name

FUNCTIONS: Mapping[str, MappingFunction] = {
    function.name: function for function in (*PERSON_FUNCTIONS, *DOSE_FUNCTIONS, *GENERAL_FUNCTIONS)
}
TOP_KEYS = ("mapping", "title", "source", "aliases", "dates", "key", "clinic", "patient", "immunization")
_REQUIRED_KEYS = ("mapping", "source", "key", "patient", "immunization")
SOURCE_KEYS = ("required", "sheet", "delimiter", "encoding")
IMMUNIZATION_KEYS = ("for_each", "when", "resource")
SET_BY_THE_GATEWAY = frozenset({"resourceType", "id", "meta", "patient"})
_FIRST = {
    "Patient": ("birthDate", "gender", "name"),
    "Immunization": ("status", "occurrenceDateTime", "vaccineCode"),
}
"""What functions of other elements need to know, so it is evaluated before them."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def compile_mapping(
    text: str,
    file: str,
    *,
    concept_maps: Mapping[str, ConceptMap],
    functions: Mapping[str, MappingFunction] = FUNCTIONS,
) -> CompiledMapping:
    """Compile a mapping's text; `file` is its name for messages. Raises ConfigurationError with all faults."""
    root = parse_yaml(text, file)
    faults = Faults(file)
    if not root.is_mapping:
        faults.add(root.place, "a mapping begins with its keys", f"known: {', '.join(TOP_KEYS)}")
        faults.raise_if_any()
    _check_keys(root, "key", TOP_KEYS, faults)
    for key in _REQUIRED_KEYS:
        if key not in root.value:
            faults.add(root.place, f"the key '{key}' is missing")
    compiling = Compiling(faults, functions, concept_maps)
    compiling.formats = _formats(root.value.get("dates"), faults)
    compiling.aliases = _aliases(root.value.get("aliases"), faults)
    mapping = _assemble(root, compiling)
    faults.problems = _once(faults.problems)
    faults.raise_if_any()
    return mapping


def _assemble(root: Node, compiling: Compiling) -> CompiledMapping:
    faults = compiling.faults
    name_node = root.value.get("mapping") or Node(None, root.place)
    if not _NAME.fullmatch(name_node.text):
        faults.add(name_node.place, "a mapping's name is made of small letters, digits and dashes")
    if "title" in root.value and not root.value["title"].text:
        faults.add(root.value["title"].place, "the title is one line of text")
    clinic_node = root.value.get("clinic")
    patient = _resource(root.value.get("patient"), "Patient", compiling)
    of_patient = dict(compiling.columns)
    clinic = compiling.reader(clinic_node.text) if clinic_node is not None else None
    of_clinic = dict.fromkeys(compiling.names(clinic_node.text)) if clinic_node is not None else {}
    groups = _dose_groups(root.value.get("immunization"), compiling)
    key = _key(root.value.get("key"), compiling)
    in_key = {column for part in key for column in part.columns}
    groups = tuple([group._replace(status_column=_status_column(group, in_key)) for group in groups])
    of_person = of_patient | compiling.nik_columns
    key = tuple([part._replace(of_person=of_person.keys() >= set(part.columns)) for part in key])
    layout = _layout(name_node.text, root.value.get("source"), compiling)
    needed = layout.required.union(in_key, of_clinic, compiling.nik_columns)
    return CompiledMapping(
        name=name_node.text,
        title=root.value["title"].text if "title" in root.value else "",
        layout=layout,
        key=key,
        clinic=clinic,
        patient=patient,
        doses=groups,
        nik_columns=tuple(compiling.nik_columns),
        columns=tuple(compiling.columns),
        person_columns=tuple(of_person),
        clinic_columns=tuple(of_clinic),
        conditions=frozenset(compiling.conditions),
        needed=frozenset(needed),
    )


def _layout(name: str, node: Node | None, compiling: Compiling) -> Layout:
    faults = compiling.faults
    if node is None or not node.is_mapping:
        return Layout(name, frozenset(), frozenset(compiling.columns))
    _check_keys(node, "key", SOURCE_KEYS, faults)
    required = _texts(node.value.get("required"), "required is a list of columns' names", faults)
    if not required:
        faults.add(node.place, "the source's required columns are missing: they tell its files from others")
    for child in node.value["required"].value if required else ():
        if child.text not in compiling.columns:
            faults.unknown(child.place, "column (required, but read nowhere)", child.text, compiling.columns)
    given = {key: node.value[key].text for key in ("sheet", "delimiter", "encoding") if key in node.value}
    dates, doses = frozenset(compiling.date_columns), frozenset(compiling.conditions)
    aliases = tuple(compiling.aliases.items())
    return Layout(
        name,
        frozenset(required),
        frozenset(compiling.columns),
        **given,
        dates=dates,
        day_first=frozenset(compiling.day_first - compiling.month_first),
        month_first=frozenset(compiling.month_first - compiling.day_first),
        sexes=frozenset(compiling.sexes),
        doses=doses,
        aliases=aliases,
    )


def _key(node: Node | None, compiling: Compiling) -> tuple[KeyReader, ...]:
    """Compile the key: columns, or values as `{column: …, through: date}` so that a spelling does not matter."""
    if node is None:
        return ()
    if not node.is_list or not node.value:
        compiling.faults.add(node.place, "the key is a list of columns")
        return ()
    readers: list[KeyReader] = []
    for child in node.value:
        raw = child.value.get("column") if child.is_mapping else child
        if raw is None or not raw.text:
            compiling.faults.add(child.place, "a part of the key is a column, or {column: …, through: …}")
            continue
        value = compile_value(child, "key", compiling) if child.is_mapping else None
        evaluate, steady = (value.evaluate, value.steadiness >= Steadiness.SELDOM) if value else (None, True)
        names = compiling.names(raw.text)
        element = compiling.elements.get(_written_value(child, names))
        readers.append(KeyReader(compiling.reader(raw.text), evaluate, names, steady, element=element))
    return tuple(readers)


def _dose_groups(node: Node | None, compiling: Compiling) -> tuple[DoseGroup, ...]:
    faults = compiling.faults
    if node is None:
        return ()
    if not node.is_mapping:
        faults.add(
            node.place, "immunization has the keys resource, and for_each and when where a row holds several doses"
        )
        return ()
    _check_keys(node, "key of immunization", IMMUNIZATION_KEYS, faults)
    resource = node.value.get("resource")
    if resource is None:
        faults.add(node.place, "the key 'resource' is missing")
    groups = []
    for variables in _items(node.value.get("for_each"), faults):
        compiling.variables = variables
        when = node.value.get("when")
        before, compiling.columns = compiling.columns, {}
        column = column_name(when, compiling) if when is not None else ""
        if column:
            compiling.reader(column)
        conditions = tuple(compiling.columns)
        elements = _resource(resource, "Immunization", compiling)
        groups.append(DoseGroup(variables.get("each", ""), elements, tuple(compiling.columns), conditions))
        compiling.columns = before | compiling.columns
        compiling.conditions.update(conditions)
    compiling.variables = {}
    names = [group.name for group in groups]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.add(node.place, f"for_each names '{name}' twice")
    return tuple(groups)


def _status_column(group: DoseGroup, in_key: Collection[str]) -> str:
    """Return the first column of a dose's status that may be empty in one export and filled in the next, "" for none.

    A column of the key or of the vaccine's name is filled in both.
    """
    columns = {element.name: element.columns for element in group.elements}
    always = {*in_key, *columns.get("vaccineCode", ())}
    return next((column for column in columns.get("status", ()) if column not in always), "")


def _items(node: Node | None, faults: Faults) -> list[dict[str, str]]:
    """Return the variables of every column group; a row without for_each is one group without a name."""
    if node is None:
        return [{}]
    if not node.is_list or not node.value:
        faults.add(node.place, "for_each is a list of names")
        return []
    items = []
    for child in node.value:
        if child.is_mapping and "each" in child.value:
            items.append({key: value.text for key, value in child.value.items()})
        elif child.text:
            items.append({"each": child.text})
        else:
            faults.add(child.place, "an item of for_each is a name, or {each: name, other: text}")
    return items


def _resource(node: Node | None, resource_type: str, compiling: Compiling) -> tuple[Element, ...]:
    """Compile a resource's elements in the order in which their functions need each other."""
    if node is None:
        return ()
    if not node.is_mapping or is_value(node):
        compiling.faults.add(node.place, f"here stand the elements of the {resource_type}")
        return ()
    for name in SET_BY_THE_GATEWAY & set(node.value):
        compiling.faults.add(node.keys[name], f"the element '{name}' is set by the gateway")
    first = [name for name in _FIRST[resource_type] if name in node.value]
    ordered = [*first, *(name for name in node.value if name not in first)]
    return tuple(_element(name, node.value[name], f"{resource_type}.{name}", compiling) for name in ordered)


def _element(name: str, node: Node, path: str, compiling: Compiling) -> Element:
    before, compiling.columns = compiling.columns, {}
    compiled = _compile(node, path, compiling)
    columns = tuple(compiling.columns)
    compiling.columns = before | compiling.columns
    element = Element(name, compiled.evaluate, columns, compiled.steadiness)
    if (
        compiled.steadiness is Steadiness.STEADY
        and not compiling.variables
        and (written := _written_value(node, columns))
    ):
        compiling.elements.setdefault(written, element)
    return element


def _written_value(node: Node, columns: tuple[str, ...]) -> str:
    """Return how a value is written, without what is told where it is missing; "" where no function makes it of one column."""
    column, through = (node.value.get(key) if node.is_mapping else None for key in ("column", "through"))
    return repr((column.text, columns, through.plain())) if column is not None and through is not None else ""


def _compile(node: Node, path: str, compiling: Compiling) -> Compiled:
    """Compile a node."""
    if is_value(node):
        return compile_value(node, path, compiling)
    if node.is_list:
        return _compile_list(node, path, compiling)
    if node.is_mapping:
        return _compile_element(node, path, compiling)
    value = compiling.fill(node.text) if not isinstance(node.value, bool | int) else node.value
    if node.value is None:
        compiling.faults.add(node.place, f"{path} has no value")
    return Compiled(always(value), constant=True)


def _compile_list(node: Node, path: str, compiling: Compiling) -> Compiled:
    if len(node.value) == 1 and is_value(node.value[0]):
        only = compile_value(node.value[0], path, compiling, listed=True)
        return only._replace(steadiness=steadiness_of([only.steadiness]))
    compiled = [_compile(child, path, compiling) for child in node.value]
    constant, steadiness = all(one.constant for one in compiled), steadiness_of([one.steadiness for one in compiled])
    evaluates = tuple(one.evaluate for one in compiled)
    if len(evaluates) == 1:
        return Compiled(as_list(evaluates[0]), constant=constant, steadiness=steadiness)

    def evaluate(cells: Cells, facts: Facts) -> Any:
        result: list[Any] = []
        for one in evaluates:
            value = one(cells, facts)
            if isinstance(value, list):
                result += value
            elif value is not None and value not in result:
                result.append(value)
        return result or None

    return Compiled(evaluate, constant=constant, steadiness=steadiness)


def _compile_element(node: Node, path: str, compiling: Compiling) -> Compiled:
    compiled = {name: _compile(child, f"{path}.{name}", compiling) for name, child in node.value.items()}
    beside = _constants(compiled)
    if all(one.constant for one in compiled.values()):
        return Compiled(always(beside or None), constant=True)
    # What comes from the row is evaluated first: where it is empty, the constants beside it are not needed.
    from_row = tuple((name, one.evaluate) for name, one in compiled.items() if not one.constant)
    steadiness = steadiness_of([one.steadiness for one in compiled.values()])
    if len(from_row) == 1:
        return Compiled(_single_element(*from_row[0], beside), steadiness=steadiness)

    def evaluate(cells: Cells, facts: Facts) -> Any:
        result: dict[str, Any] = {}
        for name, one in from_row:
            value = one(cells, facts)
            if value is not None:
                result[name] = value
        return result | beside if result else None

    return Compiled(evaluate, steadiness=steadiness)


def _single_element(name: str, only: Evaluate, beside: dict[str, Any]) -> Evaluate:
    def evaluate(cells: Cells, facts: Facts) -> Any:
        value = only(cells, facts)
        return None if value is None else {name: value, **beside}

    return evaluate


def _constants(compiled: Mapping[str, Compiled]) -> dict[str, Any]:
    """Return the constant elements; all resources share them."""
    nothing: Any = None
    return {name: one.evaluate({}, nothing) for name, one in compiled.items() if one.constant}


def _formats(node: Node | None, faults: Faults) -> tuple[str, ...]:
    if node is None:
        return ("yyyy-mm-dd",)
    names = []
    for child in node.value if node.is_list else [node]:
        name = format_name(child.text)
        if name not in FORMATS:
            faults.unknown(child.place, "date format", child.text, FORMATS)
        names.append(name)
    return tuple(names)


def _aliases(node: Node | None, faults: Faults) -> dict[str, tuple[str, ...]]:
    if node is None:
        return {}
    if not node.is_mapping:
        faults.add(node.place, "aliases name for a column its other names: {Column: [Other name]}")
        return {}
    return {
        column: _texts(child, f"the aliases of '{column}' are a list of names", faults)
        for column, child in node.value.items()
    }


def _texts(node: Node | None, message: str, faults: Faults) -> tuple[str, ...]:
    if node is None:
        return ()
    if not node.is_list or any(not child.text for child in node.value):
        faults.add(node.place, message)
        return ()
    return tuple(child.text for child in node.value)


def _check_keys(node: Node, what: str, known: Iterable[str], faults: Faults) -> None:
    names = tuple(known)
    for key in node.value:
        if key not in names:
            faults.unknown(node.keys.get(key, Place()), what, key, names)


def _once(problems: Iterable[ConfigurationProblem]) -> list[ConfigurationProblem]:
    """Drop repeats: every item of for_each compiles the same lines."""
    return list(dict.fromkeys(problems))
