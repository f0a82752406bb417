"""Puts rows where they belong in a file that is too long for memory: buckets on disk, sorted one by one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from fhir_gateway.synth.written import WrittenRow


class Scatter:
    """Takes rows in any order and gives them back in the order of `at`; memory holds one bucket."""

    def __init__(self, folder: Path, name: str, buckets: int, stack: ExitStack) -> None:
        self._paths = [folder / f"{name}-{number}" for number in range(buckets)]
        self._files = [stack.enter_context(path.open("w", encoding="utf-8")) for path in self._paths]

    def add(self, row: WrittenRow, truth: str) -> None:
        """Keep a row and its line of truth."""
        bucket = self._files[int(row.at * len(self._files))]
        bucket.write(json.dumps((row.at, row.text, truth, " ".join(row.tags), " ".join(row.doses))) + "\n")

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield text, truth, tags and doses of every row in its place; nothing can be added after."""
        for file in self._files:
            file.close()
        for path in self._paths:
            with path.open(encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            path.unlink()
            rows.sort(key=lambda row: row[0])
            for _, text, truth, tags, doses in rows:
                yield text, truth, tags, doses
