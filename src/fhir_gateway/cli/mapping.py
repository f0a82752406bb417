"""`fhir-gateway mapping`: which mappings there are, whether they are right, and what they make of a row."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.columns import Columns
from rich.panel import Panel
from rich.text import Text

from fhir_gateway.bootstrap.inputs import open_inputs
from fhir_gateway.cli import options
from fhir_gateway.cli.exit_codes import LEFT_OPEN
from fhir_gateway.cli.printing import console, counted, print_json, print_table, print_text
from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem, UsageError
from fhir_gateway.domain.records import Converted, Rejected, SourceRecord, UnreadableRow
from fhir_gateway.flows.load.tools import Converter
from fhir_gateway.flows.load.validating import validated
from fhir_gateway.mapping.cases import CaseResult, read_cases, run_case, unread_columns
from fhir_gateway.mapping.editor_schema import editor_schema
from fhir_gateway.settings import EMBEDDED, home, load_environment
from fhir_gateway.sources.mapping_folders import (
    FoundMapping,
    find_mapping,
    find_mappings,
    installed_functions,
    load_found,
    read_text,
)

_SIDE_BY_SIDE = 100
"""Columns of a terminal below which a preview's two halves stand one under the other."""

app = typer.Typer(help="How a source's rows become Patients and Immunizations.", no_args_is_help=True)


@app.command("list")
def list_mappings(as_json: options.Json = False) -> None:
    """List the mappings of the working folder and the shipped ones: the columns that tell their files, and faults."""
    rows = [_listed(found) for found in find_mappings(home())]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("mapping", "what", "from", "required columns"),
        [(row["name"], row["title"], row["origin"], ", ".join(row["required"])) for row in rows],
    )
    for problem in (problem for row in rows for problem in row["problems"]):
        print_text(problem)


def _listed(found: FoundMapping) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "name": found.name,
        "title": "",
        "origin": "working folder" if found.own else "shipped",
        "required": [],
        "file": str(found.file),
        "problems": [],
    }
    try:
        mapping = load_found(found, home())
    except ConfigurationError as error:
        return {**listed, "problems": [str(problem) for problem in error.problems]}
    return {**listed, "title": mapping.title, "required": sorted(mapping.layout.required)}


