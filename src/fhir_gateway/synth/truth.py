"""The truth about every row of an invented region, as it stands in `truth.csv`."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fhir_gateway.domain.errors import SourceError

TRUTH_FILE = "truth.csv"
HEADER = ("source", "row", "person", "role", "mother", "father", "twin_of", "household", "namesake", "tags", "doses")


@dataclass(frozen=True, slots=True)
class TrueRow:
    """Whom a row is about: `row` is its 1-based data row, `tags` what is wrong with it, `doses` the ids of its doses.

    `mother`, `father` and `twin_of` are persons, `household` who lives together, `namesake` what strangers of one
    name and birth date share. In a wide row the doses stand in the order of the columns; a dose that cannot be read
    is not among them.
    """

    source: str
    row: int
    person: str
    role: str = ""
    mother: str = ""
    father: str = ""
    twin_of: str = ""
    household: str = ""
    namesake: str = ""
    tags: tuple[str, ...] = ()
    doses: tuple[str, ...] = ()


def read_truth(folder: Path) -> Iterator[TrueRow]:
    """Yield the truth of every row, in the order of the files.

    Raises SourceError where the folder holds no truth, or one with other columns.
    """
    path = folder / TRUTH_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) != HEADER:
                raise SourceError(
                    f"{path}: the columns are not those of a truth file, write it again with `fhir-gateway synth`"
                )
            for number, row in enumerate(rows, start=1):
                yield _true_row(row, f"{path}:{number}")
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror}); it is written by `fhir-gateway synth DIR`"
        ) from error


def _true_row(cells: list[str], place: str) -> TrueRow:
    if len(cells) != len(HEADER) or not cells[1].isdecimal():
        raise SourceError(f"{place}: not a row of truth, it needs {len(HEADER)} cells and a row number")
    source, row, person, role, mother, father, twin_of, household, namesake, tags, doses = cells
    return TrueRow(
        source=source,
        row=int(row),
        person=person,
        role=role,
        mother=mother,
        father=father,
        twin_of=twin_of,
        household=household,
        namesake=namesake,
        tags=tuple(tags.split()),
        doses=tuple(doses.split()),
    )
