"""One search parameter with its modifier and values as a condition in SQL over the index tables.

https://hl7.org/fhir/R4/search.html; what is not understood is refused, never ignored.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from fhir_gateway.embedded_server.answers import RefusedError
from fhir_gateway.embedded_server.indexing import fold, target_of
from fhir_gateway.embedded_server.parameters import Kind, Parameter, number_of, parameters_of
from fhir_gateway.fhir.date_ranges import range_of
from fhir_gateway.fhir.references import reference_targets
from fhir_gateway.fhir.validation import resource_types

MOST_ALTERNATIVES = 200
"""Alternatives that each cost a condition of their own; codes of one system and references cost none."""

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d.*)")
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\([,|$\\])")
_MODIFIERS = {
    Kind.TOKEN: {"", "not", "missing"},
    Kind.STRING: {"", "exact", "contains", "missing"},
    Kind.DATE: {"", "missing"},
    Kind.SPECIAL: {""},
}
_RANGES: Mapping[str, str] = {
    "eq": "{low} >= :low AND {high} <= :high",
    "ne": "NOT ({low} >= :low AND {high} <= :high)",
    "gt": "{high} > :high",
    "lt": "{low} < :low",
    "ge": "{high} >= :low",
    "le": "{low} <= :high",
    "sa": "{low} > :high",
    "eb": "{high} < :low",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition over `resource` in SQL and its arguments."""

    sql: str
    arguments: tuple[Any, ...]


class UnknownParameterError(RefusedError):
    """A search parameter that the server does not have; lenient handling ignores it with a warning."""

    def __init__(self, resource_type: str, name: str) -> None:
        known = ", ".join(sorted(parameters_of(resource_type)))
        super().__init__(
            400, "not-supported", f"{resource_type} has no search parameter {shown(name)} here; it has {known}"
        )


def shown(name: str) -> str:
    """Return a parameter's name as it may stand in an answer: as it was sent where it looks like a name."""
    return name if re.fullmatch(r"[A-Za-z_][\w.:-]{0,60}", name) else "of this name"


def condition_of(resource_type: str, key: str, value: str, *, base: str) -> Condition:
    """Return the condition for one `key=value` of a search; raises RefusedError for what is not supported."""
    head, _, chained = key.partition(".")
    name, _, modifier = head.partition(":")
    parameter = parameters_of(resource_type).get(name)
    if parameter is None:
        raise UnknownParameterError(resource_type, name)
    if not value:
        raise RefusedError(400, "invalid", f"the search parameter {shown(key)} has no value")
    values = [part for part in _UNESCAPED_COMMA.split(value) if part]
    if chained:
        return _chain(resource_type, parameter, modifier, key=chained, value=value, base=base)
    if parameter.kind is Kind.REFERENCE:
        return _reference(resource_type, parameter, modifier, values=values, base=base)
    if modifier not in _MODIFIERS[parameter.kind]:
        raise RefusedError(400, "not-supported", f"the modifier of {shown(key)} is not supported")
    if modifier == "missing":
        return _missing(parameter.kind.value, [number_of(resource_type, name)], values)
    return _BUILDERS[parameter.kind](resource_type, name, modifier, values)


def unescape(text: str) -> str:
    """Return a value without FHIR's escapes of comma, bar, dollar and backslash."""
    return _ESCAPED.sub(r"\1", text)


def _special(_: str, name: str, __: str, values: list[str]) -> Condition:
    if name == "_id":
        return Condition("id IN (SELECT value FROM json_each(?))", (_json([unescape(value) for value in values]),))
    return _any([_range("updated", "updated", value) for value in values])


def _token(resource_type: str, name: str, modifier: str, values: list[str]) -> Condition:
    selected = _tokens(number_of(resource_type, name), values)
    negation = "NOT " if modifier == "not" else ""
    return Condition(f"rid {negation}IN ({selected.sql})", selected.arguments)


def _tokens(number: int, values: list[str]) -> Condition:
    """Return a query of the resources that carry any of these tokens, values of one system together."""
    by_system: dict[str | None, list[str]] = {}
    queries: list[str] = []
    arguments: list[Any] = []
    for value in values:
        parts = [unescape(part) for part in _UNESCAPED_BAR.split(value)]
        system, code = (parts[0], parts[1]) if len(parts) > 1 else (None, parts[0])
        if len(parts) > 2 or not (system or code):
            raise RefusedError(400, "invalid", "a token is written code, system|code, |code or system|")
        by_system.setdefault(system, []).append(code)
    _check_number(len(by_system))
    for system, codes in by_system.items():
        if "" in codes:
            queries.append("SELECT rid FROM token WHERE param = ? AND system = ?")
            arguments += [number, system]
        named = _json([code for code in codes if code])
        of_system = "" if system is None else " AND system = ?"
        queries.append(
            f"SELECT rid FROM token WHERE param = ? AND value IN (SELECT value FROM json_each(?)){of_system}"  # noqa: S608
        )
        arguments += [number, named, *(() if system is None else (system,))]
    return Condition(" UNION ALL ".join(queries), tuple(arguments))


def _string(resource_type: str, name: str, modifier: str, values: list[str]) -> Condition:
    number = number_of(resource_type, name)
    found = []
    for value in map(unescape, values):
        folded = fold(value)
        if modifier == "exact":
            found.append(Condition("value = ? AND exact = ?", (folded, value)))
        elif modifier == "contains":
            found.append(Condition("instr(value, ?) > 0", (folded,)))
        else:
            found.append(Condition("value >= ? AND value < ?", (folded, folded + "\U0010ffff")))
    either = _any(found)
    return Condition(
        f"rid IN (SELECT rid FROM string WHERE param = ? AND {either.sql})",  # noqa: S608 - built of constants
        (number, *either.arguments),
    )


