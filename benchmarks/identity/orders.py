"""Whether the order of files matters: whole loads into an empty gateway, each order against all files together."""

import os
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from tests.fakes.loaded_orders import Row, differences, people_after

from fhir_gateway.synth import population
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.truth import TrueRow, read_truth


def compare_orders(region: population.Region) -> Iterator[str]:
    """Yield a line for every order of the region's files: in what it differs from loading them together.

    Proposals of merges that loads leave behind are carried out before. Whole loads take about a second for 60 persons.
    """
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder) / "exports"
        generate(exports, region)
        files = [exports / name for name in FILES.values()]
        truth = {(FILES[row.source], row.row): row for row in read_truth(exports)}
        together = _after(Path(folder) / "together", [files])
        waiting = sum(not patient for patient in together.values())
        yield f"orders   together: {len(together):,} rows, {len(set(together.values()))} people, {waiting} rows wait"
        for number, order in enumerate(permutations(files)):
            yield _told(
                [file.stem for file in order],
                together,
                _after(Path(folder) / f"order-{number}", [[file] for file in order]),
                truth,
            )


def _after(home: Path, loads: list[list[Path]]) -> dict[Row, str]:
    home.mkdir()
    os.environ["FHIR_GATEWAY_HOME"] = str(home)
    return people_after(home, loads)


def _told(order: list[str], together: dict[Row, str], found: dict[Row, str], truth: dict[Row, TrueRow]) -> str:
    outcome = differences(together, found)
    parted = [pair for pair in outcome.joined_in_one_only if together[pair[0]] == together[pair[1]]]
    wrong = sum(truth[one].person != truth[other].person for one, other in outcome.joined_in_one_only)
    persons = {truth[row].person for pair in outcome.joined_in_one_only for row in pair}
    here = {truth[row].person for row in outcome.waiting_in_one_only if not found[row]}
    there = {truth[row].person for row in outcome.waiting_in_one_only if not together[row]}
    either = sum(truth[row].person in here & there for row in outcome.waiting_in_one_only)
    return (
        f"         {', '.join(order)}: {len(persons)} persons joined otherwise ({len(parted)} pairs of rows parted, "
        f"{len(outcome.joined_in_one_only) - len(parted)} joined, {wrong} of two persons); persons in review "
        f"only in this order {len(here - there)}, only together {len(there - here)}, with other rows {len(here & there)} "
        f"({either} of {len(outcome.waiting_in_one_only)} rows)"
    )
