"""Splink on DuckDB: a model estimated on all people of a server, asked about the pairs that were found.

The model (linkage_model.py) knows neither vetoes nor families: it is asked, it decides nothing.
"""

import importlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.second_opinion.linkage_model import estimate, settings_of

COLUMNS = ("id", "name", "first", "nik", "born", "gender", "mother", "phone", "place")
FEWEST = 1_000
"""Of fewer people no model can be estimated."""
_ALONE = {
    "temp_directory": "",
    "max_temp_directory_size": "0KB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""DuckDB writes nothing to disk, and fetches nothing."""
_ROWS_TOGETHER = 50_000
_NOT_INSTALLED = (
    "a second opinion needs Splink, which is not installed: install the extra, pip install 'fhir-gateway[linkage]'"
    " (versions that are known to work stand in requirements/linkage.txt)"
)

Row = Mapping[str, str]


class SplinkOpinion:
    """Fulfils ports.SecondOpinion; everything stays in memory (about 0.75 GB for a million people)."""

    name = "Splink"

    def __init__(self) -> None:
        """Raise UsageError where Splink or DuckDB is not installed."""
        try:
            self._duckdb: Any = importlib.import_module("duckdb")
            self._splink: Any = importlib.import_module("splink")
            self._comparisons: Any = importlib.import_module("splink.comparison_library")
            self._arrow: Any = importlib.import_module("pyarrow")
            failed: Any = importlib.import_module("splink.internals.exceptions").SplinkException
        except ImportError:
            raise UsageError(_NOT_INSTALLED) from None
        self._errors = (failed, ValueError)  # the latter where a probability that is estimated comes to 0

    def probabilities(self, people: Iterable[Row], pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], float]:
        """Return the probability of each pair; none where there are too few people, or too few alike, for a model."""
        connection = self._duckdb.connect(config=_ALONE)
        try:
            connection.execute("SET enable_progress_bar = false")  # it would stand on stdout
            if self._fill(connection, people, pairs) < FEWEST:
                return {}
            return self._asked(connection)
        finally:
            connection.close()

    def _fill(self, connection: Any, people: Iterable[Row], pairs: Sequence[tuple[str, str]]) -> int:
        """Write the people, each id once, and who stands in a pair; return how many people there are."""
        columns = ", ".join(f"{name} VARCHAR" for name in COLUMNS)
        connection.execute(f"CREATE TABLE read (number BIGINT, {columns})")
        for table in self._tables(people):
            connection.register("chunk", table)
            connection.execute(f"INSERT INTO read SELECT number, {', '.join(COLUMNS)} FROM chunk")  # noqa: S608 - its own columns
            connection.unregister("chunk")
        wanted = self._arrow.table({"one": [one for one, _ in pairs], "other": [other for _, other in pairs]})
        connection.register("chunk", wanted)
        connection.execute("CREATE TABLE pairs AS SELECT one, other, row_number() OVER () AS pair FROM chunk")
        blank = ", ".join(f"nullif({name}, '') AS {name}" for name in COLUMNS if name != "id")
        connection.execute(
            f"CREATE TABLE people AS SELECT id AS unique_id, {blank}, coalesce(asked.pairs, []) AS pairs"  # noqa: S608 - its own columns
            " FROM (SELECT * FROM read QUALIFY row_number() OVER (PARTITION BY id ORDER BY number DESC) = 1)"
            " LEFT JOIN (SELECT id AS asked_id, list(pair) AS pairs FROM (SELECT one AS id, pair FROM pairs"
            " UNION ALL SELECT other, pair FROM pairs) GROUP BY id) AS asked ON asked_id = id"
        )
        return int(connection.execute("SELECT count(*) FROM people").fetchall()[0][0])

    def _tables(self, people: Iterable[Row]) -> Iterator[Any]:
        rows = iter(people)
        number = 0
        while together := list(islice(rows, _ROWS_TOGETHER)):
            columns: dict[str, list[Any]] = {name: [row[name] for row in together] for name in COLUMNS}
            columns["number"] = list(range(number, number + len(together)))
            number += len(together)
            yield self._arrow.table(columns)

    def _asked(self, connection: Any) -> Mapping[tuple[str, str], float]:
        logging.getLogger("splink").setLevel(logging.ERROR)
        database = self._splink.DuckDBAPI(connection=connection)
        block_on = self._splink.block_on
        blocking = [block_on("pairs", arrays_to_explode=["pairs"])]
        settings = settings_of(self._splink, self._comparisons, blocking)
        linker = self._splink.Linker(database.register("people"), settings, log_level=logging.ERROR)
        if not estimate(linker, block_on, self._errors):
            return {}
        predicted = linker.inference.predict()
        rows = connection.execute(
            f"SELECT one, other, max(match_probability) FROM {predicted.physical_name}"  # noqa: S608 - Splink's table
            " JOIN pairs ON least(one, other) = least(unique_id_l, unique_id_r)"
            " AND greatest(one, other) = greatest(unique_id_l, unique_id_r) GROUP BY one, other"
        ).fetchall()
        return {(str(one), str(other)): float(probability) for one, other, probability in rows}