def _date(resource_type: str, name: str, _: str, values: list[str]) -> Condition:
    either = _any([_range("low", "high", value) for value in values])
    return Condition(
        f"rid IN (SELECT rid FROM date WHERE param = ? AND {either.sql})",  # noqa: S608 - built of constants
        (number_of(resource_type, name), *either.arguments),
    )


def _range(low: str, high: str, value: str) -> Condition:
    found = _PREFIXED.fullmatch(value)
    try:
        wanted = range_of(found[2] if found else value)
    except ValueError as error:
        raise RefusedError(400, "invalid", f"a date in the search cannot be read: {error}") from error
    sql = _RANGES[(found and found[1]) or "eq"].format(low=low, high=high)
    arguments = tuple(wanted.low if mark == ":low" else wanted.high for mark in re.findall(":low|:high", sql))
    return Condition(re.sub(":low|:high", "?", sql), arguments)


def _reference(resource_type: str, parameter: Parameter, modifier: str, *, values: list[str], base: str) -> Condition:
    numbers = [number_of(resource_type, path) for path, _ in parameter.paths]
    if modifier == "missing":
        return _missing("reference", numbers, values)
    if modifier == "identifier":
        queries = [_tokens(number_of(resource_type, f"{path}:identifier"), values) for path, _ in parameter.paths]
        sql = " UNION ALL ".join(query.sql for query in queries)
        return Condition(f"rid IN ({sql})", tuple(a for query in queries for a in query.arguments))
    targets: list[str] = []
    for value in map(unescape, values):
        targets += _targets(resource_type, parameter, modifier, value=value, base=base)
    return Condition(
        "rid IN (SELECT rid FROM reference WHERE target IN (SELECT value FROM json_each(?))"
        " AND param IN (SELECT value FROM json_each(?)))",
        (_json(targets), _json(numbers)),
    )


def _targets(resource_type: str, parameter: Parameter, modifier: str, *, value: str, base: str) -> list[str]:
    """Return what a value of a reference parameter may be indexed under."""
    allowed = _allowed_targets(resource_type, parameter)
    if modifier and modifier not in allowed:
        raise RefusedError(400, "invalid", f"{parameter.name} cannot refer to what its modifier names")
    if "/" not in value:
        return [f"{target}/{value}" for target in ([modifier] if modifier else allowed)]
    target = target_of(value.removeprefix(f"{base}/"))
    narrowed = target.split("/", maxsplit=1)[0]
    wrong = narrowed in resource_types() and (narrowed not in allowed or (modifier and narrowed != modifier))
    # The server's own resources may be referred to by their full address, too.
    return [] if wrong else [target, f"{base}/{target}"]


@cache
def _reference_types(resource_type: str, path: str) -> tuple[str, ...]:
    named = reference_targets(resource_type, path)
    return tuple(sorted(resource_types())) if not named or "Resource" in named else named


def _allowed_targets(resource_type: str, parameter: Parameter) -> list[str]:
    found: dict[str, None] = {}
    for path, narrowed in parameter.paths:
        found |= dict.fromkeys([narrowed] if narrowed else _reference_types(resource_type, path))
    return list(found)


def _chain(  # noqa: PLR0913 - a chain has two ends
    resource_type: str, parameter: Parameter, modifier: str, *, key: str, value: str, base: str
) -> Condition:
    """Return the condition `parameter.key=value`: it refers to a resource that matches."""
    if parameter.kind is not Kind.REFERENCE or "." in key:
        raise RefusedError(400, "not-supported", "only one step from a reference can be chained")
    targets = [modifier] if modifier else _allowed_targets(resource_type, parameter)
    if len(targets) != 1:
        raise RefusedError(
            400, "invalid", f"{parameter.name} can refer to several types: name one, as {parameter.name}:Patient.…"
        )
    inner = condition_of(targets[0], key, value, base=base)
    numbers = _json([number_of(resource_type, path) for path, _ in parameter.paths])
    return Condition(
        "rid IN (SELECT r.rid FROM reference r WHERE r.param IN (SELECT value FROM json_each(?)) AND r.target IN"  # noqa: S608
        f" (SELECT type || '/' || id FROM resource WHERE +type = ? AND body IS NOT NULL AND {inner.sql}))",
        (numbers, targets[0], *inner.arguments),
    )


def _missing(table: str, numbers: list[int], values: list[str]) -> Condition:
    if values not in (["true"], ["false"]):
        raise RefusedError(400, "invalid", "the modifier :missing takes true or false")
    negation = "NOT " if values == ["true"] else ""
    return Condition(
        f"rid {negation}IN (SELECT rid FROM {table} WHERE param IN (SELECT value FROM json_each(?)))",  # noqa: S608
        (_json(numbers),),
    )


def _check_number(alternatives: int) -> None:
    if alternatives > MOST_ALTERNATIVES:
        words = f"at most {MOST_ALTERNATIVES} dates, texts or systems can be searched for at once"
        raise RefusedError(400, "too-costly", words)


def _any(conditions: list[Condition]) -> Condition:
    _check_number(len(conditions))
    sql = " OR ".join(condition.sql for condition in conditions)
    return Condition(f"({sql})", tuple(a for condition in conditions for a in condition.arguments))


def _json(values: list[Any]) -> str:
    return orjson.dumps(values).decode()


_BUILDERS: Mapping[Kind, Callable[[str, str, str, list[str]], Condition]] = {
    Kind.TOKEN: _token,
    Kind.STRING: _string,
    Kind.DATE: _date,
    Kind.SPECIAL: _special,
}
