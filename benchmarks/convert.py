"""Prints how fast rows become validated NDJSON, beside the same conversion done with fhir.resources objects.

    python benchmarks/convert.py [--persons 3000] [--seed 7] [--rounds 3]

Invented exports and the shipped samples; one core; all ways take turns in one process, so that they meet the same
machine, begin with nothing remembered, and convert every row. Seconds are CPU time. What a way has to do is the same: read
the file, map each row, make, check and write each Patient and Immunization once. The ways with objects map with the
gateway's own functions, and build each resource element by element, as such conversions are written:

- `objects` also read with the gateway's own code and use what it remembers: of each person only one row is mapped anew, and
  one Patient built.
- `row by row` is the plain loop: rows come from csv.DictReader or openpyxl's read-only worksheet, each is mapped without
  regard to those before it, and its Patient is built, checked and then written where its id is new. The functions are the
  gateway's, and what they remember for as long as a mapping is open (vaccines, addresses, references) they remember here, too.

`resources alone` leaves reading and mapping out: checking and writing what is mapped already, by objects or, `at once`,
by giving fhir.resources the finished dict, the least that it can be asked to do.
"""

import argparse
import csv
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import objects
import openpyxl
import orjson

from fhir_gateway.bootstrap import Conversion
from fhir_gateway.bootstrap.inputs import open_inputs
from fhir_gateway.bundling.digests import digest
from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.recent import forget_all
from fhir_gateway.domain.records import Converted, Rejected, SourceRecord, SourceRef, UnreadableRow, dose_identifier
from fhir_gateway.fhir.validation import are_valid, is_valid
from fhir_gateway.flows.load import LoadInput
from fhir_gateway.flows.load.validating import forget_valid
from fhir_gateway.settings import EMBEDDED, load_environment
from fhir_gateway.synth.generate import generate
from fhir_gateway.synth.population import Region
from fhir_gateway.synth.rates import Rates

_SAMPLES = Path(__file__).parents[1] / "mappings"
_SAMPLE_FILES = ("simrs-khanza/sample-rs-a.csv", "puskesmas/sample.csv", "asik/sample.xlsx")
_ALONE = {".csv": 500, ".xlsx": 75}
"""Rows whose resources are checked and written alone."""

_AT_ONCE = 100
"""Rows that are mapped together, as the command maps them."""

_LEAST: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient"},
    {"resourceType": "Immunization", "status": "completed", "vaccineCode": {}, "patient": {}, "occurrenceString": "x"},
)
_NO_ROW = SourceRecord(SourceRef("", 0), {})

Make = Callable[[dict[str, Any]], Any]
_WAYS: tuple[Make, ...] = (objects.build, objects.validate)


class Silent:
    """A progress display that shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Take no notice."""

    def advance(self, done: int, *_: object) -> None:
        """Take no notice."""


def main() -> None:
    """Time every file and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["FHIR_GATEWAY_HOME"] = folder
        generate(work, Region(arguments.seed, arguments.persons, "A", Rates()))
        files = [work / name for name in ("puskesmas.csv", "simrs-khanza.csv", "asik.xlsx")]
        gc.disable()  # for all ways, as the command does: none makes cycles of objects
        print(f"{'':30}{'':8}{'':9}{'':13}{'whole conversion':>32}{'resources alone':>20}")
        print(
            f"{'':30}{'rows':>8}{'rows/s':>9}{'resources/s':>13}"
            f"{'objects':>9}{'ratio':>7}{'by row':>9}{'ratio':>7}{'objects':>11}{'at once':>9}"
        )
        for file in (*files, *(_SAMPLES / name for name in _SAMPLE_FILES)):
            print(time_file(file, work, arguments.rounds), flush=True)


def time_file(file: Path, work: Path, rounds: int) -> str:
    """Return one file's line of the table: medians of its rates, and of the ratios of each round."""
    ours, whole, alone = [], [], []
    rows = resources = 0
    for _ in range(rounds):
        rows, resources, seconds = convert_by_gateway(file, work / "out.ndjson")
        ours.append(rows / seconds)
        whole.append([convert(file, work / "out.ndjson") for convert in (convert_by_objects, convert_row_by_row)])
        alone.append(compare_resources(file))
    rate = statistics.median(ours)
    shown = f"sample {file.parent.name}/{file.stem}" if _SAMPLES in file.parents else f"synth {file.name}"
    line = f"{shown:30}{rows:8,}{rate:9,.0f}{rate * resources / rows:13,.0f}"
    for rates in zip(*whole, strict=True):
        ratio = statistics.median(fast / slow for fast, slow in zip(ours, rates, strict=True))
        line += f"{statistics.median(rates):9,.0f}{ratio:7.1f}"
    built, validated = (statistics.median(ratios) for ratios in zip(*alone, strict=True))
    return f"{line}{built:11.1f}{validated:9.1f}"


