"""Value nodes of a mapping, compiled: columns or a constant, passed through a function."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_gateway.domain.records import Problem
from fhir_gateway.mapping.concept_maps import ConceptMap
from fhir_gateway.mapping.document import Faults, Node, Place, did_you_mean
from fhir_gateway.mapping.functions import Facts, MappingFunction, Setup, Steadiness, steadiness_of
from fhir_gateway.people.dates import FORMATS, format_name

if TYPE_CHECKING:
    from fhir_gateway.mapping.elements import Element

Cells = Mapping[str, str]
"""What columns that the mapping reads say (see columns.said); columns that the file lacks say ""."""

Evaluate = Callable[[Cells, Facts], Any]
Read = Callable[[Cells], str]

VALUE_KEYS = ("column", "columns", "constant", "through", "required")
_VARIABLE = re.compile(r"\{(\w+)\}")
_MARKS = frozenset({"column", "columns", "constant", "through"})


@dataclass(slots=True)
class Compiling:
    """What the compilation of one mapping shares: its declarations, its faults, and the columns that it reads."""

    faults: Faults
    functions: Mapping[str, MappingFunction]
    maps: Mapping[str, ConceptMap]
    formats: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    nik_columns: dict[str, None] = field(default_factory=dict)
    date_columns: set[str] = field(default_factory=set)
    day_first: set[str] = field(default_factory=set)
    month_first: set[str] = field(default_factory=set)
    sexes: set[str] = field(default_factory=set)
    conditions: set[str] = field(default_factory=set)
    variables: Mapping[str, str] = field(default_factory=dict)
    elements: dict[str, "Element"] = field(default_factory=dict)
    """Steady elements that a function makes of one column, by how they are written."""

    def fill(self, text: str) -> str:
        """Replace `{each}` and the other variables of a `for_each` item."""
        for name, value in self.variables.items():
            text = text.replace("{" + name + "}", value)
        return text

    def names(self, column: str) -> tuple[str, ...]:
        """Return the column's name and its aliases."""
        return (column, *self.aliases.get(column, ()))

    def reader(self, column: str) -> Read:
        """Return what reads a column, or the first of its aliases that is filled; notes that it is read."""
        names = self.names(column)
        self.columns.update(dict.fromkeys(names))
        if len(names) == 1:
            return itemgetter(column)
        return lambda cells: next(filter(None, (cells[name] for name in names)), "")


class Compiled(NamedTuple):
    """A compiled node: what makes its value.

    `constant` says that it is the same for every row, so that it makes no element alone; `steadiness` what else than the cells
    decides it.
    """

    evaluate: Evaluate
    constant: bool = False
    steadiness: Steadiness = Steadiness.STEADY


def is_value(node: Node) -> bool:
    """Whether a node is a value (a column, a constant, a function) and no FHIR element."""
    return node.is_mapping and not _MARKS.isdisjoint(node.value)


def compile_value(node: Node, path: str, compiling: Compiling, *, listed: bool = False) -> Compiled:
    """Compile a value node, `listed` to a list of one; faults are noted, and the closure is then never called."""
    faults = compiling.faults
    for key in node.value:
        if key not in VALUE_KEYS:
            faults.unknown(node.keys[key], "key", key, VALUE_KEYS)
    columns = _column_names(node, compiling)
    readers = tuple(compiling.reader(column) for column in columns)
    constant = node.value.get("constant")
    fixed = (
        compiling.fill(constant.text) if constant is not None and not isinstance(constant.value, bool | int) else None
    )
    if constant is not None and (constant.is_mapping or constant.is_list):
        faults.add(constant.place, "a constant is a text, a number, true or false", 'write "{each}" in quotation marks')
    if constant is not None and columns:
        faults.add(node.place, "a value has columns or a constant, not both")
    steps = _steps(node.value.get("through"), compiling)
    if constant is not None and not steps:
        evaluate = always(fixed if fixed is not None else constant.value)
        return Compiled(as_list(evaluate) if listed else evaluate, constant=True)
    required = _is_required(node, faults)
    for step in steps:
        if step.function.needs_columns and not columns and constant is None:
            faults.add(node.place, f"the function {step.function.name} needs a column")
    if steps:
        _check_columns(steps[0], columns, (node.value.get("columns") or node).place, faults)
    known = ("",) if constant is not None else columns
    functions = [_build(step, known, path, compiling) for step in steps]
    missing = _missing_problem(path, columns) if required else None
    several = required or len(steps) != 1
    steadiness = (
        steadiness_of([step.function.steadiness for step in steps]) if several else steps[0].function.steadiness
    )
    if columns and fixed is None and len(functions) == 1:
        one = len(columns) == 1
        read = readers[0] if one else _texts_reader(columns, readers, fixed)
        evaluate = _one_function(read, functions[0], missing, one_column=one, listed=listed)
        return Compiled(evaluate, steadiness=steadiness)
    applied = _applied(columns, readers, fixed, functions)
    evaluate = _required(applied, missing) if missing else _optional(applied)
    return Compiled(as_list(evaluate) if listed else evaluate, steadiness=steadiness)


