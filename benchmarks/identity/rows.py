"""The rows that every method gets: an invented region's exports, read and converted as `load` does."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from fhir_gateway.bundling.digests import content_digest, digest
from fhir_gateway.domain.records import Converted, Resource, SourceRecord
from fhir_gateway.identity.given import Listed, listed
from fhir_gateway.mapping.functions import ConversionContext
from fhir_gateway.sources import open_source
from fhir_gateway.sources.mapping_folders import find_mappings, load_found
from fhir_gateway.synth.reports import ReportedRow

REJECTED = -1
PARKED = -2


@dataclass(slots=True)
class Region:
    """The distinct Patients that the rows say, and for each row of each source which one: REJECTED, PARKED or its number.

    `parked` are rows whose key stands twice with other content; `load` sends them to review whoever they are about.
    """

    patients: list[bytes] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)
    rows: dict[str, "array[int]"] = field(default_factory=dict)

    def people(self) -> Iterator[Resource]:
        """Yield the distinct Patients; they are kept as text, which is a tenth of their size as objects."""
        return map(orjson.loads, self.patients)

    def reports(self, patients: list[str]) -> dict[str, list[ReportedRow]]:
        """Return what a gateway would report of the converted rows, given each distinct Patient's label; an empty one is in review."""
        return {
            source: [
                self._reported(number, person, patients)
                for number, person in enumerate(rows, start=1)
                if person != REJECTED
            ]
            for source, rows in self.rows.items()
        }

    def _reported(self, number: int, person: int, patients: list[str]) -> ReportedRow:
        if person == PARKED or not patients[person]:
            return ReportedRow(number, "review")
        return ReportedRow(number, "loaded", patients[person])


def read_region(folder: Path, files: dict[str, str]) -> Region:
    """Read and convert the exports in the order of `files` (source → name)."""
    region = Region()
    numbers: dict[str, int] = {}
    context = ConversionContext(zone=ZoneInfo("Asia/Jakarta"), today=date(2026, 1, 1))
    found = [load_found(each, folder) for each in find_mappings(folder)]
    mappings = {mapping.layout.mapping: mapping for mapping in found}
    for source, name in files.items():
        opened = open_source(folder / name, [mapping.layout for mapping in mappings.values()])
        convert = mappings[opened.layout.mapping].convert
        rows = array("q")
        contents: dict[str, str] = {}
        conflicts: set[str] = set()
        keys: list[str] = []
        for record in opened.records():
            result = convert(record, context) if isinstance(record, SourceRecord) else None
            if not isinstance(result, Converted):
                rows.append(REJECTED)
                keys.append("")
                continue
            content = content_digest(result.patient, result.doses, result.missing)
            if contents.setdefault(result.key, content) != content:
                conflicts.add(result.key)
            keys.append(result.key)
            number = _number(region, numbers, result.patient)
            region.listed[number] |= listed(source, result.doses, result.missing, zone=context.zone)
            rows.append(number)
        for place, key in enumerate(keys):
            if key in conflicts:
                rows[place] = PARKED
        region.rows[source] = rows
    return region


def _number(region: Region, numbers: dict[str, int], patient: Resource) -> int:
    number = numbers.setdefault(digest(patient), len(region.patients))
    if number == len(region.patients):
        region.patients.append(orjson.dumps(patient))
        region.listed.append(Listed())
    return number
