"""Who the people are after the same files were loaded in one order or another, and in what two such outcomes differ."""

import io
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.merging_place import everything

from fhir_gateway import bootstrap
from fhir_gateway.cli.app import run
from fhir_gateway.synth.reports import read_report

Row = tuple[str, int]
"""A file's name and a data row's number in it as it was first written."""

People = Mapping[Row, str]
"""Row → the active Patient that it was loaded for, empty where it waits in review; rows that cannot be loaded are left out."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Pairs of rows that one outcome joins and the other parts, and rows that wait in review in one of them only."""

    joined_in_one_only: frozenset[tuple[Row, Row]]
    waiting_in_one_only: frozenset[Row]


def people_after(
    home: Path, loads: Sequence[Sequence[Path]], *, clinics: Mapping[Path, str] | None = None
) -> dict[Row, str]:
    """Load the files of each load together, the loads one after another, merge what they propose, and say who is who.

    The environment variable FHIR_GATEWAY_HOME names `home`, an empty folder. `clinics` are those of files loaded alone.
    """
    reported: dict[Row, str] = {}
    for number, files in enumerate(loads):
        reports = home / f"reports-{number}"
        reports.mkdir()
        alone = len(files) == 1
        target = reports / f"{files[0].stem}.ndjson" if alone else reports
        clinic = (clinics or {}).get(files[0], "") if alone else ""
        _told("load", *files, "--report", target, *(("--clinic", clinic) if clinic else ()))
        for file in files:
            report = target if alone else reports / file.name
            for row in read_report(report):
                if row.status in {"failed", "unreported"}:
                    raise AssertionError(f"{file.name}:{row.row} is {row.status}")
                if row.status != "rejected":
                    reported[file.name, row.row] = row.patient if row.status != "review" else ""
    merge_proposals(home)
    return _followed(home, reported)


def merge_proposals(home: Path) -> None:
    """Merge the Patients that loads found to be one person, as an operator would who agrees."""
    with bootstrap.ledger_of("embedded") as ledger:
        pairs = [pair[:2] for pair in ledger.keys.proposals()]
    for number, group in enumerate(_connected(pairs)):
        plan = home / f"merge-{number}.json"
        _told("merge", "plan", *sorted(group), "--out", plan)
        _told("merge", "apply", plan)


def _told(*arguments: object) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = run([str(argument) for argument in arguments])
    if code not in {0, 3}:
        raise AssertionError(f"{arguments[0]} ended with {code}")
    return said.getvalue()


def _connected(pairs: Sequence[tuple[str, str]]) -> list[set[str]]:
    groups: dict[str, set[str]] = {}
    for one, other in pairs:
        together = groups.get(one, {one}) | groups.get(other, {other})
        groups.update(dict.fromkeys(together, together))
    return [set(group) for group in {frozenset(group) for group in groups.values()}]


def _followed(home: Path, reported: Mapping[Row, str]) -> dict[Row, str]:
    patients = {name.partition("/")[2]: resource for name, resource in everything(home).items() if "Patient/" in name}
    masters = {
        one: link["other"]["reference"].removeprefix("Patient/")
        for one, patient in patients.items()
        for link in patient.get("link", [])
        if link["type"] == "replaced-by"
    }
    return {row: masters.get(patient, patient) for row, patient in reported.items()}


def differences(one: People, other: People) -> Differences:
    """Say in what two outcomes differ; of pairs only rows that wait in neither of them count."""
    waiting = {row for row in one if bool(one.get(row)) != bool(other.get(row))}
    settled = [row for row in one if one[row] and other.get(row)]
    return Differences(frozenset(_pairs(one, settled) ^ _pairs(other, settled)), frozenset(waiting))


def _pairs(people: People, rows: Sequence[Row]) -> set[tuple[Row, Row]]:
    """Return each person's rows in a chain of pairs."""
    of_person: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows):
        of_person[people[row]].append(row)
    return {(a, b) for own in of_person.values() for n, a in enumerate(own) for b in own[n + 1 :]}


def shuffled(file: Path, target: Path, *, seed: int) -> list[int]:
    """Write a CSV file's rows in another order, and return for each of them its old number.

    The rows must stand in one line each.
    """
    with file.open("rb") as lines:
        header, *rows = lines.read().splitlines(keepends=True)
    rows = [row for row in rows if row.strip()]
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    target.write_bytes(header + b"".join(rows[place] for place in order))
    return [place + 1 for place in order]