def _check_columns(step: "_Step", columns: tuple[str, ...], place: Place, faults: Faults) -> None:
    """Note columns that the function would pass over: what stands in them would be lost without a word."""
    function = step.function
    if function.columns == 1 and len(columns) > 1:
        faults.add(place, f"the function {function.name} reads one column", "name the others as its aliases")
    elif function.columns > 1 and len(columns) != function.columns:
        faults.add(place, f"the function {function.name} reads {function.columns} columns")
    entries = step.options.get(function.for_each_column)
    if entries is not None and len(entries) != len(columns):
        words = f"the function {function.name} has {len(entries)} {function.for_each_column} for {len(columns)} column{'s' * (len(columns) != 1)}"
        faults.add(place, words, "one for each column, in their order")


def always(value: Any) -> Evaluate:
    """Return what yields the same value for every row."""
    return lambda cells, facts: value  # noqa: ARG005 - the signature of all values


def _applied(columns: tuple[str, ...], readers: tuple[Read, ...], fixed: str | None, functions: list[Any]) -> Evaluate:
    """Return the functions applied to what the columns say; the value may be a Problem."""
    if len(readers) == 1 and fixed is None and not functions:
        only = readers[0]
        return lambda cells, facts: only(cells) or None  # noqa: ARG005 - the signature of all values
    apply = _chain(functions)
    if len(readers) == 1 and fixed is None:
        only = readers[0]
        return lambda cells, facts: apply((only(cells),), facts)
    texts = _texts_reader(columns, readers, fixed)
    return lambda cells, facts: apply(texts(cells), facts)


def as_list(only: Evaluate) -> Evaluate:
    """Return what makes a list of a value; one that is a list already stays as it is, and so does None."""

    def evaluate(cells: Cells, facts: Facts) -> Any:
        value = only(cells, facts)
        return value if value is None or isinstance(value, list) else [value]

    return evaluate


def _one_function(
    read: Callable[[Cells], Any], function: Any, missing: Problem | None, *, one_column: bool, listed: bool
) -> Evaluate:
    """Return what _optional or _required and as_list make of columns' only function, as most have, in one call."""

    def evaluate(cells: Cells, facts: Facts) -> Any:
        texts = read(cells)
        value = function((texts,) if one_column else texts, facts)
        if listed and value.__class__ is dict:
            return [value]
        if value.__class__ is Problem:
            facts.problems.append(value)
            return None
        if missing is not None and (value is None or value == ""):
            facts.problems.append(missing)
            return None
        return [value] if listed and value is not None and not isinstance(value, list) else value

    return evaluate


def _optional(apply: Evaluate) -> Evaluate:
    def evaluate(cells: Cells, facts: Facts) -> Any:
        value = apply(cells, facts)
        if value.__class__ is Problem:
            facts.problems.append(value)
            return None
        return value

    return evaluate


def _required(apply: Evaluate, missing: Problem) -> Evaluate:
    def evaluate(cells: Cells, facts: Facts) -> Any:
        value = apply(cells, facts)
        if value.__class__ is Problem:
            facts.problems.append(value)
            return None
        if value is None or value == "":
            facts.problems.append(missing)
            return None
        return value

    return evaluate


def _chain(functions: list[Any]) -> Any:
    if not functions:
        return lambda texts, facts: next(filter(None, texts), None)  # noqa: ARG005 - the signature of all functions
    first, rest = functions[0], functions[1:]
    if not rest:
        return first

    def chained(texts: tuple[str, ...], facts: Facts) -> Any:
        value = first(texts, facts)
        for function in rest:
            value = function((value,), facts) if isinstance(value, str) else value
        return value

    return chained


def _texts_reader(
    columns: tuple[str, ...], readers: tuple[Read, ...], fixed: str | None
) -> Callable[[Cells], tuple[str, ...]]:
    if fixed is not None or not readers:
        texts = () if fixed is None else (fixed,)
        return lambda cells: texts  # noqa: ARG005 - the signature of all readers
    if all(isinstance(reader, itemgetter) for reader in readers):
        return itemgetter(*columns)
    return lambda cells: tuple([reader(cells) for reader in readers])


def _missing_problem(path: str, columns: tuple[str, ...]) -> Problem:
    subject = Setup(path, columns, {}, (), {}).subject
    words = subject.replace("-", " ")
    column = columns[0] if columns else ""
    return Problem(f"{subject}-missing", f"the {words} is missing", f"fill in {column}" if column else "", column)


