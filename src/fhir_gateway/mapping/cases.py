"""A mapping's cases: rows, and what they must become; they stand in cases.yaml beside the mapping."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from fhir_gateway.domain.errors import ConfigurationProblem
from fhir_gateway.domain.records import Converted, Layout, Rejected, Resource, SourceRecord, SourceRef
from fhir_gateway.fhir.validation import UNKNOWN_ELEMENT, validate
from fhir_gateway.mapping.conversion import CompiledMapping
from fhir_gateway.mapping.document import Faults, Node, Place, parse_yaml
from fhir_gateway.mapping.functions import ConversionContext

_TOP_KEYS = ("today", "zone", "cases")
_CASE_KEYS = ("name", "row", "numeric", "clinic", "expect")
_EXPECT_KEYS = ("rejected", "patient", "doses", "missing", "unmapped")
_RESOURCES = {"patient": "Patient", "doses": "Immunization"}
_OF_A_REPORT = "gateway_"
_SOMEBODY = {"reference": "Patient/somebody"}


@dataclass(frozen=True, slots=True)
class Case:
    """One case: a row, and what is expected of it; `line` is where it stands.

    `columns` are those of the row with their places.
    """

    name: str
    line: int
    record: SourceRecord
    context: ConversionContext
    expected: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case: no differences means that it passed."""

    case: Case
    differences: tuple[str, ...]


def read_cases(text: str, file: str) -> tuple[Case, ...]:
    """Read cases; raises ConfigurationError with all their faults."""
    root = parse_yaml(text, file)
    faults = Faults(file)
    if not root.is_mapping:
        faults.add(root.place, "cases begin with their keys", f"known: {', '.join(_TOP_KEYS)}")
        faults.raise_if_any()
    _check_keys(root, "key", _TOP_KEYS, faults)
    today, zone = _read_today(root, faults), _read_zone(root, faults)
    nodes = root.value.get("cases")
    if nodes is None or not nodes.is_list:
        faults.add(root.place, "the list 'cases' is missing")
        faults.raise_if_any()
    cases = [
        _read_case(node, number, ConversionContext(zone=zone, today=today), faults)
        for number, node in enumerate(nodes.value, 1)
    ]
    faults.raise_if_any()
    return tuple(cases)


def unread_columns(case: Case, layout: Layout, file: str) -> tuple[ConfigurationProblem, ...]:
    """Return the columns of a case's row that the mapping does not read, with the nearest one that it would.

    They are no faults: a row may be copied with all that a source has.
    """
    lacking = {name: name for name in layout.known if name not in case.columns}
    lacking |= {alias: name for name, aliases in layout.aliases if name in lacking for alias in aliases}
    folded = {name.casefold(): lacking[name] for name in sorted(lacking)}
    told = []
    for column, place in case.columns.items():
        if column not in layout.known and not column.startswith(_OF_A_REPORT):
            near = difflib.get_close_matches(column.casefold(), list(folded), n=1)
            words = f"the mapping does not read the column '{column}'"
            hint = f"is it '{folded[near[0]]}'?" if near else ""
            told.append(ConfigurationProblem(file, place.line, place.column, words, hint))
    return tuple(told)


def run_case(mapping: CompiledMapping, case: Case) -> CaseResult:
    """Convert a case's row and compare; every resource that it becomes must be valid FHIR, too."""
    result = mapping.convert(case.record, case.context)
    actual = _describe(result)
    differences = [*_differences(case.expected, actual)]
    if "rejected" not in case.expected and isinstance(result, Rejected):
        differences.append(
            f"rejected: {', '.join(problem.code for problem in result.problems)}, but this was not expected"
        )
    if isinstance(result, Converted):
        differences += _faults_of("patient", result.patient)
        for number, dose in enumerate(result.doses):
            differences += _faults_of(f"doses[{number}]", {**dose.resource, "patient": _SOMEBODY})
    return CaseResult(case, tuple(differences))


def _describe(result: Converted | Rejected) -> dict[str, Any]:
    unmapped = [value.value for value in result.unmapped]
    if isinstance(result, Rejected):
        return {"rejected": [problem.code for problem in result.problems], "unmapped": unmapped}
    return {
        "patient": result.patient,
        "doses": [dose.resource for dose in result.doses],
        "missing": [missing.problem.code for missing in result.missing],
        "unmapped": unmapped,
    }