@app.command()
def check(
    mappings: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|PATH", help="All mappings if none is named.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check mappings and concept maps: every fault with file, line and column, and what would be right."""
    problems: list[ConfigurationProblem] = []
    checked = _chosen(mappings)
    for found in checked:
        problems += _faults(found)
    problems = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))
    if as_json:
        print_json(
            {"checked": [found.name for found in checked], "problems": [_as_json(problem) for problem in problems]}
        )
    if problems:
        raise ConfigurationError(tuple(problems))
    if not as_json:
        for found in checked:
            print(f"{found.name}: no faults ({found.file})")


@app.command("test")
def run_all_cases(
    mappings: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|PATH", help="All mappings if none is named.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Run the cases that stand beside mappings in cases.yaml. Exit code 3: some case failed.

    Columns of a case's row that the mapping does not read are told on stderr, with the nearest one that it would.
    """
    results: list[tuple[FoundMapping, CaseResult]] = []
    without: list[str] = []
    for found in _chosen(mappings):
        mapping = load_found(found, home())
        if not found.cases.is_file():
            without.append(found.name)
            continue
        cases = read_cases(read_text(found.cases), str(found.cases))
        results += ((found, run_case(mapping, case)) for case in cases)
        for case in cases:
            for problem in unread_columns(case, mapping.layout, str(found.cases)):
                print_text(str(problem), file=sys.stderr)
    failed = sum(1 for _, result in results if result.differences)
    if as_json:
        print_json([_result_as_json(found, result) for found, result in results])
    else:
        _print_results(results, without, failed)
    return LEFT_OPEN if failed else 0


@app.command()
def preview(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV, XLSX or NDJSON export.")],
    mapping: options.Mapping = "",
    clinic: options.Clinic = "",
    environment: options.Environment = EMBEDDED,
    limit: Annotated[
        int, typer.Option("--limit", min=0, max=options.MOST, metavar="N", help="Show the first N rows only; 0: all.")
    ] = 5,
    row: Annotated[
        int, typer.Option("--row", min=0, max=options.MOST, metavar="N", help="Show just this data row.")
    ] = 0,
    as_json: options.Json = False,
) -> None:
    """Show rows and the resources that they become, side by side. Shows people's data: it is your own file."""
    settings = load_environment(environment, home())
    (opened,) = open_inputs([file], mapping=mapping, clinic=clinic, environment=settings, now=datetime.now(UTC))
    records = (record for record in opened.source.records() if not row or record.ref.row == row)
    shown = list(islice(records, 1 if row else limit or None))
    if not shown:
        raise UsageError(f"{file}: there is no such row")
    if as_json:
        print_json([_preview_as_json(record, opened.convert) for record in shown])
        return
    console().print(Text(f"{file.name}: read with the mapping {opened.mapping}"))
    for record in shown:
        _print_preview(record, opened.convert)


@app.command()
def schema() -> None:
    """Print the JSON Schema of mapping.yaml, for completion in an editor."""
    print_json(editor_schema(installed_functions()))


def _chosen(names: Iterable[str] | None) -> tuple[FoundMapping, ...]:
    found = tuple(find_mapping(name, home()) for name in names) if names else find_mappings(home())
    if not found:
        raise UsageError("there is no mapping, neither in the working folder nor among the shipped ones")
    return found


def _faults(found: FoundMapping) -> list[ConfigurationProblem]:
    from fhir_gateway.mapping.checking import check_elements  # noqa: PLC0415 -- imports fhir.resources, which is slow

    problems: list[ConfigurationProblem] = []
    try:
        load_found(found, home())
    except ConfigurationError as error:
        problems += error.problems
    try:
        problems += check_elements(read_text(found.file), str(found.file))
    except ConfigurationError as error:
        problems += error.problems
    if found.cases.is_file():
        try:
            read_cases(read_text(found.cases), str(found.cases))
        except ConfigurationError as error:
            problems += error.problems
    return problems


def _as_json(problem: ConfigurationProblem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


def _result_as_json(found: FoundMapping, result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "mapping": found.name,
        "case": case.name,
        "line": case.line,
        "passed": not result.differences,
        "differences": list(result.differences),
    }


def _print_results(results: list[tuple[FoundMapping, CaseResult]], without: list[str], failed: int) -> None:
    for found, result in results:
        if result.differences:
            print(f"{found.cases}:{result.case.line}: {result.case.name}")
            for difference in result.differences:
                print(f"    {difference}")
    for name in without:
        print(f"{name}: has no cases")
    print(f"{counted(len(results), 'case')}, {failed} failed")


def _outcome(record: SourceRecord | UnreadableRow, convert: Converter) -> dict[str, Any]:
    if isinstance(record, UnreadableRow):
        return {"rejected": [_problem(record.problem)]}
    result = validated(convert(record))
    if isinstance(result, Rejected):
        return {"rejected": [_problem(problem) for problem in result.problems]}
    return _converted(result)


def _converted(result: Converted) -> dict[str, Any]:
    shown: dict[str, Any] = {"patient": result.patient, "immunizations": [dose.resource for dose in result.doses]}
    if result.missing:
        shown["missing"] = [{"dose": missing.name, **_problem(missing.problem)} for missing in result.missing]
    return shown


def _problem(problem: Any) -> dict[str, str]:
    parts = {"code": problem.code, "text": problem.text, "suggestion": problem.suggestion, "column": problem.column}
    return {name: value for name, value in parts.items() if value}


def _cells(record: SourceRecord | UnreadableRow) -> dict[str, str]:
    return dict(record.cells) if isinstance(record, SourceRecord) else {"": record.text}


def _preview_as_json(record: SourceRecord | UnreadableRow, convert: Converter) -> dict[str, Any]:
    return {"row": record.ref.row, "cells": _cells(record), **_outcome(record, convert)}


def _print_preview(record: SourceRecord | UnreadableRow, convert: Converter) -> None:
    """Print the row to the left of what it becomes."""
    out = console()
    width = out.width // 2 - 2 if out.width >= _SIDE_BY_SIDE else out.width
    said = "\n".join(f"{column}: {text}" for column, text in _cells(record).items() if text.strip())
    outcome = _outcome(record, convert)
    title = "rejected" if "rejected" in outcome else "resources"
    became = orjson.dumps(outcome, option=orjson.OPT_INDENT_2).decode()
    left = Panel(Text(said), title=Text(f"row {record.ref.row}"), width=width)
    right = Panel(Text(became), title=Text(title), width=width)
    out.print(Columns([left, right], padding=(0, 1)))