def _is_required(node: Node, faults: Faults) -> bool:
    required = node.value.get("required")
    if required is not None and not isinstance(required.value, bool):
        faults.add(required.place, "required is true or false")
    return required is not None and required.value is True


def _column_names(node: Node, compiling: Compiling) -> tuple[str, ...]:
    single, several = node.value.get("column"), node.value.get("columns")
    if single is not None and several is not None:
        compiling.faults.add(node.place, "a value has column or columns, not both")
    if single is not None:
        return (column_name(single, compiling),)
    if several is None:
        return ()
    if not several.is_list or not several.value:
        compiling.faults.add(several.place, "columns is a list of columns' names")
        return ()
    return tuple(column_name(child, compiling) for child in several.value)


def column_name(node: Node, compiling: Compiling) -> str:
    """Return the column that a node names, with the variables of `for_each` filled in."""
    name = compiling.fill(node.text)
    if not name:
        compiling.faults.add(node.place, "here stands one column's name")
    for variable in _VARIABLE.findall(name):
        compiling.faults.add(
            node.place,
            f"{{{variable}}} is no variable of for_each",
            did_you_mean(variable, compiling.variables) or "a column's name with braces cannot be read",
        )
    return name


@dataclass(frozen=True, slots=True)
class _Step:
    function: MappingFunction
    options: dict[str, Any]


def _steps(through: Node | None, compiling: Compiling) -> list[_Step]:
    """Read `through`: a function's name, `{name: {options}}`, or a list of these."""
    if through is None:
        return []
    found = []
    for node in through.value if through.is_list else [through]:
        named = list(node.value.items()) if node.is_mapping else [(node.text, None)]
        if len(named) != 1 or not named[0][0]:
            compiling.faults.add(
                node.place, "a function is its name, or its name with its options: {name: {option: …}}"
            )
            continue
        name, options = named[0]
        function = compiling.functions.get(name)
        if function is None:
            compiling.faults.unknown(node.keys.get(name, node.place), "function", name, compiling.functions)
            continue
        found.append(_Step(function, _read_options(function, options, node, compiling)))
    return found


def _read_options(function: MappingFunction, options: Node | None, node: Node, compiling: Compiling) -> dict[str, Any]:
    faults = compiling.faults
    if options is not None and not options.is_mapping:
        faults.add(options.place, f"the options of {function.name} are keys and values")
        return {}
    given: dict[str, Node] = dict(options.value) if options is not None else {}
    if function.free_options:
        return {key: child.plain() for key, child in given.items()}
    for name, option in function.options.items():
        if option.required and name not in given:
            faults.add(node.place, f"the function {function.name} needs the option '{name}'")
    for name in given:
        if name not in function.options and options is not None:
            faults.unknown(options.keys[name], f"option of {function.name}", name, function.options)
    return {
        name: _read_option(name, child, function, compiling)
        for name, child in given.items()
        if name in function.options
    }


def _read_option(name: str, node: Node, function: MappingFunction, compiling: Compiling) -> Any:
    option = function.options[name]
    faults = compiling.faults
    if option.kind == "flag":
        if not isinstance(node.value, bool):
            faults.add(node.place, f"{name} is true or false")
        return node.value is True
    entries = node.value if node.is_list else [node]
    if option.kind == "text" and (node.is_list or node.is_mapping):
        faults.add(node.place, f"{name} is one word")
        return ""
    texts = [compiling.fill(entry.text) for entry in entries]
    if option.choices == FORMATS:
        texts = [format_name(text) for text in texts]
    for entry, text in zip(entries, texts, strict=True):
        if option.choices and text not in option.choices:
            what, shown = ("date format", entry.text) if option.choices == FORMATS else (name, text)
            faults.add(entry.place, f"unknown {what} '{shown}'", did_you_mean(text, option.choices))
    if name == "map" and texts[0] not in compiling.maps:
        faults.unknown(node.place, "concept map", texts[0], compiling.maps)
    return texts[0] if option.kind == "text" else tuple(texts)


def _build(step: _Step, columns: tuple[str, ...], path: str, compiling: Compiling) -> Any:
    """Build a function for its place; where the mapping is faulty, it is never called."""
    function = step.function
    if function.nik:
        compiling.nik_columns.update(dict.fromkeys(columns))
    names = [name for column in columns for name in compiling.names(column)]
    if function.date:
        compiling.date_columns.update(names)
        orders = {form[:2] for form in step.options.get("formats") or compiling.formats} & {"dd", "mm"}
        compiling.day_first.update(names if orders == {"dd"} else ())
        compiling.month_first.update(names if orders == {"mm"} else ())
    if function.sex and not step.options:
        compiling.sexes.update(names)
    if compiling.faults.problems:
        return lambda texts, facts: None  # noqa: ARG005 - never called: the compilation raises
    setup = Setup(path, columns, step.options, compiling.formats, compiling.maps)
    return function.build(setup)