def _differences(expected: dict[str, Any], actual: dict[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        yield from _compare(name, value, actual.get(name))


def _compare(path: str, expected: Any, actual: Any) -> Iterator[str]:
    """Compare a part: an element that is not named is not asked for, one that is null must be absent."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in expected.items():
            yield from _compare(f"{path}.{name}", value, actual.get(name))
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path}: {len(expected)} expected, {len(actual)} found"
        for number, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from _compare(f"{path}[{number}]", one, other)
    elif expected != actual:
        yield f"{path}: {_shown(expected)} expected, {_shown(actual)} found"


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _faults_of(path: str, resource: Resource) -> list[str]:
    return [f"{path}: {problem.text}" for problem in validate(resource)]


def _read_case(node: Node, number: int, context: ConversionContext, faults: Faults) -> Case:
    if not node.is_mapping:
        faults.add(node.place, "a case has the keys name, row and expect")
        return Case("", node.place.line, SourceRecord(SourceRef("", number), {}), context)
    _check_keys(node, "key of a case", _CASE_KEYS, faults)
    for key in ("name", "row", "expect"):
        if key not in node.value:
            faults.add(node.place, f"the key '{key}' is missing")
    row, expect = _keyed(node, "row", faults), _keyed(node, "expect", faults)
    for column, cell in row.value.items():
        if cell.is_mapping or cell.is_list:
            faults.add(cell.place, f"the cell of '{column}' is no text")
    _check_keys(expect, "key of expect", _EXPECT_KEYS, faults)
    _check_elements(expect, faults)
    clinic = node.value["clinic"].text if "clinic" in node.value else ""
    return Case(
        name=node.value["name"].text if "name" in node.value else "",
        line=node.place.line,
        record=SourceRecord(
            SourceRef("case", number),
            {column: cell.text for column, cell in row.value.items()},
            _read_numeric(node, row, faults),
        ),
        context=ConversionContext(zone=context.zone, today=context.today, clinic=clinic),
        expected=expect.plain(),
        columns=row.keys,
    )


def _keyed(case: Node, key: str, faults: Faults) -> Node:
    """Return what stands under a case's key, an empty mapping where that is none."""
    node: Node | None = case.value.get(key)
    if node is not None and node.is_mapping:
        return node
    if node is not None:
        faults.add(node.place, f"'{key}' needs keys, each with its value")
    return Node({}, case.place)


def _read_numeric(case: Node, row: Node, faults: Faults) -> frozenset[str]:
    """Return the columns whose cells a workbook holds as numbers."""
    node = case.value.get("numeric")
    if node is None:
        return frozenset()
    if not node.is_list:
        faults.add(node.place, "numeric is a list of columns")
        return frozenset()
    for child in node.value:
        if child.text not in row.value:
            faults.unknown(child.place, "column of the row", child.text, row.value)
    return frozenset(child.text for child in node.value)


def _check_elements(expect: Node, faults: Faults) -> None:
    """Note expected elements that FHIR does not have: as null they would be rightly absent for ever."""
    for key, resource_type in _RESOURCES.items():
        part = expect.value.get(key)
        for node in part.value if part is not None and part.is_list else filter(None, (part,)):
            if node.is_mapping:
                for problem in validate({**node.plain(), "resourceType": resource_type}):
                    if problem.code == UNKNOWN_ELEMENT:
                        faults.add(node.place, problem.text, problem.suggestion)


def _check_keys(node: Node, what: str, known: tuple[str, ...], faults: Faults) -> None:
    for key in node.value:
        if key not in known:
            faults.unknown(node.keys[key], what, key, known)


def _read_today(root: Node, faults: Faults) -> date:
    node = root.value.get("today")
    try:
        return date.fromisoformat(node.text if node is not None else "")
    except ValueError:
        place = node.place if node is not None else root.place
        faults.add(place, "today is the day on which the cases are run", "write it as 2026-01-15")
        return date.min


def _read_zone(root: Node, faults: Faults) -> ZoneInfo:
    node = root.value.get("zone")
    name = node.text if node is not None else "Asia/Jakarta"
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        faults.add(
            node.place if node is not None else root.place, f"unknown time zone '{name}'", "write it as Asia/Jakarta"
        )
        return ZoneInfo("UTC")