def convert_by_gateway(file: Path, out: Path) -> tuple[int, int, float]:
    """Return rows, resources written and CPU seconds of `fhir-gateway convert`, its start-up apart."""
    conversion = Conversion(file, mapping="", clinic="bench", limit=0)
    forget_all()
    forget_valid()
    _compile()
    started = time.process_time()
    books = conversion.run(out, None, Silent())
    seconds = time.process_time() - started
    with out.open("rb") as written:
        return books.read, sum(1 for _ in written), seconds


def convert_by_objects(file: Path, out: Path) -> float:
    """Return rows per CPU second of the same conversion, each resource made, checked and written by fhir.resources."""
    entry = _opened(file)
    forget_all()
    seen: set[str] = set()
    started = time.process_time()
    rows = 0
    records = entry.source.records()
    with out.open("wb") as written:
        while together := list(islice(records, _AT_ONCE)):
            rows += len(together)
            readable = [record for record in together if isinstance(record, SourceRecord)]
            for resource in chain.from_iterable(map(_made, entry.convert.convert_all(readable))):
                if resource["id"] not in seen:  # as the gateway, which checks a Patient once for all rows of the person
                    seen.add(resource["id"])
                    written.write(objects.serialise(objects.build(resource)))
    return rows / (time.process_time() - started)


def convert_row_by_row(file: Path, out: Path) -> float:
    """Return rows per CPU second where no row profits from those before it, and each row's Patient is built anew."""
    entry = _opened(file)
    records = _plain_records(entry.source)
    seen: set[str] = set()
    rows, seconds = 0, 0.0
    with out.open("wb") as written:
        while True:
            entry.convert.forget()
            forget_all()
            entry.convert(_NO_ROW)  # neither is forgetting work of such a conversion, nor what a mapping does once
            started = time.process_time()
            record = next(records, None)
            if record is None:
                return rows / seconds
            rows += 1
            for resource in _resources(entry, record):
                model = objects.build(resource)
                if resource["id"] not in seen:
                    seen.add(resource["id"])
                    written.write(objects.serialise(model))
            seconds += time.process_time() - started


def _plain_records(source: Any) -> Iterator[SourceRecord]:
    """Yield a file's rows as they are read without the gateway; the header stands in the row that the source has found."""
    if source.path.suffix == ".csv":
        with source.path.open(encoding=source.encoding, newline="") as file:
            for number, row in enumerate(csv.DictReader(file, source.keys, delimiter=source.delimiter, restval="")):
                cells = {column: text for column, text in row.items() if column is not None}
                if number and any(cells.values()):
                    yield SourceRecord(SourceRef(source.path.name, number), cells)
        return
    sheet = openpyxl.load_workbook(source.path, read_only=True, data_only=True).worksheets[0]
    rows = sheet.iter_rows(values_only=True)
    next(row for row in rows if tuple(row[: len(source.header)]) == source.header)
    for number, values in enumerate(rows, start=1):
        cells = {column: _text(value) for column, value in zip(source.keys, values, strict=False)}
        numeric = {column for column, value in zip(source.keys, values, strict=False) if isinstance(value, int | float)}
        yield SourceRecord(SourceRef(source.path.name, number), cells, frozenset(numeric))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return "" if value is None else str(value)


def compare_resources(file: Path) -> list[float]:
    """Return how many times faster resources are checked and serialised than by each of the ways with objects."""
    entry = _opened(file)
    records = islice(entry.source.records(), _ALONE[file.suffix])
    resources = [resource for record in records for resource in _resources(entry, record)]
    _compile()
    started = time.process_time()
    for resource in resources:
        if not is_valid(resource):
            raise SystemExit("a resource is not valid")
        orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE)
    ours = time.process_time() - started
    ratios = []
    for make in _WAYS:
        started = time.process_time()
        for resource in resources:
            objects.serialise(make(resource))
        ratios.append((time.process_time() - started) / ours)
    return ratios


def _compile() -> None:
    """Have the schemas compiled, which is done once for a command."""
    for resource in _LEAST:
        is_valid(resource)
        are_valid(resource["resourceType"], [resource])


def _opened(file: Path) -> LoadInput:
    environment = load_environment(EMBEDDED, file.parent)
    return open_inputs([file], mapping="", clinic="bench", environment=environment, now=datetime.now(UTC))[0]


def _resources(entry: LoadInput, record: SourceRecord | UnreadableRow) -> list[dict[str, Any]]:
    return [] if isinstance(record, UnreadableRow) else _made(entry.convert(record))


def _made(result: Converted | Rejected) -> list[dict[str, Any]]:
    if not isinstance(result, Converted):
        return []
    patient_id = digest(result.patient) + digest([result.patient, "id"])
    found = [{**result.patient, "id": patient_id}]
    for dose in result.doses:
        own = {"id": dose_identifier(result.key, dose.name)}
        found.append({**for_patient(dose.resource, patient_id), **own})
    return found


if __name__ == "__main__":
    main()
