"""Writes an invented region's three exports and the truth about every row."""

import csv
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from fhir_gateway.synth import cohort, khanza, puskesmas
from fhir_gateway.synth.dice import dice_for
from fhir_gateway.synth.population import Family, Person, Region, families
from fhir_gateway.synth.registration import Clerk
from fhir_gateway.synth.scatter import Scatter
from fhir_gateway.synth.sheet import Workbook, row_xml
from fhir_gateway.synth.truth import HEADER, TRUTH_FILE
from fhir_gateway.synth.written import WrittenRow

FILES = {khanza.SOURCE: "simrs-khanza.csv", cohort.SOURCE: "asik.xlsx", puskesmas.SOURCE: "puskesmas.csv"}
_PERSONS_A_BUCKET = 250
_MOST_BUCKETS = 128
_A_SHEET = 500
"""Lines of one month's sheet, after which the running number begins anew."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: persons who stand in at least one row, rows per source, distinct doses that rows speak of."""

    persons: int
    rows: dict[str, int]
    doses: int


def generate(folder: Path, region: Region) -> Written:
    """Write the exports and the truth of `region.persons` people into the folder; memory stays flat.

    The same region makes the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buckets = min(_MOST_BUCKETS, region.persons // _PERSONS_A_BUCKET + 1)
    with tempfile.TemporaryDirectory(dir=folder) as spool, ExitStack() as stack:
        scatters = {source: Scatter(Path(spool), source, buckets, stack) for source in FILES}
        doses = _fill(region, scatters)
        with (folder / TRUTH_FILE).open("w", encoding="utf-8", newline="") as truth:
            truth.write(",".join(HEADER) + "\n")
            rows = {
                khanza.SOURCE: _write_hospital(folder, scatters[khanza.SOURCE], truth),
                cohort.SOURCE: _write_cohort(folder, scatters[cohort.SOURCE], truth),
                puskesmas.SOURCE: _write_sheet(folder, scatters[puskesmas.SOURCE], truth, region.seed),
            }
    return Written(region.persons, rows, doses)


def _fill(region: Region, scatters: dict[str, Scatter]) -> int:
    """Spool the rows of the first `region.persons` people who have any, and return how many doses they speak of."""
    hospital = khanza.HospitalBooks()
    persons = doses = 0
    stranger_nik = ""
    for family in families(region):
        clerk = Clerk(dice_for(region.seed, "clerk", family.household.id), region.rates, family, stranger_nik)
        for person in family.people:
            rows = list(_rows_of(clerk, person, hospital))
            if not rows:
                continue
            truth = _truth(family, person)
            for source, row in rows:
                scatters[source].add(row, truth)
            doses += len({dose for _, row in rows for dose in row.doses})
            persons += 1
            if persons == region.persons:
                return doses
        stranger_nik = family.mother.niks[0]
    return doses


def _rows_of(clerk: Clerk, person: Person, hospital: khanza.HospitalBooks) -> Iterator[tuple[str, WrittenRow]]:
    for row in hospital.rows(clerk, person):
        yield khanza.SOURCE, row
    for row in cohort.cohort_rows(clerk, person):
        yield cohort.SOURCE, row
    for row in puskesmas.sheet_rows(clerk, person):
        yield puskesmas.SOURCE, row


def _truth(family: Family, person: Person) -> str:
    """Return what is true of a person, as the middle columns of the truth."""
    child = person.role == "child"
    parents = (family.mother.id, family.father.id) if child else ("", "")
    return ",".join((person.id, person.role, *parents, person.twin_of, family.household.id, person.namesake))


class _TruthWriter:
    """Numbers the rows of one source and writes what is true of them."""

    def __init__(self, file: TextIO, source: str) -> None:
        self._file = file
        self._source = source
        self.rows = 0

    def write(self, truth: str, tags: str, doses: str) -> None:
        self.rows += 1
        self._file.write(f"{self._source},{self.rows},{truth},{tags},{doses}\n")


def _write_hospital(folder: Path, scatter: Scatter, truth: TextIO) -> int:
    writer = _TruthWriter(truth, khanza.SOURCE)
    with (folder / FILES[khanza.SOURCE]).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(khanza.COLUMNS)
        for text, person, tags, doses in scatter.rows():
            file.write(text + "\n")
            writer.write(person, tags, doses)
    return writer.rows


def _write_cohort(folder: Path, scatter: Scatter, truth: TextIO) -> int:
    writer = _TruthWriter(truth, cohort.SOURCE)
    with Workbook(folder / FILES[cohort.SOURCE]) as workbook:
        for title in cohort.TITLES:
            workbook.write(row_xml([title]))
        workbook.write(row_xml(cohort.COLUMNS))
        for text, person, tags, doses in scatter.rows():
            workbook.write(text)
            writer.write(person, tags, doses)
    return writer.rows


def _write_sheet(folder: Path, scatter: Scatter, truth: TextIO, seed: int) -> int:
    writer = _TruthWriter(truth, puskesmas.SOURCE)
    dice = dice_for(seed, "blank lines")
    with (folder / FILES[puskesmas.SOURCE]).open("w", encoding="cp1252", newline="") as file:
        file.write(";".join(puskesmas.COLUMNS) + "\r\n")
        for text, person, tags, doses in scatter.rows():
            file.write(f"{writer.rows % _A_SHEET + 1};{text}\r\n")
            writer.write(person, tags, doses)
            if dice.happens(0.0005):
                file.write("\r\n")
    return writer.rows
